"""Faces that show an emotion, for the recipe of the classifier: people driven by the head, and plain photographs.

The emotion of a driven picture is known. A photograph counts where the head that is fitted to it leaves no doubt: it
smiles, or hardly anything in it moves. Other emotions are too rare and too mixed in photographs to be read off a fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import torch

from latentface.emotion import Emotion
from latentface.errors import InputError
from latentface.head.coefficients import indices_of
from latentface.head.fit import HeadFit
from latentface.synthface.portrait_sources import is_trusted, read_faces
from latentface.synthface.portraits import fit_faces
from latentface.training.data import load_shards
from latentface.training.faces import FaceData
from latentface.training.photo_landmarks import driven, photographed

SMILES: Final = 0.4  # mean weight of the smile from which a face is happy
#: Mean weights of both sides below which a face is neutral: about what fits of plain faces differ by.
QUIET: Final[Mapping[str, float]] = MappingProxyType({
    "mouthSmile": 0.15, "jawOpen": 0.1, "mouthFrown": 0.15, "browDown": 0.25, "browInnerUp": 0.25, "browOuterUp": 0.3,
    "mouthUpperUp": 0.15, "noseSneer": 0.2, "eyeBlink": 0.3, "mouthPress": 0.3,
})  # fmt: skip


def emotion_of(fit: HeadFit) -> Emotion | None:
    """Happiness or neutral where a fit leaves no doubt, else None."""

    def mean(name: str) -> float:
        return float(fit.expression[indices_of(fit.expression_names, name)].mean())

    if mean("mouthSmile") > SMILES:
        return Emotion.HAPPINESS
    return Emotion.NEUTRAL if all(mean(name) < most for name, most in QUIET.items()) else None


def load_driven(rigged: Path, held: frozenset[str]) -> tuple[FaceData, FaceData]:
    """Driven pictures that show an emotion, with it as their label: those to train on, and those of people `held`.

    Raises:
        InputError: no shards, or none of either.
    """
    shards = load_shards(rigged, ("images", "name", "landmarks", "kind"))
    kind = shards["kind"].astype(np.int64)
    emotional, apart = kind < len(Emotion), np.isin(shards["name"], list(held))
    parts = []
    for wanted in (emotional & ~apart, emotional & apart):
        chosen = np.nonzero(wanted)[0]
        if not len(chosen):
            raise InputError(f"{rigged}: no driven face to train on, or none to measure on, shows an emotion")
        parts.append(driven(shards, chosen, "emotion", kind))
    return parts[0], parts[1]


def load_photographs(faces: Path, fits: Path, held: frozenset[str]) -> FaceData:
    """Photographs of people who are not `held` that are surely happy or neutral, as many of each.

    Args:
        faces: folder of photographs (see `portrait_sources`).
        fits: the ``fits.jsonl`` that `synthface.portraits` keeps of them; what it lacks is fitted.
        held: names of the photographs to leave out.

    Raises:
        InputError: the fits cannot be read, or there is no photograph of either emotion.
    """
    photos = read_faces(faces)
    heads = fit_faces(photos, fits)
    found: dict[Emotion, list[int]] = {Emotion.NEUTRAL: [], Emotion.HAPPINESS: []}
    for k, face in enumerate(photos):
        fit = heads[face.name]
        if fit is not None and is_trusted(face, fit) and face.name not in held:
            emotion = emotion_of(fit)
            if emotion is not None:
                found[emotion].append(k)
    count = min(map(len, found.values()))
    if not count:
        raise InputError(f"{fits}: no photograph of {faces} is surely happy, or none surely neutral")
    rng = np.random.default_rng(0)
    chosen = np.concatenate([rng.permutation(places)[:count] for places in found.values()])
    labels = torch.tensor([emotion.index for emotion in found]).repeat_interleave(count)
    return photographed([photos[k] for k in chosen], "emotion", labels)
