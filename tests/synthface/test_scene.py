"""Scenes: from their seed, by emotion, and in several views of one person."""

from __future__ import annotations

import numpy as np
import pytest

from latentface.synthface.library import Library
from latentface.synthface.scene import EMFACS, EMOTIONS, LOOK, emotion_shapes, sample_scene, sample_view

SIZES = {"skin": 5, "hair": 4, "brow": 3, "lash": 2}


def look(seed: int, views: int) -> list[object]:
    scene = sample_view(seed, views, SIZES)
    return [np.asarray(getattr(scene, name)).tolist() for name in LOOK]


def test_views_share_the_person_and_nothing_else() -> None:
    views = [sample_view(seed, 5, SIZES) for seed in range(20, 25)]
    assert all(np.array_equal(view.identity, views[0].identity) for view in views)
    assert all(look(seed, 5) == look(20, 5) for seed in range(20, 25))
    for name in ("yaw", "distance", "exposure", "strength"):
        assert len({getattr(view, name) for view in views}) == 5
    assert [view.seed for view in views] == list(range(20, 25))


def test_pairs_of_people_look_alike() -> None:
    one, other, stranger = (sample_view(seed, 5, SIZES) for seed in (20, 25, 30))
    assert look(20, 5) == look(25, 5) != look(30, 5)
    assert not np.array_equal(one.identity, other.identity) and not np.array_equal(other.identity, stranger.identity)


def test_one_view_is_the_scene_itself() -> None:
    plain, view = sample_scene(7, SIZES), sample_view(7, 1, SIZES)
    assert np.array_equal(plain.identity, view.identity) and plain.yaw == view.yaw and plain.skin == view.skin


def test_scenes_come_from_their_seed() -> None:
    sizes = {"skin": 4, "hair": 3, "brow": 2, "lash": 2}
    one, again, other = sample_scene(5, sizes), sample_scene(5, sizes), sample_scene(6, sizes)
    assert one.expression == again.expression and one.yaw == again.yaw
    np.testing.assert_array_equal(one.identity, again.identity)
    assert not np.array_equal(one.identity, other.identity)
    many = [sample_scene(s, sizes) for s in range(300)]
    assert {s.emotion for s in many} == set(range(len(EMOTIONS)))
    assert {s.hair for s in many} == {None, 0, 1, 2}
    assert np.std([s.yaw for s in many]) > 8
    assert all(0 <= w <= 1.2 for s in many for w in s.expression.values())


def test_emotions_scale_with_strength_and_keep_the_person(library: Library) -> None:
    full, half = emotion_shapes("anger", 1.0), emotion_shapes("anger", 0.5)
    assert full.keys() == half.keys()
    assert all(half[k] == pytest.approx(full[k] / 2) for k in full)
    assert set(EMFACS) == set(EMOTIONS)
    scene = sample_scene(1, library.sizes, 3)
    angry = scene.with_expression("anger", 0.8)
    assert angry.emotion == EMOTIONS.index("anger") and angry.strength == 0.8
    assert angry.identity is scene.identity and angry.backdrop is scene.backdrop
