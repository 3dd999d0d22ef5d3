"""Animates one or several faces of a still photo by driving clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.errors import UsageError
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.crop import FaceCrop
from latentface.faces.person_tracker import PersonTracker
from latentface.faces.square import SIDE, Square, shrink
from latentface.fields import resize, smoothstep
from latentface.io.clip import Clip, Frame
from latentface.io.images import Photo, to_tensor, to_uint8
from latentface.io.provenance import COMPOSITE
from latentface.motion.background import carry_along
from latentface.motion.driver import Driver, DriverReport, retargeting, together
from latentface.motion.face_model import FaceModel, Points
from latentface.motion.in_order import free_cores, in_order
from latentface.networks.precision import convolving, is_rough
from latentface.options.clips import AnimateOptions

State = TypeVar("State")
StateIn = TypeVar("StateIn", contravariant=True)
Seen = TypeVar("Seen")

FEATHER = (
    0.05  # share of the square's side: the soft edge of the blend, narrow because old and new are both visible in it
)
STILL = 0.5  # weight of the blend below which the picture is kept still
LIVE_WORKERS = 2  # frames of a live picture that are rendered at once; each more would make it later
HEAD = (0.4, 0.48)  # semi-axes of the ellipse around head and neck, in sides of the square


@dataclass
class AnimateReport:
    """Statistics, filled while the frames are rendered. ``faces`` are their squares (left, top, side) in the photo."""

    faces: list[tuple[int, int, int]] = field(default_factory=list)
    drivers: list[DriverReport] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Number of frames rendered so far."""
        return self.drivers[0].frames if self.drivers else 0

    @property
    def missing(self) -> int:
        """Number of frames in which a driver showed no face."""
        return sum(len(driver.missing) for driver in self.drivers)


@dataclass(frozen=True, eq=False)
class Animation:
    """``clip`` computes its frames on demand, once; ``report`` is complete when they are done."""

    clip: Clip
    report: AnimateReport


class Moving(Protocol[StateIn]):
    """A face of a photo that can be rendered in any state."""

    square: Square

    def place(self, base: Pixels, target: StateIn, /) -> Float64Array | None:
        """Render the face in a given state into a copy of the picture, in place; its landmarks [68, 2] if known."""


class MovingFace(Generic[Points]):
    """One face of a photo: the data that the model needs, computed once, and the blending of frames into the photo.

    Args:
        picture: uint8 [H, W, 3], or [H, W, 4] with alpha.
        square: of the face in it.
    """

    def __init__(self, picture: Pixels, square: Square, model: FaceModel[Points], options: AnimateOptions) -> None:
        self.model: FaceModel[Points] = model
        self.options = options
        self.square = square
        self.shape = picture.shape[:2]
        cut = self.square.cut(picture)
        device = next(model.parameters()).device
        source = to_tensor(shrink(cut[..., :3], model.config.resolution)).to(device)
        self.large = _to_tensor(cut).to(device)
        self.rough = is_rough(options.precision, device)
        with torch.inference_mode():
            self.keypoints: Points = model.keypoints(source)
            self.encoded = model.encode(source)
        self.mask = self._feather()

    def place(self, base: Pixels, target: Points) -> None:
        """Render the face with its keypoints at `target` into a copy of the picture, in place."""
        mask = self.mask
        if self.options.still_background:
            mask = mask * self._head(target)
        with torch.inference_mode():
            with convolving(self.rough, self.large.device):
                drawn = self.model.predict(self.encoded, self.keypoints, target)
            drawn = carry_along(drawn, resize(mask, drawn.motion.field.shape[1:3]) < STILL)
            patch = _to_pixels(self.model.compose(self.large, drawn))
        left, top, side = self.square.left, self.square.top, self.square.side
        rows = slice(max(top, 0), min(top + side, self.shape[0]))
        columns = slice(max(left, 0), min(left + side, self.shape[1]))
        own = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        under = base[rows, columns].astype(np.float32)
        blended = under + (patch[own] - under) * mask[own][..., None]
        base[rows, columns] = np.rint(blended).clip(0, 255).astype(np.uint8)

    def leave_room(self, others: Sequence[Square]) -> None:
        """Exclude places that are nearer to the centre of another face, in sides of the squares.

        So each face is taken from its own square, where it moves, and not from that of a neighbour, where it is still.
        """

        def away(square: Square) -> Float32Array:
            y, x = np.ogrid[: self.square.side, : self.square.side]
            x, y = x + self.square.left - square.left, y + self.square.top - square.top
            return np.asarray(np.hypot(x + 0.5 - square.side / 2, y + 0.5 - square.side / 2) / square.side, np.float32)

        for other in others:
            self.mask = self.mask * smoothstep(0.5 + (away(other) - away(self.square)) / FEATHER)

    def _feather(self) -> Float32Array:
        """The square's soft edge [side, side]; none along the picture's own border."""
        side, (height, width) = self.square.side, self.shape

        def along(first: int, length: int) -> Float32Array:
            at = np.arange(side, dtype=np.float32)
            before = np.full(side, np.inf) if first <= 0 else at + 0.5
            after = np.full(side, np.inf) if first + side >= length else side - at - 0.5
            return smoothstep(np.minimum(before, after) / (FEATHER * side))

        return np.minimum(along(self.square.top, height)[:, None], along(self.square.left, width)[None])

    def _head(self, target: Points) -> Float32Array:
        """A soft ellipse around the old and the new position of the head, [side, side]."""
        at = (np.arange(self.square.side) + 0.5) / self.square.side - 0.5
        shift = (target.value - self.keypoints.value)[0, :, :2].mean(0).cpu().numpy() / 2
        far = np.full((len(at), len(at)), np.inf)
        for x, y in ((0.0, 0.0), shift.tolist()):
            far = np.minimum(far, np.hypot((at - x)[None] / HEAD[0], (at - y)[:, None] / HEAD[1]))
        return smoothstep((1.15 - far) / 0.3)


def animate(
    photo: Photo, faces: Sequence[FaceCrop], drivers: Sequence[Clip], model: FaceModel[Points],
    landmarks: LandmarkPredictor, options: AnimateOptions | None = None, still: Sequence[FaceCrop] = (),
    persons: Sequence[PersonTracker] = (),
) -> Animation:  # fmt: skip
    """Move the faces of a photo like those in driving clips.

    Args:
        photo: the whole picture; its alpha is kept and moved along.
        faces: the faces to move.
        drivers: one clip for all faces, or one for each face from left to right. The first clip determines timestamps,
            length and sound; the others are sampled at its times, and their last frame is held when they end.
        model: the First Order or free-view model.
        landmarks: the landmark network, for the faces of the clips.
        options: how; by default `AnimateOptions()`.
        still: the other faces of the photo, which are kept still.
        persons: whose face moves them, one for each clip; by default the best-scored one.

    Raises:
        UsageError: no face, no driver, or neither one driver nor one for each face.
        NoFaceFound: a driver shows no face.
    """
    options = options or AnimateOptions()
    ordered = order_faces(faces, drivers)
    picture = with_alpha(photo)
    moving = [MovingFace(picture, square_around(f.landmarks, model, options), model, options) for f in ordered]
    trackers: list[PersonTracker | None] = [*persons] or [None] * len(drivers)
    seen = [
        Driver(clip, model, landmarks, options, face.landmarks, person)
        for clip, face, person in zip(drivers, ordered, trackers, strict=False)
    ]
    places: list[Square] = [face.square for face in moving]
    beside: list[Square] = [square_around(face.landmarks, model, options) for face in still]
    for face in moving:
        face.leave_room([place for place in [*places, *beside] if place is not face.square])
    transfers = [
        retargeting(face.keypoints, seen[min(i, len(seen) - 1)].reference, options) for i, face in enumerate(moving)
    ]
    on_cpu = all(face.large.device.type == "cpu" for face in moving)
    frames = rendered(drivers[0], picture, moving, transfers, seen, free_cores() if on_cpu else 1)
    return assemble(drivers[0], picture, frames, places, [driver.report for driver in seen])


def square_around(landmarks: Float64Array, model: FaceModel[Points], options: AnimateOptions) -> Square:
    """The square of a photo's face that a model moves."""
    return Square.around(landmarks, options.crop * SIDE * model.config.square)


def order_faces(faces: Sequence[FaceCrop], drivers: Sequence[Clip]) -> list[FaceCrop]:
    """The faces from left to right; UsageError if there are none, or unless there is one driver or one for each."""
    if not faces or len(drivers) not in (1, len(faces)):
        raise UsageError(f"{len(drivers)} driving clips for {len(faces)} faces; give one for all, or one for each")
    return sorted(faces, key=lambda face: float(face.landmarks[:, 0].mean()))


def with_alpha(photo: Photo) -> Pixels:
    """A photo's pixels, uint8 [H, W, 3], or [H, W, 4] if it has alpha."""
    return photo.rgb if photo.alpha is None else np.dstack([photo.rgb, photo.alpha])


def move_frame(
    picture: Pixels, moving: Sequence[Moving[State]], transfers: Sequence[Callable[[Seen], State]], time: Fraction,
    driving: Sequence[Seen | None],
) -> Frame:  # fmt: skip
    """The picture with every face moved according to the state of its driver; None keeps a face still."""
    frame, landmarks, largest = picture.copy(), None, 0
    for i, (face, transfer) in enumerate(zip(moving, transfers, strict=True)):
        shown = driving[min(i, len(driving) - 1)]
        if shown is None:
            continue
        points = face.place(frame, transfer(shown))
        if face.square.side > largest:
            landmarks, largest = points, face.square.side
    return Frame(frame, time, landmarks)


def rendered(
    first: Clip, picture: Pixels, moving: Sequence[Moving[State]], transfers: Sequence[Callable[[Seen], State]],
    drivers: Sequence[Iterable[tuple[Fraction, Seen | None]]], workers: int,
) -> Iterator[Frame]:  # fmt: skip
    """The frames of `move_frame` at the times of the first driver, `workers` at once (of a camera, `LIVE_WORKERS`)."""

    def render(step: tuple[Fraction, list[Seen | None]]) -> Frame:
        return move_frame(picture, moving, transfers, *step)

    at_once, ahead = (min(workers, LIVE_WORKERS), 0) if first.live else (workers, 1)
    return in_order(together(drivers), render, at_once, ahead=ahead)


def assemble(
    first: Clip, picture: Pixels, frames: Iterable[Frame], squares: Sequence[Square], reports: Sequence[DriverReport]
) -> Animation:
    """The animation of a picture, with timestamps, length and sound of the first driving clip."""
    size = (picture.shape[1], picture.shape[0])
    clip = replace(first, frames=frames, size=size, alpha=picture.shape[2] == 4, source_type=COMPOSITE)
    return Animation(clip, AnimateReport([(each.left, each.top, each.side) for each in squares], list(reports)))


def _to_tensor(picture: Pixels) -> torch.Tensor:
    """uint8 [H, W, 3 or 4] -> [1, C, H, W] in [-1, 1]."""
    colour = to_tensor(picture[None, ..., :3])
    if picture.shape[2] == 3:
        return colour
    alpha = to_tensor(np.repeat(picture[..., 3:], 3, axis=2))[:, :1]
    return torch.cat([colour, alpha], dim=1)


def _to_pixels(drawn: torch.Tensor) -> Pixels:
    """[1, 3 or 4, H, W] in [-1, 1] -> uint8 [H, W, 3 or 4]."""
    colour: Pixels = to_uint8(drawn[:, :3])[0]
    if drawn.shape[1] == 3:
        return colour
    alpha = to_uint8(drawn[:, 3:].expand(-1, 3, -1, -1))[0, ..., :1]
    return np.concatenate([colour, alpha], axis=2)
