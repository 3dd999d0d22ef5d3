"""How near painted mouths come to real ones: `python benchmarks/mouth.py --data FILE --teacher LPIPS [--network FILE]`.

FILE is what `latentface.training.mouth_collect` makes; measured is what the recipe holds out. The opening, widened by a
pixel, is painted with the teeth where they are in the photo and where most people have them, always in the usual style,
and beside it filled with the mean colour of mouths, and with plainly shaded teeth over dark red. Figures are means over
photos: the absolute difference in the opening (colours in [-1, 1]) and LPIPS (SqueezeNet) of the canvas.
Then steadiness: with teeth that stay where they are, what jitter of the opening by a third of a canvas pixel and a jaw
that falls over 20 frames change from call to call, in the opening, in grey values.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.arrays import Float32Array, Pixels
from latentface.head.mouth import paint_mouth, usual_teeth
from latentface.head.mouth_canvas import MouthFrame
from latentface.head.teeth import TeethRows, teeth_planes
from latentface.networks.lpips import SqueezeLpips
from latentface.networks.mouth import MouthNet, Plane
from latentface.pretrained import load_mouth
from latentface.training.mouth import difference, paint_planes, split
from latentface.training.mouth_data import MouthData, still

LUMA = torch.tensor([0.299, 0.587, 0.114])
SIZE = 4  # photo pixels of a canvas pixel in the clips


def with_usual_teeth(planes: Tensor, network: MouthNet) -> Tensor:
    """Planes [N, 7, H, W] whose teeth are where most people have them."""
    config = network.config
    frame = MouthFrame(np.zeros(2), np.array([config.scale, 0.0]))
    rows = [usual_teeth(plane.numpy(), frame, config) for plane in planes[:, Plane.OPENING]]
    hints = torch.stack([torch.from_numpy(teeth_planes(row, config)) for row in rows])
    return torch.cat([planes[:, :4], hints * planes[:, 3:4]], 1)


def plainly_shaded(planes: Tensor) -> Tensor:
    """Ivory teeth and dark red in the opening, as bright as the skin around is."""
    opening = planes[:, 3:4]
    ring = (F.max_pool2d(opening, 25, 1, 12) - F.max_pool2d(opening, 9, 1, 4)).clamp(0, 1)
    skin = ((planes[:, :3] + 1) / 2 * ring).sum((2, 3)) / ring.sum((2, 3))
    light = (skin @ LUMA).view(-1, 1, 1, 1)
    teeth = (planes[:, 4:5] + planes[:, 5:6]).clamp(0, 1)
    ivory = torch.tensor([0.93, 0.9, 0.83]).view(1, 3, 1, 1) * (0.45 + 0.6 * light)
    dark = torch.tensor([0.55, 0.2, 0.2]).view(1, 3, 1, 1) * (0.4 + 0.6 * light) * 0.25
    return torch.lerp(planes[:, :3], torch.lerp(dark, ivory, teeth).clamp(0, 1) * 2 - 1, opening)


def compare(network: MouthNet, data: MouthData, teacher: SqueezeLpips) -> None:
    """Print the table of held-out photos."""
    train, held = split(data)
    some, _ = still(train, torch.arange(0, len(train), 8), network.config)
    mean = (some[:, :3] * some[:, 3:4]).sum((0, 2, 3)) / some[:, 3:4].sum()
    rows: dict[str, list[Tensor]] = {}
    for index in torch.arange(len(held)).split(32):
        planes, style = still(held, index, network.config, widen=1.0)
        opening, photo, usual = planes[:, 3:4], planes[:, :3], torch.zeros_like(style)
        answers = {
            "network, teeth as in the photo": paint_planes(network, planes, usual)[:, :3],
            "network, usual teeth": paint_planes(network, with_usual_teeth(planes, network), usual)[:, :3],
            "network, teeth and style as in the photo": paint_planes(network, planes, style)[:, :3],
            "plain shading, teeth as in the photo": plainly_shaded(planes),
            "mean colour": torch.lerp(photo, mean.view(1, 3, 1, 1).expand_as(photo), opening),
        }
        for name, answer in answers.items():
            pair = torch.stack([difference(answer, photo, opening), teacher(answer, photo)], 1)
            rows.setdefault(name, []).append(pair)
    sources = np.array(held.sources)
    for source in ("all", *sorted(set(held.sources))):
        chosen = torch.from_numpy((sources == source) | (source == "all"))
        print(f"{source}: {int(chosen.sum())} photos")
        for name, parts in rows.items():
            l1, lpips = torch.cat(parts)[chosen].mean(0).tolist()
            print(f"  {name:42} difference {l1:.3f}  LPIPS {lpips:.4f}")


def parted(photo: Pixels, middle: float, up: float, down: float, shift: float = 0.0) -> Float32Array:
    """An opening in a photo [H, W, 3] around row `middle`, so many pixels up and down, moved by `shift`."""
    height, width = photo.shape[:2]
    y, x = np.mgrid[:height, :width] + 0.5
    bow = np.clip(1 - ((x - width / 2 - shift) / (0.3 * width)) ** 2, 0, 1)
    top, bottom = middle + shift - up * bow, middle + shift + down * bow
    return (np.clip(y - top + 0.5, 0, 1) * np.clip(bottom - y + 0.5, 0, 1) * (bow > 0)).astype(np.float32)


def steadiness(network: MouthNet, data: MouthData, count: int = 8) -> None:
    """Print what small changes of the opening change in the picture."""
    config = network.config
    planes, _ = still(split(data)[1], torch.arange(count), config)
    photos = F.interpolate(planes[:, :3], scale_factor=float(SIZE), mode="bicubic", align_corners=False)
    pictures = ((photos.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    frame = MouthFrame(np.array([config.width / 2, config.top]) * SIZE, np.array([config.scale * SIZE, 0.0]))
    jitter, sweep, times = [], [], []
    choice = np.random.default_rng(0)
    for photo in pictures:
        middle = 18.0 * SIZE
        teeth = usual_teeth(parted(photo, middle, 2 * SIZE, 18 * SIZE)[::SIZE, ::SIZE], frame, config)
        still_teeth = TeethRows(teeth.upper_edge, np.full(config.width, np.nan), teeth.midline)
        base = paint_mouth(photo, parted(photo, middle, 2 * SIZE, 9 * SIZE), frame, network, still_teeth).astype(int)
        inside = parted(photo, middle, SIZE, 8 * SIZE) > 0.99
        for _ in range(3):
            moved = parted(photo, middle, 2 * SIZE, 9 * SIZE, float(choice.normal(0, SIZE / 3)))
            began = time.process_time()
            jitter.append(np.abs(paint_mouth(photo, moved, frame, network, still_teeth) - base)[inside].mean())
            times.append(time.process_time() - began)
        before = None
        for down in np.linspace(4, 18, 20):
            now = paint_mouth(photo, parted(photo, middle, 2 * SIZE, down * SIZE), frame, network, still_teeth)
            if before is not None:
                sweep.append(
                    np.abs(now.astype(int) - before)[parted(photo, middle, SIZE, (down - 2) * SIZE) > 0.99].mean()
                )
            before = now.astype(int)
    print(f"jitter: {np.mean(jitter):.2f}; falling jaw: {np.mean(sweep):.2f} a frame, {np.max(sweep):.2f} at most")
    print(f"{np.median(times) * 1e3:.0f} ms of processor time a call, eyes {config.scale * SIZE:.0f} pixels apart")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--network", default="mouth")
    given = parser.parse_args()
    torch.set_num_threads(1)
    network, data = load_mouth(given.network), MouthData.load(given.data)
    with torch.no_grad():
        compare(network, data, SqueezeLpips(given.teacher).requires_grad_(False))
    steadiness(network, data)


if __name__ == "__main__":
    main()
