"""What the invisible mark survives, what it costs, and how often chance looks like it.

    python benchmarks/mark.py attacks --photos FOLDER
    python benchmarks/mark.py clip --clip FILE
    python benchmarks/mark.py chance --faces FOLDER --crops 100000

`attacks` marks the best face of every photo and reads it after each change. `clip` marks a clip, encodes it with H.264
and reads single frames and their vote. `chance` reads crops that have no mark (`faces.jsonl` and `crops/`, as for
`latentface.training.mark`), each mirrored, shifted, scaled, turned and compressed at random.
"""

from __future__ import annotations

import argparse
import io
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image

from latentface.arrays import Float32Array, Pixels
from latentface.faces import alignment
from latentface.faces.crop import ffhq_quad, map_points, quad_to_matrix
from latentface.faces.mark_region import mark_region
from latentface.faces.tracking import Tracker
from latentface.io.images import list_photos, read_image
from latentface.io.provenance import COMPOSITE
from latentface.io.video import read_clip
from latentface.provenance.mark import LEAST_CONFIDENCE, Marker, confidence
from latentface.provenance.payload import BITS, FALSE_ALARMS, MOST_ERRORS, Payload, codeword
from latentface.provenance.publish import marker
from latentface.training import mark_attacks
from latentface.training.mark import load_faces

Change = Callable[[Pixels], Pixels]


def resized(image: Pixels, share: float, filter: Image.Resampling = Image.Resampling.LANCZOS) -> Pixels:
    size = round(image.shape[1] * share), round(image.shape[0] * share)
    return np.asarray(Image.fromarray(image).resize(size, filter))


def as_jpeg(image: Pixels, quality: int) -> Pixels:
    with io.BytesIO() as file:
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file).convert("RGB"))


def cropped(image: Pixels, share: float) -> Pixels:
    """Without that share of the width and of the height, more of it from the left and from the top."""
    height, width = image.shape[:2]
    down, right = round(height * share), round(width * share)
    return np.ascontiguousarray(image[down * 2 // 3 : height - down // 3, right * 2 // 3 : width - right // 3])


def screenshot(image: Pixels) -> Pixels:
    """Shown at 1.25 times the size in slightly warmer and brighter colours, with a little noise, as JPEG 85."""
    shown = (resized(image, 1.25, Image.Resampling.BILINEAR) / 255.0) ** 0.95 * [1.04, 1.0, 0.97] * 255 + 3
    noise = np.random.default_rng(0).normal(0, 1, shown.shape)
    return as_jpeg(np.rint(shown + noise).clip(0, 255).astype(np.uint8), 85)


def h264(frames: list[Pixels], crf: int) -> list[Pixels]:
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    with io.BytesIO() as file:
        with av.open(file, "w", format="mp4") as written:
            stream = written.add_stream("libx264", rate=25, options={"crf": str(crf)})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in frames:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
                written.mux(stream.encode(picture))
            written.mux(stream.encode(None))
        file.seek(0)
        with av.open(file) as read:
            return [frame.to_ndarray(format="rgb24") for frame in read.decode(video=0)]


CHANGES: dict[str, Change] = {
    "as written": lambda image: image,
    "JPEG 75": lambda image: as_jpeg(image, 75),
    "JPEG 50": lambda image: as_jpeg(image, 50),
    "half size": lambda image: resized(image, 0.5),
    "half size, JPEG 75": lambda image: as_jpeg(resized(image, 0.5), 75),
    "10 % cropped": lambda image: cropped(image, 0.1),
    "screenshot": screenshot,
    "H.264, CRF 28, one frame": lambda image: h264([image] * 3, 28)[-1],
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
}


def attacks(tool: Marker, photos: list[Path]) -> None:
    wrong: dict[str, list[int]] = {name: [] for name in CHANGES}
    noise, seconds = [], []
    for path in photos:
        photo = read_image(path)
        payload = Payload.of("edit", photo)
        points = tool.landmarks(photo, alignment.detect_faces(photo)[0][:1])[0]
        began = time.process_time()
        made = tool.mark(photo, payload, points)
        seconds.append(time.process_time() - began)
        if made is None:
            print(f"{path.name}: no face that is large enough")
            continue
        noise.append(region_error(photo, made, points))
        for name, change in CHANGES.items():
            changed = change(made)
            boxes = alignment.detect_faces(changed)[0]
            odds = tool.odds(changed, tool.landmarks(changed, boxes[:1])[0]) if len(boxes) else np.zeros(BITS)
            wrong[name].append(int(((odds > 0) != payload.to_bits()).sum()))
    psnr = [10 * math.log10(255**2 / error) for error in noise]
    print(f"{len(psnr)} photos; PSNR in the face {np.mean(psnr):.1f} dB, least {min(psnr):.1f}")
    print(f"{np.median(seconds):.2f} s of processor time for each photo")
    for name, counts in wrong.items():
        good = np.mean(np.array(counts) <= MOST_ERRORS)
        print(f"| {name} | {100 - 100 * np.mean(counts) / BITS:.2f} % of bits | {good:.0%} of marks read |")


def region_error(photo: Pixels, made: Pixels, points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    """Mean squared change within the region of the mark, at a crop of the photo's own size."""
    side = round(float(np.linalg.norm(np.subtract(*ffhq_quad(points)[[3, 0]]))))
    to_photo = quad_to_matrix(ffhq_quad(points), side)
    mask = mark_region(map_points(np.linalg.inv(to_photo), points), side)
    y, x = np.nonzero(mask > 0)
    places = np.rint(map_points(to_photo, np.stack([x, y], axis=-1))).astype(int)
    inside = (places >= 0).all(1) & (places < photo.shape[1::-1]).all(1)
    columns, rows = places[inside].T
    return float(np.square(made[rows, columns].astype(float) - photo[rows, columns]).mean())


def clip(tool: Marker, path: Path, count: int = 12) -> None:
    film = read_clip(path)
    frames = [replace(frame, pixels=np.ascontiguousarray(frame.pixels[..., :3])) for frame in islice(film, count)]
    payload = Payload.of("animate", frames[0].pixels)
    began = time.process_time()
    shown = replace(film, frames=frames, count=len(frames), sound=None, alpha=False, source_type=COMPOSITE)
    made = [frame.pixels for frame in tool.mark_clip(shown, "animate")]
    print(f"{film.size}: {(time.process_time() - began) / len(made):.2f} s of processor time for each frame")
    for crf in (23, 28, 32):
        tracker = Tracker(tool.landmarks)
        found = ((pixels, tracker(pixels)) for pixels in h264(made, crf))
        odds = np.array([tool.odds(pixels, points) for pixels, points in found if points is not None])
        wrong = ((odds > 0) != payload.to_bits()).sum(1)
        vote = ((odds.sum(0) > 0) != payload.to_bits()).sum()
        good = np.mean(wrong <= MOST_ERRORS)
        print(f"CRF {crf}: {100 - 100 * wrong.mean() / BITS:.2f} % of bits, {good:.0%} of frames, {vote} wrong by vote")


def chance_readings(tool: Marker, folder: Path, count: int) -> Iterator[Float32Array]:
    """The log odds [64, 48] of crops without a mark."""
    source = torch.Generator().manual_seed(0)
    for data in load_faces(folder):
        for _ in range(math.ceil(count * len(data) / 4155 / 64)):
            light, _ = data.take(torch.randint(len(data), (64,), generator=source), 160)
            light = light.flip(-1) if torch.rand((), generator=source) < 0.5 else light
            light = mark_attacks.realigned(light, 128, source, strength=8.0)
            light = light * mark_attacks.uniform(0.8, 1.2, source) + mark_attacks.uniform(-20, 20, source)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                yield tool.networks.reader(mark_attacks.rounded(light)).float().numpy()


def chance(tool: Marker, folder: Path, count: int) -> None:
    """Words of unmarked crops by their distance from the nearest codeword, beside the binomial, and their certainty."""
    readings = list(chance_readings(tool, folder, count))
    words = np.concatenate([odds > 0 for odds in readings])
    sure = np.array([confidence(np.abs(each)) for odds in readings for each in odds])
    codes = torch.from_numpy(np.stack([codeword(data) for data in range(2**17)])).float() * 2 - 1
    nearest = []
    for batch in torch.from_numpy(words).float().mul(2).sub(1).split(512):
        nearest.append(((BITS - (batch @ codes.T).max(1).values) / 2).int())
    distance = torch.cat(nearest).numpy()
    near, certain = distance <= MOST_ERRORS, sure >= LEAST_CONFIDENCE
    print(f"{len(words)} crops; words near a codeword {near.sum()}, expected {len(words) * FALSE_ALARMS:.2g}")
    print(f"as sure as a mark {certain.sum()}; both, that is read as a mark {(near & certain).sum()}")
    for errors in range(2, 8):
        share = sum(math.comb(BITS, k) for k in range(errors + 1)) * 2.0 ** (17 - BITS)
        print(f"within {errors} errors: {np.mean(distance <= errors):.3g}, by the binomial {share:.3g}")
    print(f"share of ones by bit: {words.mean(0).min():.2f} to {words.mean(0).max():.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("attacks", "clip", "chance"))
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--crops", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.what == "attacks":
        attacks(marker(), list_photos(given.photos))
    elif given.what == "clip":
        clip(marker(), given.clip)
    else:
        chance(marker(), given.faces, given.crops)


if __name__ == "__main__":
    main()
