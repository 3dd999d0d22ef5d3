"""Estimators in torch, onnxruntime float32 and int8: `python benchmarks/runtime.py PHOTOS`; `--prune` tries pruning.

Times are the smallest of 120 rounds that alternate between the three, of one picture on one thread: of the thread, in
milliseconds, so that other work on the machine counts little. Errors are those of `latentface.runtime.calibration`, on
every second face. Pruning removes weights without training afterwards: single ones, or whole groups of eight channels
inside the residual blocks, those of the smallest magnitude first.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from latentface.io.images import read_image
from latentface.networks.exporting import to_onnx
from latentface.networks.trunk import ResidualBlock
from latentface.runtime.calibration import batches, compare
from latentface.runtime.estimators import open_estimator
from latentface.runtime.quantisation import IMAGES, _views, to_int8
from latentface.runtime.served import Served

NAMES = ("landmarks", "head-reader", "face-motion")


def times(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(120):
        for name, run in runs.items():
            began = time.thread_time()
            run()
            found[name].append(1000 * (time.thread_time() - began))
    return {name: min(each) for name, each in found.items()}


def without_weights(network: nn.Module, share: float) -> nn.Module:
    """The network with this share of each convolution's weights at zero."""
    pruned = copy.deepcopy(network)
    for module in pruned.modules():
        if isinstance(module, nn.Conv2d):
            size = module.weight.detach().abs()
            module.weight.data[size < torch.quantile(size.flatten()[:: max(1, size.numel() // 10**6)], share)] = 0
    return pruned


def without_groups(network: nn.Module, share: float) -> nn.Module:
    """The network without this share of the groups of channels between the two convolutions of each block."""
    pruned = copy.deepcopy(network)
    for block in pruned.modules():
        if isinstance(block, ResidualBlock):
            read = block.conv1.weight.detach().square().sum((0, 2, 3)).view(-1, 8).sum(1)
            gone = read.argsort()[: round(share * len(read))]
            block.conv1.weight.data.view(block.conv1.out_channels, -1, 8, 3, 3)[:, gone] = 0
    return pruned


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--prune", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    photos = [read_image(path) for path in given.photos]
    for name in NAMES[:1] if given.prune else NAMES:
        estimator = open_estimator(name)
        inputs = batches(_views(photos, estimator))
        if given.prune:
            for change in (without_weights, without_groups):
                for share in (0.125, 0.25, 0.5):
                    pruned = change(estimator.network, share)
                    worse = compare(estimator.kind, estimator.network, pruned, inputs[1::2]).worse
                    print(f"{name}, {change.__name__} {share}: {worse:+.3f} points")
            continue
        exact = to_onnx(estimator.network, inputs[0][:2], IMAGES, estimator.outputs)
        int8 = to_int8(exact, inputs[::2])
        one, served = inputs[0][:1], [Served(content, name) for content in (exact, int8)]
        with torch.inference_mode():
            took = times(
                {
                    "torch": lambda: estimator.network(one),  # noqa: B023
                    "onnx": lambda: served[0](one),  # noqa: B023
                    "int8": lambda: served[1](one),  # noqa: B023
                }
            )
        accuracy = compare(estimator.kind, estimator.network, served[1], inputs[1::2])
        words = ", ".join(f"{key} {value:.2f} ms" for key, value in took.items())
        sizes = f"{len(exact)} -> {len(int8)} bytes ({len(exact) / len(int8):.2f})"
        print(f"{name}: {words}; {sizes}; error {accuracy.float32:.3f} -> {accuracy.int8:.3f} points", flush=True)


if __name__ == "__main__":
    main()
