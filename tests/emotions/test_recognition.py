"""Emotions of films: recognisers, and reading as a whole."""

import gc
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.emotion import Emotion
from latentface.emotions.recognition import Recogniser, of_network, plugged_in, read, watch
from latentface.emotions.resume_log import Journal
from latentface.emotions.smoothing import Look
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.faces import alignment
from latentface.io.clip import Clip, Frame
from latentface.networks.classifier import EmotionConfig, EmotionNet
from latentface.networks.landmarks import LandmarkConfig
from latentface.options.clips import ReadOptions
from tests.helpers.looks import read_back
from tests.helpers.motion_models import Wander, best_skin, wandering
from tests.helpers.skin_faces import Points, find_skin

HAPPY, SAD, NEUTRAL = Emotion.HAPPINESS, Emotion.SADNESS, Emotion.NEUTRAL


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

    @pytest.mark.parametrize(
        "answer",
        [
            [[1, 0]], [[-1] * 7], [[float("nan")] * 7], [[0] * 7], [[1] * 7] * 2, 5, [], [[]], [[1, 2], [1]],
            [["happy"] * 7], None, {"happiness": 1.0}, torch.zeros(0, 7), np.zeros((1, 7, 0)),
        ],
    )  # fmt: skip
    def test_an_answer_of_another_kind_is_refused(self, answer):
        with pytest.raises(UsageError, match=r"expected \[1, 7\] probabilities"):
            Recogniser(lambda crops: answer)(np.zeros((1, 16, 16, 3), np.uint8))

    def test_rows_of_different_lengths_are_told_of(self):
        with pytest.raises(UsageError, match="a list that is no table of numbers"):
            Recogniser(lambda crops: [[1.0] * 7, [1.0]])(np.zeros((2, 16, 16, 3), np.uint8))

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

    def test_a_person_is_chosen_at_the_beginning_even_if_reading_goes_on_later(self, made_up):
        clip = Clip([Frame(wandering(0), Fraction(k, 5)) for k in range(5)], 5, (180, 140))
        seen = []

        class Chosen:
            number, track, box = None, 0, (1, 2, 3, 4)

            def begin(self, picture):
                self.number = 1
                seen.append("begin")

            def __call__(self, picture):
                seen.append("follow")

        before = Look(Fraction(2, 5), None, None, 7)
        looks = list(watch(clip, Points(), TELLER, 5, before, Chosen()))
        assert seen == ["begin", "follow", "follow"]
        assert [(look.chances, look.box, look.track) for look in looks] == [(None, (1, 2, 3, 4), 7)] * 2

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
        with pytest.raises(NoFaceFound, match="no face in 4 frames"):
            read(clip, Points(), TELLER)

    def test_memory_does_not_grow_with_the_film(self, made_up):
        """A film four times as long: what arrays hold at most, look by look, differs by less than a frame."""
        arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)  # no other thread's, no interpreter's own

        def held(seconds):
            picture, most = wandering(0), []

            def measure(count, look):
                gc.collect()
                traces = tracemalloc.take_snapshot().filter_traces([arrays]).traces
                most.append(sum(trace.size for trace in traces))

            clip = Clip(Again(lambda k: picture.copy(), seconds, 1), Fraction(1), (180, 140))
            gc.collect()
            gc.freeze()  # what there is already need not be searched at every look
            tracemalloc.start()
            try:
                read(clip, Points(), TELLER, ReadOptions(looks=1), on_look=measure)
            finally:
                tracemalloc.stop()
                gc.unfreeze()
            assert len(most) == seconds
            return max(most)

        few, many = held(20), held(80)
        assert few >= wandering(0).nbytes, "at least the frame itself is seen"
        assert many - few < wandering(0).nbytes

    @pytest.mark.parametrize("wrong", [{"looks": 0}, {"looks": 100}, {"steady": -1}])
    def test_options_have_bounds(self, wrong):
        with pytest.raises(UsageError):
            ReadOptions(**wrong)

    def test_the_public_verb_takes_any_recogniser(self, made_up, monkeypatch):
        monkeypatch.setattr(hub, "_landmarks", lambda name, stamp: Points())
        found = api.read_emotions(mouths(30, 10, 20), TELLER)
        assert [segment.emotion for segment in found.sequence.segments] == [NEUTRAL, HAPPY, NEUTRAL]
