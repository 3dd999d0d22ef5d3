"""Expression videos: the face of one photo goes through emotions, and every frame is put back into the photo."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from latentface import api
from latentface.clip import Clip, Frame, parse_rate
from latentface.compositor import Compositor
from latentface.emotion import Emotion, EmotionSequence
from latentface.errors import UsageError
from latentface.face import map_points
from latentface.images import Pixels, to_tensor, to_uint8
from latentface.latent import Direction
from latentface.options import CompositeOptions, SequenceOptions, VideoOptions
from latentface.sequencer import Repertoire, Sequencer, frame_times
from latentface.transferrer import Face
from latentface.warping import scaling

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

#: What a direction's name is multiplied by: full emotions and shut eyes in standard deviations, turns a degree.
FULL = {
    "happiness": 2.0, "sadness": 2.0, "surprise": 2.0, "anger": 2.0, "disgust": 2.0, "fear": 2.0,
    "eyes-closed": 2.0, "yaw": 0.1, "pitch": 0.1,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Performance:
    """The frames of an expression video, drawn while they are asked for, each time anew and all alike.

    Attributes:
        generator: draws the face.
        sequencer: its latent at any time.
        rate: frames a second; count: how many frames share the sequence's seconds.
        compositor: puts them into a photo; None for the face alone.
        alpha: the photo's fourth channel [H, W], if it has one.
        batch: frames that go through the generator together.
    """

    generator: Generator
    sequencer: Sequencer
    rate: Fraction
    count: int
    compositor: Compositor | None = None
    alpha: Pixels | None = None
    batch: int = 8

    def __iter__(self) -> Iterator[Frame]:
        times = frame_times(self.sequencer.seconds, self.count)
        batches = np.split(times, range(self.batch, self.count, self.batch))
        number = 0
        with ThreadPoolExecutor(1) as pool:  # the next batch is drawn while this one is put into the photo and encoded
            drawn = pool.submit(self.draw, batches[0])
            for following in [*batches[1:], None]:
                images = drawn.result()
                if following is not None:
                    drawn = pool.submit(self.draw, following)
                for image in images:
                    yield Frame(self._place(image), number / self.rate)
                    number += 1

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of a frame."""
        side = self.generator.config.resolution
        height, width = (side, side) if self.compositor is None else self.compositor.photo.shape[:2]
        return width, height

    @property
    def clip(self) -> Clip:
        """The frames as a clip."""
        return Clip(self, self.rate, self.size, self.count, alpha=self.alpha is not None)

    def draw(self, times: NDArray[np.float64]) -> Pixels:
        """The face at times [N] in seconds as the generator draws it: uint8 RGB [N, R, R, 3]."""
        return draw(self.generator, self.sequencer, self.sequencer.ws(times))

    def _place(self, image: Pixels) -> Pixels:
        pixels = image if self.compositor is None else self.compositor.place(image)
        return pixels if self.alpha is None else np.dstack([pixels, self.alpha])


def perform(
    face: Face,
    sequence: EmotionSequence,
    generator: Generator,
    options: SequenceOptions | None = None,
    video: VideoOptions | None = None,
    composite: CompositeOptions | None = None,
) -> Performance:
    """A face goes through a sequence of emotions.

    Args:
        face: as `Transferrer.faces` makes it ready; without a photo (a latent) it is shown alone.
        generator: the network of its latent.
        options, video, composite: how the face moves, what is drawn, and how it is put into the photo.

    Raises:
        UsageError: a direction is missing, the rate cannot be read, or the clip would have no frame.
        LatentMismatch: a direction belongs to another network.
    """
    options, video = options or SequenceOptions(), video or VideoOptions()
    repertoire = load_repertoire(generator, sequence, options)
    sequencer = Sequencer(face.latent, repertoire, sequence, options, centre=generator.w_avg)
    rate = parse_rate(video.fps)
    count = round(sequencer.seconds * rate)
    if not count:
        raise UsageError(f"{sequencer.seconds:g} seconds at {video.fps} frames a second have no frame; ask for more")
    if video.crop or face.photo is None:
        return Performance(generator, sequencer, rate, count, batch=video.batch)
    compositor = ground(face, generator, sequencer, composite)
    return Performance(generator, sequencer, rate, count, compositor, face.photo.alpha, video.batch)


def load_repertoire(generator: Generator, sequence: EmotionSequence, options: SequenceOptions) -> Repertoire:
    """The directions of a generator that a sequence and its options ask for, scaled by `FULL`.

    Raises UsageError for one that there is not for this network.
    """

    def scaled(name: str) -> Direction:
        return FULL[name] * api.load_direction(name, generator)

    wanted = {s.emotion for s in sequence.segments} - {Emotion.NEUTRAL}
    return Repertoire(
        {emotion: scaled(emotion.value) for emotion in wanted},
        scaled("eyes-closed") if options.blinks else None,
        *([scaled("yaw"), scaled("pitch")] if options.sway else ()),
    )


def ground(face: Face, generator: Generator, sequencer: Sequencer, options: CompositeOptions | None) -> Compositor:
    """The compositor of a clip: one mask for all frames, as wide as the outline of the face ever gets."""
    assert face.photo is not None and face.crop is not None
    start, *poses = draw(generator, sequencer, torch.cat([sequencer.start.ws[None], sequencer.extremes()]))
    to_photo = face.crop.to_photo @ scaling(face.crop.size / len(start))
    reach = [map_points(to_photo, find_points(generator, pose)) for pose in poses]
    return Compositor(face.photo.rgb, face.crop, options, reference=start, reach=reach)


def draw(generator: Generator, sequencer: Sequencer, ws: torch.Tensor) -> Pixels:
    """ws [N, num_ws, w_dim] with the noise maps of the sequencer's start: uint8 RGB [N, R, R, 3]."""
    device = generator.w_avg.device
    maps = sequencer.start.noise
    noise = None if maps is None else [each[None, None].to(device) for each in maps]
    with torch.no_grad():
        return to_uint8(generator.synthesis(ws.to(device), noise_mode="const", noise=noise))


def find_points(generator: Generator, image: Pixels) -> NDArray[np.float64]:
    """Landmarks [68, 2] of a drawn face [R, R, 3], in its pixels."""
    device = generator.w_avg.device
    with torch.no_grad():
        points = api.judge(str(device)).landmarks(to_tensor(image).to(device))[0]
    return np.asarray(points.cpu().double().numpy() * len(image) - 0.5)
