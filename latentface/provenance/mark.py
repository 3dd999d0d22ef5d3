"""The invisible mark in photos and clips: put into the pixels of a face, and read from it.

The face is aligned, the mark is computed on its crop of 128 px and enlarged to the photo; reading aligns it again, so
that crops and other sizes of the photo do not matter. Pixels outside the face's outline stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.faces import alignment
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.crop import ffhq_quad, map_points, quad_to_matrix
from latentface.faces.mark_region import mark_region
from latentface.faces.square import cut_out
from latentface.faces.tracking import Tracker, look_near
from latentface.io.clip import Clip, Frame
from latentface.networks.mark import SIDE, MarkNets
from latentface.provenance.payload import Payload

if TYPE_CHECKING:
    from latentface.faces.people import People

#: Sides of FFHQ crops in photo pixels below which a face is too small to carry a mark.
SMALLEST = 96
#: The least confidence of a single frame's reading: marks have more, faces without one hardly ever that much.
LEAST_CONFIDENCE = 0.95
LOOK_EVERY = 4  # frames of a clip; between them the drawn face is known well enough
ROWS = 256  # of the photo that are marked together, which bounds the memory needed


@dataclass(frozen=True)
class MarkReading:
    """A mark that was found.

    Attributes:
        payload: what it says.
        wrong_bits: how many of its 48 bits were wrong and put right.
        confidence: the mean probability that the reader gave to the bits as they were put right, 0.5 ... 1.
        frames: how many frames of a clip voted; 1 for a photo.
    """

    payload: Payload
    wrong_bits: int
    confidence: float
    frames: int = 1


class Marker:
    """Puts marks into faces and reads them; landmarks: the built-in predictor, since both sides must use the same."""

    def __init__(self, networks: MarkNets, landmarks: LandmarkPredictor) -> None:
        self.networks, self.landmarks = networks, landmarks

    def mark(self, photo: Pixels, payload: Payload, near: NDArray[np.floating] | None = None) -> Pixels | None:
        """A photo with the mark in one face.

        Args:
            photo: uint8 RGB [H, W, 3].
            payload: what the mark says.
            near: landmarks [68, 2] that the face had before it was edited; the best detected face if None.

        Returns:
            The marked photo, or None if it shows no face that is large enough.
        """
        if min(photo.shape[:2]) < SMALLEST:
            return None
        if near is not None:
            points = np.asarray(self.landmarks(photo, alignment.box_around(near)[None])[0])
        else:
            found = alignment.detect_faces(photo)[0]
            if not len(found):
                return None
            points = np.asarray(self.landmarks(photo, found[:1])[0])
        return self.mark_face(photo, points, payload)

    def mark_face(self, photo: Pixels, landmarks: NDArray[np.floating], payload: Payload) -> Pixels | None:
        """A photo, uint8 RGB [H, W, 3], with the mark in the face of these landmarks [68, 2]; None for a small one."""
        quad = ffhq_quad(landmarks)
        to_photo = quad_to_matrix(quad, SIDE)
        if np.linalg.norm(quad[3] - quad[0]) < SMALLEST:
            return None
        mask = mark_region(map_points(np.linalg.inv(to_photo), landmarks), SIDE)
        bits = torch.from_numpy(payload.to_bits()).float()[None]
        with torch.no_grad():
            found = self.networks(_light(photo, quad), torch.from_numpy(mask)[None, None], bits)
        return _add(photo, to_photo, found)

    def mark_clip(self, clip: Clip, kind: str) -> Clip:
        """A clip with a mark in every frame that shows a face, which is tracked; kind: as for `Payload.of`.

        All frames have the number of the first one. Clips that are too small for a mark are returned as they are.
        """
        if min(clip.size) < SMALLEST:
            return clip

        def marked(frames: Iterable[Frame]) -> Iterator[Frame]:
            faces, payload = FaceFinder(self.landmarks), None
            for frame in frames:
                rgb = np.ascontiguousarray(frame.pixels[..., :3])
                payload = payload or Payload.of(kind, rgb)
                points = faces(rgb, frame.face)
                made = None if points is None else self.mark_face(rgb, points, payload)
                yield frame if made is None else frame.with_colours(made)

        return clip.through(marked)

    def read(self, photo: Pixels) -> list[MarkReading]:
        """The marks of all faces of a photo, uint8 RGB [H, W, 3], best detected face first."""
        boxes, _ = alignment.detect_faces(photo)
        if not len(boxes):
            return []
        faces = self.landmarks(photo, boxes)
        readings = (decode_odds([self.odds(photo, points)]) for points in faces)
        return [reading for reading in readings if reading is not None]

    def read_frames(self, frames: Iterable[Frame]) -> MarkReading | None:
        """The mark of the face that is tracked through frames, which vote by their log odds."""
        tracker, odds = Tracker(self.landmarks), []
        for frame in frames:
            rgb = np.ascontiguousarray(frame.pixels[..., :3])
            points = tracker(rgb)
            if points is not None:
                odds.append(self.odds(rgb, points))
        return decode_odds(odds)

    def read_people(self, frames: Iterable[Frame], people: People) -> MarkReading | None:
        """The most certain mark of anybody in frames, who are followed, and vote for each person apart."""
        odds: dict[int, list[Float32Array]] = {}
        for frame in frames:
            rgb = np.ascontiguousarray(frame.pixels[..., :3])
            for number, points in people(rgb).items():
                odds.setdefault(number, []).append(self.odds(rgb, points))
        read = [reading for reading in map(decode_odds, odds.values()) if reading is not None]
        return max(read, key=lambda reading: reading.confidence, default=None)

    def odds(self, photo: Pixels, landmarks: NDArray[np.floating]) -> Float32Array:
        """The log odds [48] that each bit is 1, read from the face that has these landmarks [68, 2]."""
        with torch.no_grad():
            odds: Float32Array = self.networks.reader(_light(photo, ffhq_quad(landmarks)))[0].numpy()
        return odds


class FaceFinder:
    """Finds the face of each frame of a film, as the reader of its mark will find it.

    If the landmarks of a drawn face are known, the network looks at some of the frames alone, and what it sees
    elsewhere than they say is added to those of the frames between. Otherwise the face is tracked.
    """

    def __init__(self, landmarks: LandmarkPredictor) -> None:
        self._landmarks, self._tracker = landmarks, Tracker(landmarks, dense=True)
        self._frames, self._offset = 0, np.zeros(2)

    def __call__(self, picture: Pixels, drawn: Float64Array | None) -> Float64Array | None:
        """Landmarks [68, 2] in uint8 RGB [H, W, 3], or None if it shows no face; drawn: `Frame.face`."""
        if drawn is None:
            return self._tracker(picture)
        if self._frames % LOOK_EVERY == 0:
            self._offset = look_near(self._landmarks, picture, drawn) - drawn
        self._frames += 1
        return drawn + self._offset


def _light(photo: Pixels, quad: Float64Array) -> torch.Tensor:
    """The brightness (ITU-R BT.601) of the FFHQ crop of 128 px, float32 [1, 1, 128, 128] in levels.

    Sampled at 256 px, which takes a fifth of the time of `crop_face`; beyond the photo its edge goes on.
    """
    low, high = np.floor(quad.min(0)).astype(int) - 2, np.ceil(quad.max(0)).astype(int) + 3
    image = Image.fromarray(cut_out(photo, *low.tolist(), *(high - low).tolist())).convert("L")
    fine = 2 * SIDE
    shrunk = max(1, int(np.linalg.norm(quad[3] - quad[0]) / fine))
    matrix = quad_to_matrix(quad, fine)[:2]
    matrix[:, 2] += 0.5 - matrix[:, :2].sum(1) / 2 - low  # Pillow counts from the corners of pixels
    crop = image.reduce(shrunk).transform(
        (fine, fine), Image.Transform.AFFINE, (matrix / shrunk).ravel().tolist(), Image.Resampling.BICUBIC
    )
    return torch.from_numpy(np.asarray(crop.reduce(2), np.float32))[None, None]


def decode_odds(odds: Sequence[Float32Array]) -> MarkReading | None:
    """What one or more readings of 48 bits say together."""
    if not odds:
        return None
    total = np.sum(odds, axis=0)
    found = Payload.from_bits((total > 0).astype(np.uint8))
    if found is None:
        return None
    payload, wrong = found
    signs = payload.to_bits() * 2.0 - 1
    if confidence(total * signs / len(odds)) < LEAST_CONFIDENCE:
        return None
    return MarkReading(payload, wrong, confidence(total * signs), len(odds))


def confidence(odds: NDArray[np.floating]) -> float:
    """The mean probability of bits by their log odds [48], 0.5 ... 1 for bits as they are read."""
    return float((1 / (1 + np.exp(-np.clip(odds, -30, 30)))).mean())


def _add(photo: Pixels, to_photo: Float64Array, mark: torch.Tensor) -> Pixels:
    """The photo with the mark [1, 1, 128, 128] added, in levels; to_photo: the map from the crop of that size."""
    rows, columns = _extent(to_photo, mark[0, 0].numpy(), photo.shape[0], photo.shape[1])
    from_photo, made = np.linalg.inv(to_photo), np.array(photo)
    for top in range(rows.start, rows.stop, ROWS):
        band = slice(top, min(top + ROWS, rows.stop))
        y, x = np.mgrid[band, columns]
        places = map_points(from_photo, np.stack([x, y], axis=-1))
        grid = torch.from_numpy((places + 0.5) * (2 / SIDE) - 1).float()[None]
        added = F.grid_sample(mark, grid, mode="bicubic", padding_mode="zeros", align_corners=False)[0, 0].numpy()
        made[band, columns] = np.rint(photo[band, columns] + added[..., None]).clip(0, 255)
    return made


def _extent(to_photo: Float64Array, mark: Float32Array, height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns of the photo that the mark covers."""
    y, x = np.nonzero(mark)
    if not len(y):
        return slice(0, 0), slice(0, 0)
    low, high = np.array([x.min(), y.min()]) - 0.5, np.array([x.max(), y.max()]) + 0.5
    corners: Float64Array = np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])
    outline = map_points(to_photo, corners)
    first = np.floor(outline.min(0)).astype(int).clip(0, (width, height))
    last = np.ceil(outline.max(0)).astype(int).clip(-1, (width - 1, height - 1)) + 1
    return slice(first[1], last[1]), slice(first[0], last[0])
