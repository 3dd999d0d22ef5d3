"""Measures of a clip by itself: whether the person stays the same, how smoothly it moves, and how it flickers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor

from latentface import metrics
from latentface.arrays import Pixels
from latentface.evaluation.figures import Figure
from latentface.evaluation.pairs import FindFace
from latentface.io.images import to_tensor

CLIP_MEASURES: Final = ("acd", "roughness", "flicker")


class ClipMeter:
    """Gathers what is needed of each frame, so that a clip is gone through once.

    Args:
        identity: crops [N, 3, R, R] -> unit vectors [N, D].
        find_face: the face to follow.
        rate: frames a second.
    """

    def __init__(self, identity: Callable[[Tensor], Tensor], find_face: FindFace, rate: float) -> None:
        self.identity, self.find_face, self.rate = identity, find_face, rate
        self._people: list[Tensor] = []
        self._runs: list[list[Tensor]] = [[]]  # of landmarks, of frames in a row that show the face
        self._frames: list[np.ndarray] = []
        self._bends: list[float] = []

    @torch.no_grad()
    def see(self, frame: Pixels) -> None:
        """Take a frame uint8 [H, W, 3] in."""
        self._frames = [*self._frames[-2:], frame.astype(np.int16)]
        if len(self._frames) == 3:
            before, now, after = self._frames
            self._bends.append(float(np.abs(before - 2 * now + after).mean()))
        face = self.find_face(frame)
        if face is None:
            self._runs.append([])
            return
        self._people.append(self.identity(to_tensor(face.image))[0].float())
        self._runs[-1].append(torch.from_numpy(np.asarray(face.landmarks, np.float64)))

    def watch(self, frames: Iterable[Pixels]) -> Iterator[Pixels]:
        """The frames of a clip, each seen on its way."""
        for frame in frames:
            self.see(frame)
            yield frame

    def figures(self) -> dict[str, Figure]:
        """The clip's measures.

        acd: mean distance of the identity's embeddings of any two frames (`metrics.content_distance`). roughness: mean
        acceleration of the landmarks (`metrics.landmark_roughness`). flicker: mean size of the pixels' second
        difference in time, in grey levels of 255.
        """
        people = len(self._people)
        acd = float(metrics.content_distance(torch.stack(self._people))) if people > 1 else math.nan
        runs = [torch.stack(run) for run in self._runs if len(run) > 2]
        rough = [float(metrics.landmark_roughness(run, self.rate)) for run in runs]
        smooth = float(np.average(rough, weights=[len(run) - 2 for run in runs])) if runs else math.nan
        flicker = float(np.mean(self._bends)) if self._bends else math.nan
        values = {
            "acd": (acd, people),
            "roughness": (smooth, sum(map(len, runs))),
            "flicker": (flicker, len(self._bends) + 2),
        }
        return {name: Figure(value, math.nan, math.nan, count) for name, (value, count) in values.items()}
