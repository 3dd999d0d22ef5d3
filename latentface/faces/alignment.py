"""Photo -> aligned face crops: detection, 68 landmarks and the FFHQ crop with its exact map back to the photo."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import dlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from latentface.arrays import Float64Array, Pixels
from latentface.errors import NoFaceFound, UsageError
from latentface.faces.crop import MIRROR, FaceCrop, ffhq_quad, map_points, quad_to_matrix
from latentface.io.images import resized, to_tensor
from latentface.networks.landmarks import LandmarkConfig

Detector = Callable[[Pixels], tuple[Float64Array, Float64Array]]
LandmarkPredictor = Callable[[Pixels, Float64Array], Float64Array]

_SUPERSAMPLE = 4  # the reference samples 4096 px for a crop of 1024
_FOLLOWING = 2  # the same for faces that are followed through a film
_SPARSE = 1.3  # pixels of the photo from one sample to the next at most
_WINDOW = 80  # dlib's detector uses a sliding window of 80 px
_COARSE_SIDE = 1800  # long side of the first working copy, in which faces of 4.5 % or more of it are found
_SMALLEST_FACE = 56  # the finest working copy enlarges a face of this many photo pixels to the size of the window
_LARGEST_COPY = 100_000_000  # pixels; dlib's feature planes take several times the memory of the copy
_MIN_SCORE = -0.05  # on the coarse copy
_MIN_SCORE_FINE = 0.25  # the finer copies of a photo have many more windows and so more false detections
_SURE_SCORE = 0.3  # below it a face counts only if it is the best in the photo
_OVERLAP = 0.3
_idle: list[dlib.fhog_object_detector] = []  # detectors that no thread uses at the moment

# Size and position of the aligned square relative to dlib's face box (both measured on renders), for the first pass of
# the landmark network; the second pass uses the result of the first.
_BOX_TO_QUAD = 1.7
_BOX_TO_QUAD_UP = 0.19


def align(
    photo: Pixels, *, size: int, landmarks: LandmarkPredictor, detector: Detector | None = None
) -> list[FaceCrop]:
    """Find every face in a photo as an FFHQ-aligned crop, with the highest score first.

    photo: uint8 RGB [H, W, 3]. size: side of the crops in pixels. landmarks: called with the photo and boxes [F, 4].
    detector: photo -> (boxes [F, 4] as x0, y0, x1, y1, scores [F]); `detect_faces` when None. If the photo shows no
    upright face, the other three quarter turns are tried; the crop and landmarks of a face found that way are turned in
    the photo, as the face is (`FaceCrop.quarter_turns`).
    Raises NoFaceFound if no face is found, UsageError for a size below 1 or a wrong dtype or shape.
    """
    if size < 1:
        raise UsageError(f"align: size must be at least 1, got {size}")
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
        raise UsageError(f"align: expected uint8 RGB [H, W, 3], got {photo.dtype} {list(photo.shape)}")
    detect = detector or detect_faces
    boxes, scores = detect(photo)
    turns = 0
    if len(boxes) == 0:
        turns, boxes, scores = _detect_turned(photo, detect)
    if len(boxes) == 0:
        height, width = photo.shape[:2]
        raise NoFaceFound(
            f"no face found in the photo ({width} x {height} pixels); give one where a face looks towards the "
            f"camera, is lit, and is at least {_SMALLEST_FACE} pixels wide"
        )
    order = np.argsort(-scores, kind="stable")
    points = landmarks(np.ascontiguousarray(np.rot90(photo, turns)), boxes[order])
    points = turned_back(points, turns, photo.shape[0], photo.shape[1])
    return [crop_face(photo, p, size, float(s)) for p, s in zip(points, scores[order], strict=True)]


def crop_face(photo: Pixels, landmarks: NDArray[np.floating], size: int, score: float = 1.0) -> FaceCrop:
    """The FFHQ crop [size, size, 3] around landmarks [68, 2] (Karras et al. 2019, appendix A).

    Where the square extends beyond the photo, the photo is padded by blurred reflection that fades to its median
    colour. The returned quad is in pixels of the photo itself. Raises UsageError if the landmarks do not span a face.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    quad = ffhq_quad(points)
    region, local = _cut_out(photo, quad, size)
    region, local = _continue_outside(region, local)
    image = _sample_square(region, local, size)
    return FaceCrop(image=image, landmarks=points, quad=quad, score=score)


def glance(photo: Pixels, landmarks: NDArray[np.floating], size: int, wider: float = 1.0) -> FaceCrop:
    """The crop of `crop_face` for a network to look at: only reflected beyond the photo, and sampled half as finely.

    Where the square extends beyond the photo this takes a seventh of the time. `wider` is a factor of its side.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    quad = ffhq_quad(points)
    quad = quad.mean(axis=0) + wider * (quad - quad.mean(axis=0))
    return FaceCrop(image=sample_quad(photo, quad, size, _FOLLOWING), landmarks=points, quad=quad, score=1.0)


# ---------------------------------------------------------------------------------------------- detection


def detect_faces(photo: Pixels) -> tuple[Float64Array, Float64Array]:
    """Faces by dlib's frontal HOG detector (King 2009), on working copies from coarse to fine.

    photo: uint8 RGB [H, W, 3]. Returns boxes [F, 4] (x0, y0, x1, y1 in photo pixels) and scores [F], best first.
    The first copy has a long side of at most 1800 px, so large photos are fast. Finer copies, and then a copy with a
    border for faces that fill the picture, are tried only as long as nothing is found.
    """
    for index, scale in enumerate(_scales(photo.shape[0], photo.shape[1])):
        threshold = _MIN_SCORE if index == 0 else _MIN_SCORE_FINE
        boxes, scores = _detect_at(photo, scale, threshold)
        if len(boxes):
            keep = (scores >= _SURE_SCORE) | (np.arange(len(scores)) == 0)
            return boxes[keep], scores[keep]
    return _detect_filling(photo)


def detect_weak(picture: Pixels, least: float) -> tuple[Float64Array, Float64Array]:
    """Boxes [F, 4] and scores [F] of all that resembles a face by a score of `least` or more, at twice the size."""
    return _detect_at(picture, 2.0, least)


def _detect_turned(photo: Pixels, detect: Detector) -> tuple[int, Float64Array, Float64Array]:
    """The anticlockwise quarter turn with the best-scored face, and the boxes and scores in the turned photo.

    A copy with a long side of at most 1800 px is searched three times, and only high scores count.
    """
    height, width = photo.shape[:2]
    scale = min(1.0, _COARSE_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = resized(photo, size, Image.Resampling.BOX) if scale < 1 else photo
    best: tuple[int, Float64Array, Float64Array] = (0, np.empty((0, 4)), np.empty(0))
    for turns in (1, 2, 3):
        boxes, scores = detect(np.ascontiguousarray(np.rot90(small, turns)))
        sure = scores >= _SURE_SCORE
        if sure.any() and scores.max() > best[2].max(initial=-np.inf):
            ratio = np.array([width / size[0], height / size[1]])[:: 1 if turns == 2 else -1]
            best = turns, boxes[sure] * np.tile(ratio, 2), scores[sure]
    return best


def turned_back(points: Float64Array, turns: int, height: int, width: int) -> Float64Array:
    """Points [..., 2] of a photo turned by `np.rot90(photo, turns)`, in pixels of the original photo."""
    x, y = points[..., 0], points[..., 1]
    places = ((x, y), (width - 1 - y, x), (width - 1 - x, height - 1 - y), (y, height - 1 - x))
    return np.stack(places[turns % 4], axis=-1)


@contextmanager
def _frontal_detector() -> Iterator[dlib.fhog_object_detector]:
    """A detector of dlib that no other thread uses meanwhile: it holds its working memory, and takes long to create."""
    try:
        detector = _idle.pop()
    except IndexError:
        detector = dlib.get_frontal_face_detector()
    try:
        yield detector
    finally:
        _idle.append(detector)


def _detect_filling(photo: Pixels) -> tuple[Float64Array, Float64Array]:
    """Detect a face so close that its box extends beyond the photo, in a small copy with a border."""
    height, width = photo.shape[:2]
    scale = min(2.0, _COARSE_SIDE / 2 / max(height, width))
    small = Image.fromarray(photo).resize((max(1, round(width * scale)), max(1, round(height * scale))))
    border = min(small.size) // 2
    padded = np.pad(np.asarray(small), ((border, border), (border, border), (0, 0)), mode="edge")
    boxes, scores = _detect_at(padded, 1.0, _MIN_SCORE_FINE)
    ratio = np.array([width / small.width, height / small.height] * 2)
    return ((boxes - border) * ratio)[:1], scores[:1]


def _scales(height: int, width: int) -> list[float]:
    """Working scales: the coarse one first, then each three times finer, until faces of 56 px fill the window."""
    long_side = max(height, width)
    first = min(2.0, _COARSE_SIDE / long_side)
    finest = min(_WINDOW / _SMALLEST_FACE, math.sqrt(_LARGEST_COPY / (height * width)))
    scales = [first]
    while scales[-1] < finest * 0.99:
        scales.append(min(scales[-1] * 3.0, finest))
    return scales


def _detect_at(photo: Pixels, scale: float, threshold: float) -> tuple[Float64Array, Float64Array]:
    height, width = photo.shape[:2]
    copy_size = max(1, round(width * scale)), max(1, round(height * scale))
    resample = Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR
    copy = resized(photo, copy_size, resample)
    with _frontal_detector() as detector:
        found, scores, _ = detector.run(np.ascontiguousarray(copy), 0, threshold)
    boxes = np.array([[r.left(), r.top(), r.right() + 1, r.bottom() + 1] for r in found], np.float64).reshape(-1, 4)
    ratio = np.array([width / copy_size[0], height / copy_size[1]] * 2)
    return suppress_overlaps(boxes * ratio, np.array(scores, np.float64))


def best_score(picture: Pixels, least: float) -> float:
    """The highest score by dlib of a face in a small picture, uint8 RGB [H, W, 3]; -1 if there is none.

    least: pixels that the face is wide at least.
    """
    boxes, scores = _detect_at(picture, 2.0, -1.0)
    return float(scores[boxes[:, 2] - boxes[:, 0] >= least].max(initial=-1.0))


def suppress_overlaps(boxes: Float64Array, scores: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Non-maximum suppression: of boxes [F, 4] that share 30 % of the smaller one's area, keep the best-scored."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        box = boxes[index]
        if all(_shared_area(box, boxes[other]) < _OVERLAP for other in kept):
            kept.append(int(index))
    return boxes[kept], scores[kept]


def _shared_area(a: Float64Array, b: Float64Array) -> float:
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return float(max(across, 0.0) * max(down, 0.0) / smaller) if smaller > 0 else 0.0


# ---------------------------------------------------------------------------------------------- landmarks


class LandmarkEstimator(Protocol):
    """A `networks.landmarks.LandmarkNet`, or the same in another runtime."""

    config: LandmarkConfig

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Landmarks [N, 68, 2] in crop units of images [N, 3, S, S] in [-1, 1]."""

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """The weights, which lie on the device of the network; none if it takes pictures on the CPU."""


class BuiltinLandmarks:
    """Landmarks by a network, in two passes over each face.

    The first pass uses an upright square around the detector's box, the second the aligned square of the first result.
    Each pass averages the results for the picture and its mirror image.
    """

    def __init__(self, network: LandmarkEstimator) -> None:
        self._network = network
        self._device = next((each.device for each in network.parameters()), torch.device("cpu"))

    def __call__(self, photo: Pixels, boxes: Float64Array) -> Float64Array:
        """Landmarks [F, 68, 2] of the faces in boxes [F, 4] of a photo, uint8 [H, W, 3]; both in photo pixels."""
        if len(boxes) == 0:
            return np.empty((0, 68, 2))
        first = self._predict(photo, [box_quad(box) for box in boxes])
        return self._predict(photo, [ffhq_quad(points) for points in first])

    def look_again(self, photo: Pixels, landmarks: Float64Array) -> Float64Array:
        """The second pass alone, for landmarks [F, 68, 2] that are roughly known, as from the previous frame.

        Faces that are not much larger than the network's input are sampled half as finely, in a third of the time.
        """
        return self._predict(photo, [ffhq_quad(points) for points in landmarks], _FOLLOWING)

    def _predict(self, photo: Pixels, squares: list[Float64Array], supersample: int = _SUPERSAMPLE) -> Float64Array:
        config = self._network.config
        quads = [frame_quad(square, config.frame_scale, config.frame_shift) for square in squares]
        crops = np.stack([sample_quad(photo, quad, config.input_size, supersample) for quad in quads])
        images = to_tensor(crops).to(self._device)
        with torch.no_grad():
            answers = self._network(torch.cat([images, images.flip(3)])).double().cpu().numpy()
        straight, mirrored = answers[: len(quads)], answers[len(quads) :]
        mirrored = mirrored[:, MIRROR] * (-1.0, 1.0) + (1.0, 0.0)
        points = (straight + mirrored) / 2  # crop units: the quad's own axes
        return np.stack([map_points(quad_to_matrix(q, 1), p - 0.5) for q, p in zip(quads, points, strict=True)])


def box_quad(box: Float64Array) -> Float64Array:
    """An upright square that frames a face roughly like the aligned crop, from dlib's box."""
    side = (box[2] - box[0] + box[3] - box[1]) / 2
    centre = np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2 - _BOX_TO_QUAD_UP * side])
    half = _BOX_TO_QUAD * side / 2
    corners: Float64Array = centre - 0.5 + half * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    return corners


def box_around(landmarks: NDArray[np.floating]) -> Float64Array:
    """The box [4] that the detector would roughly give for these landmarks [68, 2], in whole pixels."""
    quad = ffhq_quad(landmarks)
    side = float(np.linalg.norm(quad[3] - quad[0])) / _BOX_TO_QUAD
    x, y = quad.mean(0) + 0.5 + (0.0, _BOX_TO_QUAD_UP * side)
    return np.rint([x - side / 2, y - side / 2, x + side / 2, y + side / 2])


def overlap(a: Float64Array, b: Float64Array) -> float:
    """Intersection over union of two boxes [4]."""
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = float(np.prod((high - low).clip(0)))
    areas = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]))
    return shared / max(areas - shared, 1e-9)


def frame_quad(quad: Float64Array, scale: float, shift: float) -> Float64Array:
    """The input square of a LandmarkNet: quad [4, 2] scaled about its centre and moved down by `shift` sides."""
    centre = quad.mean(0)
    framed: Float64Array = centre + scale * (quad - centre) + shift * (quad[1] - quad[0])
    return framed


# ---------------------------------------------------------------------------------------------- the crop


def sample_quad(photo: Pixels, quad: Float64Array, size: int, supersample: int = _SUPERSAMPLE) -> Pixels:
    """The pixels [size, size, 3] inside a quad [4, 2] of the photo, reflected at the border of the photo.

    supersample: samples along each side of a pixel, where so many say as much as `_SUPERSAMPLE`.
    """
    region, local = _cut_out(photo, quad, size)
    pad = _outside(region, local, margin=2)
    if max(pad) > 0:
        left, top, right, bottom = pad
        region = np.pad(region, ((top, bottom), (left, right), (0, 0)), mode="symmetric")
        local = local + np.array([left, top])
    enough = np.linalg.norm(local[3] - local[0]) <= _SPARSE * supersample * size
    return _sample_square(region, local, size, supersample if enough else _SUPERSAMPLE)


def _cut_out(photo: Pixels, quad: Float64Array, size: int) -> tuple[Pixels, Float64Array]:
    """Cut out the surroundings of the quad, shrunk if the crop needs far fewer pixels than the photo has.

    Returns the region and the quad in its pixel coordinates. The reference divides the quad by the shrink factor,
    which moves it by up to half a shrunken pixel; here pixel edges, not centres, are scaled, so that the map stays
    exact.
    """
    height, width = photo.shape[:2]
    side = float(np.linalg.norm(quad[3] - quad[0]))
    shrink = max(1, math.floor(side / size * 0.5))
    full = np.array([width, height])
    small = np.maximum(np.rint(full / shrink), 1)
    quad = (quad + 0.5) * (small / full) - 0.5
    border = max(round(side / shrink * 0.1), 3)
    low = np.clip(np.floor(quad.min(0)) - border, 0, small - 1)
    high = np.clip(np.ceil(quad.max(0)) + border, low + 1, small)
    if shrink == 1:
        (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
        return photo[y0:y1, x0:x1], quad - low
    # cut with a margin in photo pixels, then resize: the same result as shrinking the whole photo, at far less cost
    reach = 4 * shrink
    first = np.maximum(np.floor(low * full / small) - reach, 0).astype(int)
    last = np.minimum(np.ceil(high * full / small) + reach, full).astype(int)
    part = photo[first[1] : last[1], first[0] : last[0]]
    x0, y0 = (low * full / small - first).tolist()
    x1, y1 = (high * full / small - first).tolist()
    w, h = (high - low).astype(int).tolist()
    box = (x0, y0, min(x1, part.shape[1]), min(y1, part.shape[0]))
    return resized(part, (w, h), Image.Resampling.LANCZOS, box), quad - low


def _outside(region: Pixels, quad: Float64Array, margin: int) -> tuple[int, int, int, int]:
    """How far the quad with its margin extends beyond the region: left, top, right, bottom."""
    low = np.floor(quad.min(0)).astype(int) - margin
    high = np.ceil(quad.max(0)).astype(int) + margin
    height, width = region.shape[:2]
    return max(-low[0], 0), max(-low[1], 0), max(high[0] - width, 0), max(high[1] - height, 0)


def _continue_outside(region: Pixels, quad: Float64Array) -> tuple[Pixels, Float64Array]:
    """The reference's padding: reflect, blur towards the outside, and fade to the median colour."""
    side = float(np.linalg.norm(quad[3] - quad[0]))
    border = max(round(side * 0.1), 3)
    pad = _outside(region, quad, border)
    if max(pad) <= border - 4:
        return region, quad
    left, top, right, bottom = (max(p, round(side * 0.3)) for p in pad)
    image = np.pad(region.astype(np.float32), ((top, bottom), (left, right), (0, 0)), mode="reflect")
    height, width = image.shape[:2]
    x, y = np.arange(width, dtype=np.float32)[None], np.arange(height, dtype=np.float32)[:, None]
    mask = np.maximum(
        1.0 - np.minimum(x / left, (width - 1 - x) / right), 1.0 - np.minimum(y / top, (height - 1 - y) / bottom)
    )[..., None]
    sigma = side * 0.02
    blurred = ndimage.gaussian_filter(image, (sigma, sigma, 0))
    image += (blurred - image) * np.clip(mask * 3.0 + 1.0, 0.0, 1.0)
    image += (np.median(image, axis=(0, 1)) - image) * np.clip(mask, 0.0, 1.0)
    return np.rint(image).clip(0, 255).astype(np.uint8), quad + np.array([left, top])


def _sample_square(region: Pixels, quad: Float64Array, size: int, supersample: int = _SUPERSAMPLE) -> Pixels:
    """Sample the quad bilinearly at a multiple of the size, then reduce it with a Lanczos filter."""
    fine = size * supersample
    corners = tuple((quad + 0.5).ravel().tolist())  # Pillow's coordinates refer to pixel edges
    image = Image.fromarray(np.ascontiguousarray(region))
    drawn = image.transform((fine, fine), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    return np.asarray(drawn.resize((size, size), Image.Resampling.LANCZOS))
