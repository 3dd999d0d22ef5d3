"""Detection, the FFHQ crop and its map back to the photo."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dlib
import numpy as np
import pytest
import torch
from PIL import Image

from latentface.errors import NoFaceFound, UsageError
from latentface.faces import alignment
from latentface.faces.crop import ffhq_quad, inter_ocular, map_points
from latentface.io.images import read_image
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet
from latentface.pretrained import load_landmarks
from tests.helpers.cli_desk import face_points

ASTRONAUT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"
FACE_SHAPE = np.zeros((68, 2))
FACE_SHAPE[:, 1] = 0.4
FACE_SHAPE[36:42] = [-0.5, 0.0]
FACE_SHAPE[42:48] = [0.5, 0.0]
FACE_SHAPE[48:68] = [0.0, 1.0]
FACE_SHAPE[48], FACE_SHAPE[54] = [-0.35, 1.0], [0.35, 1.0]


@pytest.fixture(scope="module")
def astronaut():
    return read_image(ASTRONAUT)


def face_at(centre, scale, angle):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return FACE_SHAPE @ turn.T + centre


def pattern(height, width, wave):
    """A smooth picture with a different colour everywhere nearby; defined at any point, also between pixels."""

    def colour(x, y):
        return np.stack(
            [
                127.5 + 100 * np.sin(2 * np.pi * x / wave),
                127.5 + 100 * np.sin(2 * np.pi * y / wave),
                127.5 + 100 * np.sin(2 * np.pi * (x + y) / wave),
            ],
            axis=-1,
        )

    y, x = np.mgrid[:height, :width]
    return np.rint(colour(x, y)).astype(np.uint8), colour


def shift_between(crop, expected_at, to_photo, inside):
    """Least-squares shift, in photo pixels, between the crop's pixels and the pattern at their photo places."""
    size = len(crop)
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    place = map_points(to_photo, np.stack([x, y], axis=-1))
    expected = expected_at(place[..., 0], place[..., 1])
    step = 0.05
    slope_x = (expected_at(place[..., 0] + step, place[..., 1]) - expected) / step
    slope_y = (expected_at(place[..., 0], place[..., 1] + step) - expected) / step
    keep = inside(place[..., 0], place[..., 1])
    system = np.stack([slope_x[keep].ravel(), slope_y[keep].ravel()], axis=1)
    gap = (crop.astype(float) - expected)[keep].ravel()
    return np.linalg.lstsq(system, gap, rcond=None)[0], np.abs(gap).mean()


CROPS = {
    "upright": ((300, 240), 50, 0.0, 128),
    "turned": ((300.3, 241.7), 48, 0.5, 128),
    "upside down": ((300, 340), 50, 3.0, 128),
    "enlarged": ((310, 250), 12, -0.3, 128),
    "shrunk 2x": ((300, 240), 47.3, 0.2, 44),
    "shrunk 3x": ((301, 243), 51, -0.1, 32),
    "over the left edge": ((30, 240), 50, 0.2, 128),
    "over the corner": ((570, 460), 60, -0.4, 128),
    "larger than the photo": ((300, 200), 220, 0.1, 256),
    "shrunk, over the top": ((300, 20), 50, 0.3, 48),
}


@pytest.mark.parametrize("name", CROPS)
def test_a_crop_warped_back_lands_within_half_a_pixel(name):
    centre, scale, angle, size = CROPS[name]
    photo, colour = pattern(500, 620, wave=90 if scale < 100 else 160)
    crop = alignment.crop_face(photo, face_at(centre, scale, angle), size)
    assert crop.image.shape == (size, size, 3) and crop.image.dtype == np.uint8

    # padding is blurred and faded, also a little way into the photo: look at what lies well inside
    margin = 0.2 * np.linalg.norm(crop.quad[3] - crop.quad[0]) if "o" in name and scale > 100 else 8

    def inside(x, y):
        return (x > margin) & (y > margin) & (x < 620 - margin) & (y < 500 - margin)

    shift, gap = shift_between(crop.image, colour, crop.to_photo, inside)
    assert np.abs(shift).max() < 0.1, shift
    assert gap < 4


def test_the_quad_is_that_of_the_landmarks_in_the_photo():
    points = face_at((30, 40), 300, 0.3)  # leaves the photo and is shrunk
    photo, _ = pattern(400, 500, 60)
    crop = alignment.crop_face(photo, points, 64, score=1.5)
    np.testing.assert_allclose(crop.quad, ffhq_quad(points))
    np.testing.assert_array_equal(crop.landmarks, points)
    assert crop.score == 1.5


def test_a_wider_crop_has_the_face_in_its_middle():
    photo, _ = pattern(500, 620, 90)
    crop, wide = (alignment.glance(photo, face_at((300, 240), 60, 0.4), 128, wider) for wider in (1, 2))
    small = crop.image.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(wide.image[32:96, 32:96] - small).max() < 4


def test_landmarks_of_a_crop_lie_on_the_same_content():
    photo = np.zeros((400, 400, 3), np.uint8)
    photo[198:203, 238:243] = 255  # around (240, 200)
    points = face_at((220, 200), 40, 0.3)
    points[30] = (240, 200)
    crop = alignment.crop_face(photo, points, 160)
    weights = crop.image[..., 0].astype(float)
    y, x = np.mgrid[:160, :160]
    middle = [(weights * x).sum() / weights.sum(), (weights * y).sum() / weights.sum()]
    np.testing.assert_allclose(crop.crop_landmarks[30], middle, atol=0.1)


def test_outside_the_photo_the_crop_goes_on_softly():
    rng = np.random.default_rng(0)
    photo = np.repeat(np.repeat(rng.integers(0, 256, (50, 50, 3), np.uint8), 4, axis=0), 4, axis=1)
    crop = alignment.crop_face(photo, face_at((10, 100), 40, 0.0), 128)
    outside = map_points(crop.from_photo, [[0, 0]])[0, 0]  # crop column of the photo's left edge
    assert 50 < outside < 70
    far, near = crop.image[:, :20].astype(float), crop.image[:, int(outside) + 12 : int(outside) + 32].astype(float)
    detail = [np.abs(np.diff(part, axis=0)).mean() for part in (far, near)]
    assert detail[0] < 0.2 * detail[1]
    assert far.std() > 0 or far.mean() > 0  # reflected and faded, not black
    np.testing.assert_allclose(far.mean((0, 1)), np.median(photo, axis=(0, 1)), atol=40)


def test_a_photo_of_one_colour_stays_so():
    photo = np.full((90, 70, 3), (10, 130, 250), np.uint8)
    crop = alignment.crop_face(photo, face_at((35, 30), 30, 0.4), 96)
    assert np.abs(crop.image.astype(int) - (10, 130, 250)).max() <= 1


def test_landmarks_that_span_no_face_are_refused():
    with pytest.raises(UsageError):
        alignment.crop_face(np.zeros((50, 50, 3), np.uint8), np.ones((68, 2)), 32)


# ---------------------------------------------------------------------------------------------- detection


def paste(photo, canvas_size, place, width):
    """The astronaut, scaled so that her face (about 105 px wide in 512) has this width, on a grey canvas."""
    ratio = width / 105 * 512 / photo.shape[1]
    small = Image.fromarray(photo).resize(
        (round(photo.shape[1] * ratio), round(photo.shape[0] * ratio)), Image.Resampling.LANCZOS
    )
    canvas = Image.new("RGB", canvas_size, (128, 128, 128))
    canvas.paste(small, place)
    return np.asarray(canvas), ratio


def eye_box(boxes, index=0):
    x0, y0, x1, y1 = boxes[index]
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0


def test_the_astronaut_is_found(astronaut):
    boxes, scores = alignment.detect_faces(astronaut)
    assert len(boxes) == 1 and scores[0] > 1
    x, y, width = eye_box(boxes / astronaut.shape[1] * 512)
    assert abs(x - 224) < 15 and abs(y - 125) < 20 and 80 < width < 150


def test_faces_of_sixty_pixels_are_found(astronaut):
    photo, ratio = paste(astronaut, (900, 700), (500, 300), 60)
    boxes, _ = alignment.detect_faces(photo)
    assert len(boxes) == 1
    x, y, width = eye_box(boxes)
    expected = np.array([224, 125]) * astronaut.shape[1] / 512 * ratio + (500, 300)
    assert np.abs(np.array([x, y]) - expected).max() < 10 and 42 < width < 80


def test_a_small_face_in_a_large_photo_is_found_on_a_finer_copy(astronaut):
    photo, _ = paste(astronaut, (3200, 2000), (2300, 900), 70)
    boxes, _ = alignment.detect_faces(photo)
    assert len(boxes) == 1 and 48 < eye_box(boxes)[2] < 92


def test_a_photo_of_48_megapixels(astronaut):
    photo, _ = paste(astronaut, (8000, 6000), (1500, 300), 1100)
    boxes, _ = alignment.detect_faces(photo)
    assert len(boxes) == 1 and 850 < eye_box(boxes)[2] < 1500


def test_a_face_that_fills_the_picture(astronaut):
    x0, y0, x1, y1 = (alignment.detect_faces(astronaut)[0][0]).astype(int)
    tight = np.ascontiguousarray(astronaut[y0:y1, x0:x1])
    boxes, _ = alignment.detect_faces(tight)
    assert len(boxes) == 1
    assert np.abs(boxes[0] - (0, 0, x1 - x0, y1 - y0)).max() < 0.3 * (x1 - x0)


def test_every_face_best_first(astronaut):
    other = Image.fromarray(astronaut[:, ::-1]).resize(astronaut.shape[1::-1])
    pair = np.concatenate([astronaut, np.asarray(other)], axis=1)
    boxes, scores = alignment.detect_faces(pair)
    assert len(boxes) == 2 and scores[0] >= scores[1]
    assert abs(boxes[0, 0] - boxes[1, 0]) > 100


@pytest.mark.parametrize(("scores", "kept"), [([0.9, 0.4, 0.1], [0.9, 0.4]), ([0.2, 0.1, 0.0], [0.2])])
def test_weak_answers_count_only_alone(monkeypatch, scores, kept):
    class Detector:
        def run(self, picture, times_enlarged, threshold):
            places = [dlib.rectangle(60 * k, 0, 60 * k + 40, 40) for k in range(3)]
            return places, scores, [0, 0, 0]

    monkeypatch.setattr(alignment, "_idle", [Detector()])
    assert alignment.detect_faces(np.zeros((100, 100, 3), np.uint8))[1].tolist() == kept


def test_no_two_threads_use_one_detector_and_none_is_made_in_vain(monkeypatch):
    made = []

    class Detector:
        def __init__(self):
            made.append(self)

        def run(self, picture, times_enlarged, threshold):
            meet.wait()  # breaks unless two are here at once
            return [], [], []

    monkeypatch.setattr(alignment, "_idle", [])
    monkeypatch.setattr(dlib, "get_frontal_face_detector", Detector)
    blank = np.zeros((20, 20, 3), np.uint8)
    with ThreadPoolExecutor(2) as threads:
        meet = threading.Barrier(2, timeout=10)
        assert list(threads.map(alignment.best_score, [blank] * 2, [40.0] * 2)) == [-1.0, -1.0]
    meet = threading.Barrier(1)
    alignment.best_score(blank, 40.0)
    assert len(made) == 2


def test_no_face(astronaut):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    with pytest.raises(NoFaceFound, match="300 x 200") as caught:
        alignment.align(noise, size=64, landmarks=lambda photo, boxes: np.zeros((0, 68, 2)))
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (200, 3), (2, 9000)])
def test_pictures_of_odd_shapes_have_no_face(shape):
    boxes, scores = alignment.detect_faces(np.zeros((*shape, 3), np.uint8))
    assert boxes.shape == (0, 4) and scores.shape == (0,)


@pytest.mark.parametrize("photo", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3)), np.zeros((9, 9, 4), np.uint8)])
def test_pixels_of_another_form_are_refused(photo):
    with pytest.raises(UsageError, match="expected uint8 RGB"):
        alignment.align(photo, size=8, landmarks=lambda photo, boxes: np.zeros((0, 68, 2)))


def test_overlapping_boxes_keep_the_best_scored():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [3, 3, 6, 6], [30, 0, 40, 10]], float)
    kept, scores = alignment.suppress_overlaps(boxes, np.array([0.5, 0.9, 0.7, 0.1]))
    np.testing.assert_array_equal(kept, boxes[[1, 3]])
    np.testing.assert_array_equal(scores, [0.9, 0.1])


def test_align_orders_by_score_and_passes_boxes_on(astronaut):
    boxes = np.array([[0, 0, 50, 50], [60, 60, 120, 120], [100, 0, 160, 60]], float)
    seen = []

    def landmarks(photo, given):
        seen.append(given)
        return np.stack([face_at(((b[0] + b[2]) / 2, (b[1] + b[3]) / 2), 20, 0.0) for b in given])

    def detector(photo):
        return boxes, np.array([0.2, 0.9, 0.4])

    crops = alignment.align(astronaut, size=32, landmarks=landmarks, detector=detector)
    np.testing.assert_array_equal(seen[0], boxes[[1, 2, 0]])
    assert [c.score for c in crops] == [0.9, 0.4, 0.2]
    assert all(c.size == 32 for c in crops)
    np.testing.assert_allclose(crops[0].landmarks[36], [80, 90])
    with pytest.raises(UsageError, match="size"):
        alignment.align(astronaut, size=0, landmarks=landmarks, detector=detector)


# ---------------------------------------------------------------------------------------------- predictors


class Marker(LandmarkNet):
    """Answers with fixed places of the picture it sees, and counts."""

    def __init__(self, config):
        super().__init__(config)
        self.seen = []

    def forward(self, images):
        self.seen.append(images)
        count = len(images)
        shape = torch.tensor(FACE_SHAPE * 0.25 + [0.5, 0.4], dtype=torch.float32)
        answers = shape.expand(count, -1, -1).clone()
        answers[count // 2 :, :, 0] = 1 - answers[count // 2 :, list(alignment.MIRROR), 0]
        answers[count // 2 :, :, 1] = answers[count // 2 :, list(alignment.MIRROR), 1]
        return answers


def test_builtin_landmarks_look_twice_and_map_back():
    photo, _ = pattern(300, 400, 50)
    network = Marker(LandmarkConfig(frame_scale=0.8, frame_shift=0.1))
    boxes = np.array([[100, 80, 200, 180], [180, 120, 240, 180]], float)
    points = alignment.BuiltinLandmarks(network)(photo, boxes)
    assert points.shape == (2, 68, 2) and len(network.seen) == 2
    assert network.seen[0].shape == (4, 3, 96, 96)
    torch.testing.assert_close(network.seen[0][2:], network.seen[0][:2].flip(3))

    def answer(square):
        quad = alignment.frame_quad(square, 0.8, 0.1)
        units = FACE_SHAPE * 0.25 + [0.5, 0.4]
        return quad[0] + units[:, :1] * (quad[3] - quad[0]) + units[:, 1:] * (quad[1] - quad[0])

    centre, side = np.array([149.5, 129.5 - 19]), 170
    first = answer(centre + side / 2 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]))
    np.testing.assert_allclose(points[0], answer(ffhq_quad(first)), atol=1e-3)


# read off the picture by eye
ASTRONAUT_POINTS = {"left eye": (204.2, 101.2), "right eye": (246.3, 103.3), "nose": (224.5, 127.0)}
ASTRONAUT_MOUTH = ((204.2, 140.8), (243.7, 142.0))


def features(points):
    return np.array([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])


def test_the_built_in_network_finds_eyes_nose_and_mouth(astronaut):
    crops = alignment.align(astronaut, size=64, landmarks=alignment.BuiltinLandmarks(load_landmarks()))
    assert len(crops) == 1
    expected = np.array([*ASTRONAUT_POINTS.values(), *ASTRONAUT_MOUTH])
    gap = np.linalg.norm(features(crops[0].landmarks) - expected, axis=1)
    eyes_apart = inter_ocular(crops[0].landmarks)
    assert gap.mean() < 0.045 * eyes_apart and gap.max() < 0.09 * eyes_apart, gap
    eyes = (crops[0].crop_landmarks[36:42].mean(0) + crops[0].crop_landmarks[42:48].mean(0)) / 2
    np.testing.assert_allclose(eyes, [31.5, 29.0], atol=2.5)


@pytest.mark.parametrize("angle", [-20, 15])
def test_the_built_in_network_follows_a_turned_photo(astronaut, angle):
    landmarks = alignment.BuiltinLandmarks(load_landmarks())
    straight = alignment.align(astronaut, size=64, landmarks=landmarks)[0].landmarks
    turned = np.asarray(Image.fromarray(astronaut).rotate(angle, Image.Resampling.BICUBIC))
    found = alignment.align(turned, size=64, landmarks=landmarks)[0].landmarks
    radians, middle = np.deg2rad(-angle), np.array([255.5, 255.5])
    turn = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    gap = np.linalg.norm(features(found) - ((features(straight) - middle) @ turn.T + middle), axis=1)
    assert gap.max() < 0.1 * inter_ocular(straight), gap


def test_builtin_landmarks_of_no_boxes():
    photo = np.zeros((20, 20, 3), np.uint8)
    assert alignment.BuiltinLandmarks(LandmarkNet(LandmarkConfig()))(photo, np.empty((0, 4))).shape == (0, 68, 2)


def test_sample_quad_reflects_outside():
    photo, _ = pattern(60, 60, 40)
    quad = np.array([[-10.5, 9.5], [-10.5, 39.5], [19.5, 39.5], [19.5, 9.5]])
    sampled = alignment.sample_quad(photo, quad, 30)
    np.testing.assert_allclose(sampled[:, 10:], photo[10:40, :20], atol=6)
    np.testing.assert_allclose(sampled[:, :10], photo[10:40, 9::-1], atol=6)


def test_the_box_around_landmarks_is_where_the_detector_would_put_it() -> None:
    box = np.array([100.0, 50.0, 200.0, 150.0])
    quad = alignment.box_quad(box)
    points = face_points() * 60 + 100
    square = ffhq_quad(points)
    scaled = (points - square.mean(0)) * np.linalg.norm(quad[3] - quad[0]) / np.linalg.norm(square[3] - square[0])
    assert np.abs(alignment.box_around(scaled + quad.mean(0)) - box).max() <= 1


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_on_its_side_or_head_is_tried_at_the_four_turns(astronaut, turns):
    landmarks = alignment.BuiltinLandmarks(load_landmarks())
    straight = alignment.align(astronaut, size=64, landmarks=landmarks)[0]
    (found,) = alignment.align(np.ascontiguousarray(np.rot90(astronaut, turns)), size=64, landmarks=landmarks)[:1]
    height, width = np.rot90(astronaut, turns).shape[:2]
    assert straight.quarter_turns == 0 and straight.turn_note is None
    assert found.quarter_turns == 4 - turns and f"{90 * (4 - turns)} degrees clockwise" in found.turn_note
    back = alignment.turned_back(straight.landmarks, 4 - turns, height, width)
    assert np.linalg.norm(features(found.landmarks) - features(back), axis=1).max() < 2
    assert np.abs(found.image.astype(int) - straight.image).mean() < 4, "the crop stands upright"


def test_points_are_turned_back():
    picture = np.arange(15).reshape(3, 5)
    for turns in range(4):
        turned = np.rot90(picture, turns)
        y, x = np.mgrid[: turned.shape[0], : turned.shape[1]]
        places = alignment.turned_back(np.stack([x, y], -1).astype(float), turns, 3, 5).astype(int)
        assert (picture[places[..., 1], places[..., 0]] == turned).all()


def test_weak_faces_of_a_turned_photo_do_not_count():
    def detector(photo):
        return np.array([[1.0, 1.0, 9.0, 9.0]]), np.array([0.2])

    asked = []

    def once(photo):
        asked.append(photo.shape)
        return detector(photo) if len(asked) > 1 else (np.empty((0, 4)), np.empty(0))

    with pytest.raises(NoFaceFound):
        alignment.align(np.zeros((20, 30, 3), np.uint8), size=16, landmarks=None, detector=once)
    assert asked == [(20, 30, 3), (30, 20, 3), (20, 30, 3), (30, 20, 3)]
