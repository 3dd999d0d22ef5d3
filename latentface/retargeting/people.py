"""People whom a network for retargeting can show: those it was trained on, and new ones fitted to a few pictures."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import torch
from torch import Tensor

from latentface.errors import UsageError, WeightsError
from latentface.io.tensors import read_tensors, write_tensors
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.retargeting import Person, RetargetNet

FORMAT = "latentface-person"
SUFFIX = ".person.safetensors"
STEPS = 300
RATE = 0.1  # of Adam at the start, in deviations of the known people; it falls to 0 along a cosine
CLOSE = 2e-3  # weight of the squared distance from the mean person, in the units of the people that are known
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
    """Fit a new person's vector and map to a few pictures, with the network frozen.

    The codes of the pictures are encoded once. The search begins with the mean of the people that the network was
    trained on and is kept near it, in the units of their deviations, since a few pictures do not determine all.

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
    known = network.vectors.detach(), network.maps.detach()
    spread = [each.std(0, keepdim=True, correction=0).clamp(min=1e-3) for each in known]
    mean = [each.mean(0, keepdim=True) for each in known]
    moved = [torch.zeros_like(each).requires_grad_() for each in mean]
    optimiser = torch.optim.Adam(moved, lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        vector, place = (m + s * x for m, s, x in zip(mean, spread, moved, strict=True))
        count = len(pictures)
        made, _ = network.decode(codes, Person(vector.expand(count, -1), place.expand(count, -1, -1, -1)))
        loss = (made - pictures).abs().mean() + PERCEPTUAL * perceptual(made, pictures).mean()
        loss = loss + CLOSE * sum((x.square().mean() for x in moved), torch.zeros(()))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        on_step(step, float(loss.detach()))
    with torch.no_grad():
        vector, place = (m + s * x for m, s, x in zip(mean, spread, moved, strict=True))
    return Person(vector, place)


def save_person(path: str | os.PathLike[str], person: Person, network: RetargetNet) -> None:
    """Write a fitted person; the file belongs to the network.

    Raises:
        OutputError: it cannot be written.
    """
    write_tensors(
        path, {"vector": person.vector, "map": person.map}, {"format": FORMAT, "network": fingerprint(network)}
    )


def load_person(path: str | os.PathLike[str], network: RetargetNet) -> Person:
    """Read a person's file.

    Raises:
        WeightsError: it is missing, damaged, no person's file, or was fitted with another network.
    """
    tensors, header = read_tensors(path, WeightsError, f"a person's file (*{SUFFIX})")
    if header.get("format") != FORMAT or set(tensors) != {"vector", "map"}:
        raise WeightsError(f"{os.fspath(path)} is no person's file: make one with `latentface retarget --save-person`")
    if header.get("network") != fingerprint(network):
        raise WeightsError(f"{os.fspath(path)} was fitted with another network; fit the person again with this one")
    return Person(tensors["vector"], tensors["map"])


def fingerprint(network: RetargetNet) -> str:
    """SHA-256 of the network's parameters, in hex."""
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        found.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
