"""Translated renders: how near they are to photographs, and whether faces keep their landmarks.

`python benchmarks/translation.py --data RENDERS --faces FACES --lpips lpips_squeeze.npz [--network FILE ...]` measures
on renders and photographs that no network was trained on (their last ones, and those that `portraits` holds out). The
Frechet and the kernel distance are those of `latentface evaluate` (features of the network `perceptual`, which took no
part in the training), and beside them those of SqueezeNet's features, which the discriminators see. Landmarks are
those that the network `landmarks` finds, in per cent of the inter-ocular distance, over the 51 inner points. `--write`
keeps all renders, translated, as shards to train on. `--taught PLAIN TRANSLATED` compares two landmark networks that
learnt from these shards, face by face, on the held-out photographs, with the built-in network as the reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentface.evaluation.sets import compare_sets, pooled_extractor, set_features
from latentface.faces.expression_measures import crop_landmarks
from latentface.io.images import to_uint8, write_image
from latentface.networks.landmarks import LandmarkNet
from latentface.networks.lpips import SqueezeLpips
from latentface.networks.translation import TranslationNet
from latentface.pretrained import load_landmarks, load_perceptual, load_translation
from latentface.training.data import load_shards
from latentface.training.landmark_definition import redefine
from latentface.training.translation_data import Kind, load_photographs


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--lpips", type=Path, required=True)
    parser.add_argument("--network", nargs="*", default=[])
    parser.add_argument("--taught", nargs=2, metavar=("PLAIN", "TRANSLATED"), help="files of landmark networks")
    parser.add_argument("--first", type=int, default=3000, help="so many renders were trained on")
    parser.add_argument("--count", type=int, default=500, help="so many after these are measured on")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--write", type=Path, help="folder for all renders, translated by the last network")
    given = parser.parse_args()
    torch.set_num_threads(1)
    shards = load_shards(given.data, ("images", "landmarks"))
    images = torch.from_numpy(shards["images"].astype(np.uint8, copy=False)).permute(0, 3, 1, 2)
    points = torch.from_numpy(shards["landmarks"].astype(np.float32))
    chosen = slice(given.first, given.first + given.count)
    held, truth = images[chosen], redefine(images[chosen], points[chosen])
    photographs = load_photographs(given.faces, held.shape[-1])[1]
    if given.taught:
        compare_taught(photographs, *map(load_landmarks, given.taught))
        return
    meter = Meter(photographs, given.lpips)
    plain = held.float() / 127.5 - 1
    before = meter.landmarks(plain)
    meter.report("plain renders", held)
    print(f"  landmarks of plain renders from the truth: {apart(before, units(truth, held.shape[-1])):.2f} %")
    meter.report("in the colours of photographs", uint8(recoloured(plain, photographs.images.float() / 127.5 - 1)))
    for name in given.network:
        network = load_translation(name)
        made, attention = translated(network, plain)
        pixels = uint8(made)
        meter.report(f"translated by {name}", pixels)
        after = meter.landmarks(pixels.float() / 127.5 - 1)
        print(
            f"  landmarks moved by {apart(after, before):.2f} %, from the truth "
            f"{apart(after, units(truth, held.shape[-1])):.2f} %; mean attention {float(attention.mean()):.2f}"
        )
        if given.sheet:
            sheet(given.sheet.with_name(f"{given.sheet.stem}-{Path(name).parent.name}.png"), plain, attention, made)
    if given.write:
        write(given.write, images, points, network)


class Meter:
    """Distances to photographs, and landmarks."""

    def __init__(self, photographs: Kind, lpips: Path) -> None:
        self.extractors = {
            "perceptual": pooled_extractor(load_perceptual()), "SqueezeNet": pooled_extractor(SqueezeLpips(lpips))
        }  # fmt: skip
        self.real = {name: self.features(name, photographs.images) for name in self.extractors}
        self.network: LandmarkNet = load_landmarks()

    def features(self, name: str, images: Tensor) -> Tensor:
        """Features of pictures uint8 [n, 3, S, S]."""
        return set_features(self.extractors[name], (each.permute(1, 2, 0).numpy() for each in images))

    def report(self, title: str, images: Tensor) -> None:
        """Print the distances of pictures uint8 [n, 3, S, S]."""
        print(f"{title} ({len(images)} pictures)")
        for name, real in self.real.items():
            ours = self.features(name, images)
            figures = compare_sets(ours, real, ("fid", "kid"))
            told = "  ".join(
                f"{key} {each.value:.4g} [{each.low:.4g}, {each.high:.4g}]" for key, each in figures.items()
            )
            print(f"  {name}: {told}")

    def landmarks(self, pictures: Tensor) -> Tensor:
        """Landmarks [n, 68, 2] in crop units."""
        return found(self.network, pictures)


@torch.no_grad()
def found(network: LandmarkNet, pictures: Tensor) -> Tensor:
    """Landmarks [n, 68, 2] in crop units."""
    return torch.cat([crop_landmarks(network, part) for part in pictures.split(32)])


def compare_taught(photographs: Kind, plain: LandmarkNet, translated: LandmarkNet, draws: int = 10_000) -> None:
    """Print errors of two landmark networks, and the mean difference of faces with its 95 % bootstrap interval."""
    pictures = photographs.images.float() / 127.5 - 1
    truth = found(load_landmarks(), pictures)
    answers = [found(network, pictures) for network in (plain, translated)]
    without = [each - (each - truth).mean(0) for each in answers]  # of each point's mean offset, a matter of definition
    random = np.random.default_rng(0)
    for title, both in (("inner points", answers), ("without the mean offset of each point", without)):
        a, b = (faces_apart(each, truth).numpy() for each in both)
        means = (b - a)[random.integers(0, len(a), (draws, len(a)))].mean(1)
        low, high = np.percentile(means, (2.5, 97.5))
        print(
            f"{title}: plain {a.mean():.3f} %, translated {b.mean():.3f} %, difference {(b - a).mean():+.3f} "
            f"[{low:+.3f}, {high:+.3f}], nearer on {(b < a).sum()} of {len(a)} photographs"
        )


def units(points: Tensor, side: int) -> Tensor:
    """Landmarks in pixels of crops, in crop units."""
    return (points + 0.5) / side


def apart(ours: Tensor, theirs: Tensor) -> float:
    """Mean distance of the inner points, in per cent of the inter-ocular distance."""
    return float(faces_apart(ours, theirs).mean())


def faces_apart(ours: Tensor, theirs: Tensor) -> Tensor:
    """`apart` of each face, [n]."""
    eyes = (theirs[:, 42:48].mean(1) - theirs[:, 36:42].mean(1)).norm(dim=1)
    return 100 * (ours - theirs)[:, 17:].norm(dim=2).mean(1) / eyes


@torch.no_grad()
def translated(network: TranslationNet, pictures: Tensor, back: bool = False) -> tuple[Tensor, Tensor]:
    """Translated pictures and their attention."""
    made = [network(part, back) for part in pictures.split(32)]
    return torch.cat([each.picture for each in made]).clamp(-1, 1), torch.cat([each.attention for each in made])


def recoloured(pictures: Tensor, like: Tensor) -> Tensor:
    """Pictures whose colours have the mean and the deviation of others', channel by channel, over each set."""
    (mean, spread), (wanted, width) = (
        (each.mean((0, 2, 3), keepdim=True), each.std((0, 2, 3), keepdim=True)) for each in (pictures, like)
    )
    return ((pictures - mean) / spread * width + wanted).clamp(-1, 1)


def uint8(pictures: Tensor) -> Tensor:
    """Pictures as uint8 [n, 3, S, S]."""
    return torch.from_numpy(to_uint8(pictures)).permute(0, 3, 1, 2)


def sheet(path: Path, plain: Tensor, attention: Tensor, made: Tensor, count: int = 8) -> None:
    """Rows of renders, of their attention and of their translations."""
    chosen = torch.linspace(0, len(plain) - 1, 2 * count).long()
    rows = [part[chosen] for part in (plain, 2 * attention.expand(-1, 3, -1, -1) - 1, made)]
    tiles = to_uint8(torch.stack(rows, 1).reshape(2, count, 3, 3, *plain.shape[2:]).transpose(1, 2).flatten(0, 2))
    side = plain.shape[-1]
    grid = tiles.reshape(6, count, side, side, 3).transpose(0, 2, 1, 3, 4).reshape(6 * side, count * side, 3)
    write_image(path, np.ascontiguousarray(grid))


def write(folder: Path, images: Tensor, points: Tensor, network: TranslationNet) -> None:
    """Shards of the same renders, translated."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (part, known) in enumerate(_shards(images, points)):
        made = uint8(translated(network, part.float() / 127.5 - 1)[0]).permute(0, 2, 3, 1)
        np.savez(folder / f"shard-{number:05d}.npz", images=made.numpy(), landmarks=known.numpy())


def _shards(images: Tensor, points: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(images.split(500), points.split(500), strict=True)


if __name__ == "__main__":
    main()
