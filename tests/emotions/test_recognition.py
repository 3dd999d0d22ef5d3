"""Emotions of films: recognisers, the tracked face, the journal, and reading as a whole."""

import json
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.emotion import Emotion
from latentface.emotions.recognition import Recogniser, of_network, plugged_in, read, watch
from latentface.emotions.resume_log import Journal, film_facts
from latentface.emotions.smoothing import Look
from latentface.errors import InputError, NoFaceFound, OutputError, UsageError
from latentface.faces import alignment
from latentface.faces.tracking import Tracker
from latentface.io.clip import Clip, Frame
from latentface.networks.classifier import EmotionConfig, EmotionNet
from latentface.networks.landmarks import LandmarkConfig
from latentface.options import ReadOptions
from tests.helpers.cli_desk import face_points
from tests.helpers.looks import looks, read_back
from tests.helpers.motion_models import Wander, best_skin, wandering

HAPPY, SAD, NEUTRAL = Emotion.HAPPINESS, Emotion.SADNESS, Emotion.NEUTRAL


def find_skin(photo):
    """A stand-in detector: the box of what is skin-coloured."""
    rows, columns = np.nonzero((np.abs(photo.astype(int) - (224, 172, 140)) < 24).all(2))
    if len(rows) < 20:
        return np.empty((0, 4)), np.empty(0)
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float), np.array([1.0])


class Points:
    """A stand-in landmark predictor: a plain face in the skin-coloured box nearest to the one it is told."""

    def __init__(self):
        self.calls = 0

    def __call__(self, photo, boxes):
        self.calls += 1
        found, _ = find_skin(photo)
        box = found[0] if len(found) else boxes[0]
        return (box[:2] + face_points() * (box[2:] - box[:2]))[None]


def by_mouth(crops):
    """Happiness is a mouth that is wide open: how much of the lower half is dark."""
    dark = (crops[:, crops.shape[1] // 2 :].mean(3) < 60).mean((1, 2))
    return [[0.05, 0.95] if share > 0.03 else [0.95, 0.05] for share in dark]


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setattr(alignment, "detect_faces", find_skin)
    monkeypatch.setattr(alignment, "best_score", best_skin)


class TestRecogniser:
    def test_labels_in_any_order_and_by_other_names(self):
        teller = Recogniser(lambda crops: np.array([[3.0, 1.0]] * len(crops)), ("Happy", "sad"))
        chances = teller(np.zeros((2, 16, 16, 3), np.uint8))
        assert chances.shape == (2, 7)
        assert chances[1, [HAPPY.index, SAD.index]].tolist() == [0.75, 0.25]
        assert chances.sum() == 2

    def test_tensors_are_answers_too(self):
        answer = torch.tensor([[1.0, 0, 0, 0, 0, 0, 1.0]], requires_grad=True)
        assert Recogniser(lambda crops: answer)(np.zeros((1, 16, 16, 3), np.uint8))[0, 6] == 0.5

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            (("happy", "contempt"), "no emotion 'contempt'; expected one of neutral, happiness"),
            (("happy", "joy"), "each emotion once"), ((), "each emotion once"),
        ],
    )  # fmt: skip
    def test_other_labels_are_refused(self, labels, message):
        with pytest.raises(UsageError, match=message):
            Recogniser(by_mouth, labels)

    @pytest.mark.parametrize("answer", [[[1, 0]], [[-1] * 7], [[float("nan")] * 7], [[0] * 7], [[1] * 7] * 2, 5])
    def test_an_answer_of_another_kind_is_refused(self, answer):
        with pytest.raises(UsageError, match=r"expected \[1, 7\] chances"):
            Recogniser(lambda crops: answer)(np.zeros((1, 16, 16, 3), np.uint8))

    def test_a_network_is_one(self):
        landmarks = LandmarkConfig(input_size=32, widths=(8, 8, 8, 8))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = EmotionNet(EmotionConfig(landmarks)).eval()
        crops = np.random.default_rng(0).integers(0, 256, (3, 144, 144, 3), np.uint8)
        chances = of_network(network)(crops)
        assert chances.sum(1).tolist() == pytest.approx([1, 1, 1])
        logits = network(torch.from_numpy(crops).permute(0, 3, 1, 2) / 127.5 - 1)
        assert chances == pytest.approx(logits.softmax(1).detach().numpy(), abs=1e-5)

    def test_own_code_from_a_file_or_a_module(self, tmp_path, monkeypatch):
        (tmp_path / "mine.py").write_text(
            "import latentface\n"
            "def tell(crops):\n    return [[0, 1, 0, 0, 0, 0, 0]] * len(crops)\n"
            "known = latentface.Recogniser(tell, size=64)\n"
            "number = 5\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        crops = np.zeros((2, 16, 16, 3), np.uint8)
        for name in (f"{tmp_path}/mine.py:tell", "mine:tell", "mine:known"):
            assert api.find_recogniser(name)(crops)[:, HAPPY.index].tolist() == [1, 1]
        assert plugged_in("mine:known").size == 64
        with pytest.raises(UsageError, match="is a int; expected a Recogniser"):
            plugged_in("mine:number")
        for name in ("mine:nothing", "nowhere_at_all:tell", f"{tmp_path}/none.py:tell"):
            with pytest.raises(UsageError, match=r"no recogniser .* expected package\.module:NAME or FILE\.py:NAME"):
                plugged_in(name)


class TestTracker:
    def test_it_follows_without_searching_and_begins_anew_elsewhere(self, made_up, monkeypatch):
        searches = []
        monkeypatch.setattr(alignment, "detect_faces", lambda photo: searches.append(1) or find_skin(photo))
        tracker = Tracker(Points())
        for k in range(6):
            points = tracker(wandering(2 * k))
            assert points is not None
            assert points[:, 0].mean() == pytest.approx(40 + 2 * k + 45, abs=3)
        assert (len(searches), tracker.track) == (1, 1)
        assert tracker(wandering(6, face=False)) is None
        assert tracker.box is None
        assert tracker(wandering(6)) is not None
        assert tracker.track == 2

    def test_a_jump_is_another_face(self, made_up):
        tracker = Tracker(Points())
        tracker(wandering(0))
        tracker(wandering(48))
        assert tracker.track == 2

    def test_a_face_of_another_size_is_another(self, made_up):
        tracker = Tracker(Points())
        tracker(wandering(0, side=50))
        tracker(wandering(0, side=110))
        assert tracker.track == 2

    def test_box_and_number_are_all_it_remembers(self, made_up):
        first = Tracker(Points())
        first(wandering(0))
        second = Tracker(Points(), first.box, first.track)
        for k in range(1, 4):
            assert np.array_equal(first(wandering(k)), second(wandering(k)))
            assert (first.box, first.track) == (second.box, second.track)

    def test_the_box_around_landmarks_is_where_the_detector_would_put_it(self):
        box = np.array([100.0, 50.0, 200.0, 150.0])
        quad = alignment._box_quad(box)
        points = face_points() * 60 + 100
        square = alignment.ffhq_quad(points)
        scaled = (points - square.mean(0)) * np.linalg.norm(quad[3] - quad[0]) / np.linalg.norm(square[3] - square[0])
        assert np.abs(alignment.box_around(scaled + quad.mean(0)) - box).max() <= 1


class TestJournal:
    def test_looks_come_back_exactly(self, tmp_path):
        seen = [*looks((HAPPY, 2), (None, 1)), Look(Fraction(1001, 30000), (0.1,) * 7, (-3, 2, 4, 5), 12)]
        with Journal(tmp_path / "j", {"film": "a"}) as journal:
            for look in seen:
                journal.add(look)
            assert list(journal) == seen
        with Journal(tmp_path / "j", {"film": "a"}) as again:
            assert (again.count, again.last, again.replaced) == (4, seen[-1], False)
            assert list(again) == seen
            again.remove()
        assert not (tmp_path / "j").exists()

    def test_half_a_line_is_forgotten_and_written_over(self, tmp_path):
        seen = list(looks((HAPPY, 3)))
        with Journal(tmp_path / "j", {}) as journal:
            for look in seen[:2]:
                journal.add(look)
        with (tmp_path / "j").open("ab") as file:
            file.write(b'["2/5", [0.1')
        with Journal(tmp_path / "j", {}) as journal:
            assert journal.count == 2
            journal.add(seen[2])
            assert list(journal) == seen

    def test_another_film_or_other_options_begin_anew(self, tmp_path):
        with Journal(tmp_path / "j", {"film": "a", "looks": 5}) as journal:
            journal.add(next(looks((HAPPY, 1))))
        with Journal(tmp_path / "j", {"film": "a", "looks": 6}) as journal:
            assert (journal.count, journal.last, journal.replaced, list(journal)) == (0, None, True, [])

    def test_a_place_that_takes_no_file(self, tmp_path):
        with pytest.raises(OutputError, match="cannot write"):
            Journal(tmp_path / "none" / "j", {})

    def test_films_are_known_again(self, tmp_path):
        (tmp_path / "a.mp4").write_bytes(b"x" * 100)
        before = film_facts(tmp_path / "a.mp4")
        assert before == film_facts(tmp_path / "a.mp4")
        (tmp_path / "a.mp4").write_bytes(b"x" * 99 + b"y")
        assert film_facts(tmp_path / "a.mp4") != before
        (tmp_path / "frames").mkdir()
        (tmp_path / "frames" / "0.png").write_bytes(b"x")
        assert film_facts(tmp_path / "frames") != film_facts(tmp_path)
        json.dumps(film_facts(tmp_path / "frames"))


def mouths(count, open_from, open_until, rate=10):
    """A clip whose face opens its mouth wide for a while."""

    def picture(k):
        frame = wandering(0)
        if open_from <= k < open_until:
            frame[80:105, 65:105] = (50, 20, 20)
        return frame

    return Clip(Again(picture, count, rate), Fraction(rate), (180, 140), count)


class Again:
    """Frames that are made anew each time; from `broken` on they cannot be."""

    def __init__(self, picture, count, rate, broken=None):
        self.picture, self.count, self.rate, self.broken = picture, count, rate, broken

    def __iter__(self):
        for k in range(self.count):
            if k == self.broken:
                raise InputError(f"film: damaged; readable up to frame {k}")
            yield Frame(self.picture(k), Fraction(k, self.rate))


TELLER = Recogniser(by_mouth, ("neutral", "happy"), 64)


class TestRead:
    def test_a_clip_becomes_a_sequence_of_its_length(self, made_up):
        counts = []
        found = read(
            mouths(60, 20, 40), Points(), TELLER, ReadOptions(looks=5), on_look=lambda count, look: counts.append(count)
        )
        assert read_back(found.sequence.segments) == [(NEUTRAL, 2.0), (HAPPY, 2.0), (NEUTRAL, 2.0)]
        assert found.sequence.segments[1].strength == 0.95
        assert (found.tally.looks, found.tally.faces, found.tally.tracks, found.tally.damage) == (30, 30, 1, None)
        assert counts == list(range(1, 31))

    def test_the_sequence_ends_with_the_film_whatever_the_rate_of_looks(self, made_up):
        for looks_a_second in (0.3, 1, 7):
            found = read(mouths(23, 5, 15), Points(), TELLER, ReadOptions(looks=looks_a_second))
            assert found.sequence.duration == pytest.approx(2.3, abs=2e-3)
            assert found.tally.seconds == Fraction(23, 10)

    def test_a_large_film_is_looked_at_in_a_smaller_copy(self, made_up):
        large = wandering(0).repeat(10, 0).repeat(10, 1)
        clip = Clip([Frame(large, Fraction(0))], 5, (1800, 1400))
        (look,) = watch(clip, Points(), TELLER, 5)
        (small,) = watch(Clip([Frame(wandering(0), Fraction(0))], 5, (180, 140)), Points(), TELLER, 5)
        assert look.chances == small.chances
        assert np.abs(np.array(look.box) / 1280 - np.array(small.box) / 180).max() < 0.01

    def test_looks_follow_the_clock_of_a_variable_rate(self, made_up):
        times = [Fraction(k, 100) for k in (0, 3, 19, 22, 39, 90, 91, 100)]
        clip = Clip([Frame(wandering(0), time) for time in times], 8, (180, 140))
        assert [look.time for look in watch(clip, Points(), TELLER, 5)] == [Fraction(k, 100) for k in (0, 22, 90, 100)]

    def test_an_interrupted_reading_goes_on_to_the_same_end(self, made_up, tmp_path):
        clip = mouths(60, 20, 40)
        whole = read(clip, Points(), TELLER)

        def stop(count, look):
            if count == 13:
                raise KeyboardInterrupt

        with Journal(tmp_path / "j", {}) as journal, pytest.raises(KeyboardInterrupt):
            read(clip, Points(), TELLER, journal=journal, on_look=stop)
        points, counts = Points(), []
        with Journal(tmp_path / "j", {}) as journal:
            assert journal.count == 13
            again = read(clip, points, TELLER, journal=journal, on_look=lambda count, look: counts.append(count))
            assert journal.count == 30
        assert again == whole
        assert points.calls == 17
        assert counts == list(range(1, 31))

    def test_of_a_damaged_clip_what_was_read_is_kept_if_wanted(self, made_up):
        broken = Clip(Again(lambda k: wandering(0), 60, 10, broken=25), Fraction(10), (180, 140), 60)
        with pytest.raises(InputError, match="readable up to frame 25"):
            read(broken, Points(), TELLER)
        found = read(broken, Points(), TELLER, keep_partial=True)
        assert found.sequence.duration == pytest.approx(2.5)
        assert found.tally.damage == "film: damaged; readable up to frame 25"
        at_once = Clip(Again(lambda k: wandering(0), 60, 10, broken=0), Fraction(10), (180, 140), 60)
        with pytest.raises(InputError, match="readable up to frame 0"):
            read(at_once, Points(), TELLER, keep_partial=True)

    def test_no_face_at_all(self, made_up):
        clip = Wander(20, faceless=tuple(range(20))).clip()
        with pytest.raises(NoFaceFound, match="no face in 4 looks"):
            read(clip, Points(), TELLER)

    def test_memory_does_not_grow_with_the_film(self, made_up):
        """A film four times as long: what is held at most differs by less than a frame."""

        def held(seconds):
            picture = wandering(0)
            clip = Clip(Again(lambda k: picture.copy(), seconds, 1), Fraction(1), (180, 140))
            tracemalloc.start()
            read(clip, Points(), TELLER, ReadOptions(looks=1))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak

        held(5)
        assert held(80) - held(20) < wandering(0).nbytes

    @pytest.mark.parametrize("wrong", [{"looks": 0}, {"looks": 100}, {"steady": -1}])
    def test_options_have_bounds(self, wrong):
        with pytest.raises(UsageError):
            ReadOptions(**wrong)

    def test_the_public_verb_takes_any_recogniser(self, made_up, monkeypatch):
        monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: Points())
        found = api.read_emotions(mouths(30, 10, 20), TELLER)
        assert [segment.emotion for segment in found.sequence.segments] == [NEUTRAL, HAPPY, NEUTRAL]
