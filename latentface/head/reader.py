"""Reads expression and gaze from the pixels of a face, as a prior of the fit where landmarks say little."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from latentface.arrays import Float64Array, Pixels
from latentface.faces.alignment import frame_quad, sample_quad
from latentface.faces.crop import ffhq_quad
from latentface.head.fitting import Reading
from latentface.head.gaze import PITCH_AT_ONE, YAW_AT_ONE, Gaze
from latentface.io.images import to_tensor
from latentface.networks.head_reader import ANGLE_UNIT, ANGLES, HeadReaderConfig

# Prefixes of shapes for which only landmarks are used: the network's prediction is no better than none, or makes the
# fit worse.
UNTOLD = ("cheekPuff", "eyeBlink", "jawForward", "mouthPucker", "mouthRoll")
# Bias that is subtracted from shapes, by prefix: the network predicts raised brows and wide eyes for many neutral
# photographed faces.
AT_REST = {"browInnerUp": 0.2, "eyeWide": 0.2}
CAUTION = 1.0  # factor of the deviations that the network predicts
_LOST = 15.0  # degrees of deviation at which the confidence of a gaze is zero


class ExpressionEstimator(Protocol):
    """A `networks.head_reader.HeadReaderNet`, or the same in another runtime."""

    config: HeadReaderConfig

    def __call__(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Means and standard deviations [N, E + 4] of images [N, 3, S, S] in [-1, 1]."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """The weights, which lie on the device of the network; none if it takes pictures on the CPU."""


class HeadReader:
    """Reads faces with a network; the outputs for a picture and its mirror image are averaged.

    Attributes:
        names: the shapes that the network answers.
    """

    def __init__(self, network: ExpressionEstimator) -> None:
        self._network = network
        self._device = next((each.device for each in network.parameters()), torch.device("cpu"))
        self.names = network.config.expression_names
        self._order = mirror_order(self.names)

    def __call__(self, photo: Pixels, landmarks: NDArray[np.floating], names: tuple[str, ...]) -> Reading:
        """What a face shows.

        Args:
            photo: uint8 RGB [H, W, 3].
            landmarks: [68, 2] photo pixels.
            names: the shapes to read, in order (`HeadModel.expression_names`); shapes that the network does not predict
                have an infinite deviation.

        Raises:
            UsageError: landmarks of another shape, or that span no face.
        """
        config = self._network.config
        quad = frame_quad(ffhq_quad(landmarks), config.frame_scale, config.frame_shift)
        image = to_tensor(sample_quad(photo, quad, config.input_size)[None]).to(self._device)
        with torch.no_grad():
            means, deviations = self._network(torch.cat([image, image.flip(3)]))
        mean, deviation = means.double().cpu().numpy(), deviations.double().cpu().numpy()
        order, sign = self._order
        answer = (mean[0] + mean[1][order] * sign) / 2
        spread = (deviation[0] + deviation[1][order]) / 2
        return self._reading(answer, spread, names)

    def _reading(self, answer: Float64Array, spread: Float64Array, names: tuple[str, ...]) -> Reading:
        count = len(self.names)
        yaw, pitch = (answer[count : count + 2] * ANGLE_UNIT).tolist()
        lost = float(spread[count]) * ANGLE_UNIT
        gaze = Gaze(
            float(np.clip(yaw, -YAW_AT_ONE, YAW_AT_ONE)),
            float(np.clip(pitch, -PITCH_AT_ONE, PITCH_AT_ONE)),
            float(np.clip(1.0 - lost / _LOST, 0, 1)),
        )
        expression = gaze.weights(names)
        deviation = np.full(len(names), np.inf)
        for k, name in enumerate(names):
            if name.startswith("eyeLook"):
                deviation[k] = 0.0
            elif name in self.names and not name.startswith(UNTOLD):
                place = self.names.index(name)
                rest = next((less for stem, less in AT_REST.items() if name.startswith(stem)), 0.0)
                expression[k], deviation[k] = np.clip(answer[place], 0, 1) - rest, CAUTION * spread[place]
        return Reading(expression, deviation, gaze)


def mirror_order(names: tuple[str, ...]) -> tuple[list[int], Float64Array]:
    """For each of the network's E + 4 outputs, its index and sign in the output for the mirrored picture."""
    swapped = [n.replace("Left", "*").replace("Right", "Left").replace("*", "Right") for n in names]
    count = len(names)
    order = [names.index(name) for name in swapped] + list(range(count, count + ANGLES))
    return order, np.array([1.0] * count + [-1.0, 1.0, -1.0, 1.0])
