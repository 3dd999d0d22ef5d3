"""People whom a network for retargeting can show: those it was trained on, and new ones fitted to a few pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import UsageError, WeightsError
from latentface.io.tensors import read_tensors, write_tensors
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.retargeting import Person, RetargetNet

FORMAT = "latentface-person"
SUFFIX = ".person.safetensors"
STEPS = 150
RATE = 0.1  # of Adam at the start, in the units below; it falls to 0 along a cosine
TINT = 0.2  # of a portrait's pixels, a unit of the search as is the known people's deviation for vectors
CLOSE = 2e-3  # weight of the squared distance from where the search begins, in these units
PERCEPTUAL = 0.5  # weight of the perceptual distance beside the absolute difference
StepCallback = Callable[[int, float], None]


def fit_person(
    network: RetargetNet,
    pictures: Tensor,
    landmarks: Tensor,
    perceptual: FeatureDistance,
    steps: int = STEPS,
    on_step: StepCallback = lambda step, loss: None,
) -> Person:
    """Fit a new person's vector and portrait to a few pictures, with the network frozen.

    The codes of the pictures are encoded once. The search begins with the mean vector of the people that the network
    was trained on and the mean of the pictures, and is kept near these, since a few pictures do not determine all.

    Args:
        network: the network, with its parameters frozen.
        pictures: FFHQ crops [N, 3, R, R] in [-1, 1] of the person.
        landmarks: theirs, [N, 68, 2], as the network takes them.
        perceptual: a perceptual distance.
        steps: of Adam.
        on_step: called as on_step(step, loss).

    Raises:
        UsageError: no picture.
    """
    if not len(pictures):
        raise UsageError("a new person needs at least one picture")
    with torch.no_grad():
        codes = network.encode(pictures, landmarks).mean
    known = network.vectors.detach()
    deviation = known.std(0, keepdim=True, correction=0).clamp(min=1e-3)
    vector, portrait = known.mean(0, keepdim=True), F.avg_pool2d(pictures, 2).mean(0, keepdim=True)
    change = [torch.zeros_like(each).requires_grad_() for each in (vector, portrait)]

    def moved() -> Person:
        return Person(vector + deviation * change[0], portrait + TINT * change[1])

    optimiser = torch.optim.Adam(change, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        shown, _ = network.decode(codes, moved().expand(len(pictures)))
        loss = (shown - pictures).abs().mean() + PERCEPTUAL * perceptual(shown, pictures).mean()
        loss = loss + CLOSE * (change[0].square().mean() + change[1].square().mean())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        on_step(step, float(loss.detach()))
    with torch.no_grad():
        return moved()


def save_person(path: str | os.PathLike[str], person: Person, network: RetargetNet) -> None:
    """Write a fitted person; the file belongs to the network.

    Raises:
        OutputError: it cannot be written.
    """
    header = {"format": FORMAT, "network": fingerprint(network)}
    write_tensors(path, {"vector": person.vector, "portrait": person.portrait}, header)


def load_person(path: str | os.PathLike[str], network: RetargetNet) -> Person:
    """Read a person's file.

    Raises:
        WeightsError: it is missing, damaged, no person's file, or was fitted with another network.
    """
    tensors, header = read_tensors(path, WeightsError, f"a person's file (*{SUFFIX})")
    if header.get("format") != FORMAT or set(tensors) != {"vector", "portrait"}:
        raise WeightsError(f"{os.fspath(path)} is no person's file: make one with `latentface retarget --save-person`")
    if header.get("network") != fingerprint(network):
        raise WeightsError(f"{os.fspath(path)} was fitted with another network; fit the person again with this one")
    return Person(tensors["vector"], tensors["portrait"])


def fingerprint(network: RetargetNet) -> str:
    """SHA-256 of the network's parameters, in hex."""
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
