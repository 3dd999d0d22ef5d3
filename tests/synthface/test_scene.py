"""Several views of one person: what stays, what changes, and who looks alike."""

from pathlib import Path

import numpy as np
import pytest

from latentface.errors import UsageError
from latentface.synthface.dataset import render_dataset
from latentface.synthface.scene import LOOK, sample_scene, sample_view

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


@pytest.mark.parametrize("views", [0, 3, 7])
def test_a_person_is_never_cut_by_the_end_of_a_shard(tmp_path: Path, views: int) -> None:
    with pytest.raises(UsageError, match="divisor of 500"):
        render_dataset(tmp_path / "heads.npz", tmp_path, 500, views=views)
