"""Segments from single looks: the path of least cost, flickers, gaps and faces that change."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np

from latentface.emotion import Emotion
from latentface.emotions.smoothing import Look, Smoother, to_segments
from tests.helpers.looks import ended, looks, read_back, sure

HAPPY, SAD, NEUTRAL = Emotion.HAPPINESS, Emotion.SADNESS, Emotion.NEUTRAL


def test_runs_become_segments() -> None:
    found = to_segments(ended((HAPPY, 10), (SAD, 5), (NEUTRAL, 10)), 0.5)
    assert read_back(found) == [(HAPPY, 2.0), (SAD, 1.0), (NEUTRAL, 2.0)]


def test_a_short_flicker_does_not_count_unless_it_may() -> None:
    flicker = [(HAPPY, 10), (SAD, 1), (HAPPY, 10)]
    assert read_back(to_segments(ended(*flicker), 0.5)) == [(HAPPY, 4.2)]
    assert len(list(to_segments(ended(*flicker), 0.1))) == 3


def test_steady_is_in_seconds_whatever_the_rate() -> None:
    for rate in (5, 25):
        for seconds, segments in ((0.4, 1), (1.2, 3)):
            runs = ((HAPPY, 2 * rate), (SAD, round(seconds * rate)), (HAPPY, 2 * rate))
            assert len(list(to_segments(ended(*runs, rate=rate), 0.6))) == segments


def test_doubt_gives_way_to_what_is_around() -> None:
    seen = ended((HAPPY, 5), (SAD, 5), (HAPPY, 5))
    doubtful = tuple(0.4 if e is SAD else 0.36 if e is HAPPY else 0.048 for e in Emotion)
    seen[5:10] = [Look(look.time, doubtful, look.box, 1) for look in seen[5:10]]
    assert read_back(to_segments(seen, 0.5)) == [(HAPPY, 3.0)]


def test_strength_is_the_mean_chance_and_neutral_has_none() -> None:
    happy, neutral = to_segments(ended((HAPPY, 5), (NEUTRAL, 5)), 0.5)
    assert happy.strength == 0.94
    assert neutral.strength == 1.0


def test_a_moment_without_a_face_is_bridged_and_a_while_is_neutral() -> None:
    short, long = ([(HAPPY, 10), (None, count), (HAPPY, 10)] for count in (4, 20))
    assert read_back(to_segments(ended(*short), 0.5)) == [(HAPPY, 4.8)]
    assert read_back(to_segments(ended(*long), 0.5)) == [(HAPPY, 2.0), (NEUTRAL, 4.0), (HAPPY, 2.0)]
    assert next(iter(to_segments(ended(*short), 0.5))).strength == 0.94


def test_another_face_owes_nothing_to_the_one_before() -> None:
    first, second = list(looks((HAPPY, 10))), list(looks((SAD, 10), track=2))
    seen = [*first, Look(Fraction(2), sure(SAD), (0, 0, 9, 9), 2)]
    seen += [Look(look.time + Fraction(11, 5), sure(HAPPY), look.box, 3) for look in second]
    seen.append(Look(Fraction(21, 5), None))
    assert read_back(to_segments(seen, 0.5)) == [(HAPPY, 2.0), (SAD, 0.2), (HAPPY, 2.0)]


def test_it_is_the_cheapest_of_all_paths() -> None:
    """Against an exhaustive search over paths of six looks and three emotions."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        chances = np.full((6, 7), 0.001)
        chances[:, :3] = rng.dirichlet((0.5, 0.5, 0.5), 6)
        seen = [Look(Fraction(k, 5), tuple(row), (0, 0, 9, 9), 1) for k, row in enumerate(chances)]
        costs = 0.2 * np.log(np.clip(chances, 0.02, 1)) / np.log(0.02)

        def cost(path, costs=costs):
            changes = sum(a != b for a, b in itertools.pairwise(path))
            return sum(costs[k, e] for k, e in enumerate(path)) + 0.15 * changes

        best = min(itertools.product(range(3), repeat=6), key=cost)
        smoother = Smoother(0.3)
        decided = [d for look in seen for d in smoother.push(look, 0.2)] + smoother.close()
        assert [emotion.index for _, _, emotion in decided] == list(best)


def test_what_waits_stays_little_even_in_endless_doubt() -> None:
    smoother = Smoother(0.5)
    most = 0
    for k in range(700):
        chances = tuple(0.4 if e in (HAPPY, SAD) else 0.04 for e in Emotion)
        smoother.push(Look(Fraction(k, 5), chances, (0, 0, 9, 9), 1), 0.2)
        most = max(most, len(smoother.waiting))
    assert most == 300


def test_nothing_seen_gives_nothing() -> None:
    assert list(to_segments([], 0.5)) == []
