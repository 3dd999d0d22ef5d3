"""The built-in perceptual network: `python benchmarks/perceptual.py --teacher FILE --lpips FILE --data DIR ...`.

Rank correlation (Spearman) of its distance with that of its teacher and with SqueezeNet LPIPS, which it never saw, on
distorted pictures: renders held out of training, and faces of real photos. Plain mean squared error and the teacher
itself are printed for comparison. Also its size, operations and time with gradient at 128 x 128.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from latentface import api, pretrained
from latentface.io.images import list_photos, read_image, to_tensor
from latentface.networks.lpips import SqueezeLpips
from latentface.networks.perceptual import DistilledVgg, FeatureDistance
from latentface.training.data import load_shards
from latentface.training.distortions import distort
from latentface.training.perceptual import held_out_pairs, measure_distances, spearman

COPIES = 20  # distorted copies of each photo


def photo_pairs(folder: Path, landmarks: str) -> tuple[Tensor, Tensor]:
    """Aligned faces of a folder of photos, 128 px, and distorted copies."""
    crops = [api.align(read_image(path), 128, landmarks)[0].image for path in list_photos(folder)]
    pictures = to_tensor(np.stack(crops)).repeat(COPIES, 1, 1, 1)
    return pictures, distort(pictures, torch.Generator().manual_seed(7))


def compare(name: str, networks: dict[str, FeatureDistance], pictures: Tensor, copies: Tensor) -> None:
    """Print the rank correlations of one set of pairs."""
    found = {key: measure_distances(network, pictures, copies) for key, network in networks.items()}
    found["MSE"] = (pictures - copies).square().mean(dim=(1, 2, 3)).double().numpy()
    pairs = (("built-in", "teacher"), ("built-in", "LPIPS"), ("teacher", "LPIPS"), ("MSE", "LPIPS"))
    figures = "  ".join(f"{a} ~ {b} {spearman(found[a], found[b]):.3f}" for a, b in pairs)
    print(f"{name} ({len(pictures)} pairs): {figures}; median distance {np.median(found['built-in']):.3f}")


def cost(network: torch.nn.Module) -> None:
    """Print size, operations and time of the built-in network."""
    assert isinstance(network, FeatureDistance)
    picture = torch.zeros(1, 3, 128, 128)
    with FlopCounterMode(display=False) as counter:
        network.features(picture)
    with torch.no_grad():
        target = network.unit_features(picture + 0.5)
    seconds = []
    for _ in range(20):
        began = time.perf_counter()
        network.compare(network.unit_features(picture.requires_grad_(True)), target).sum().backward()
        seconds.append(time.perf_counter() - began)
    parameters = sum(value.numel() for value in network.state_dict().values())
    print(
        f"{parameters} parameters, {counter.get_total_flops() / 1e9:.3f} GFLOP a picture of 128 px, "
        f"{1000 * np.median(seconds):.1f} ms with gradient on {torch.get_num_threads()} threads"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the built-in perceptual network.")
    parser.add_argument("--network", default="perceptual", help="built-in name or file")
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--lpips", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--landmarks", default="builtin")
    parser.add_argument("--data", type=Path, help="folder of shard-*.npz")
    parser.add_argument(
        "--first-shard", type=int, default=0, help="take the held-out renders from two shards from here on"
    )
    given = parser.parse_args()
    network = pretrained.load_perceptual(given.network)
    networks = {"built-in": network, "teacher": DistilledVgg(given.teacher), "LPIPS": SqueezeLpips(given.lpips)}
    cost(network)
    if given.data:
        images = load_shards(given.data, ("images",), given.first_shard, given.first_shard + 2)["images"]
        compare("renders", networks, *held_out_pairs(images))
    if given.photos:
        compare("photos", networks, *photo_pairs(given.photos, given.landmarks))


if __name__ == "__main__":
    main()
