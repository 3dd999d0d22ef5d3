"""Pairs of rigged pictures with the states of their heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError
from latentface.training.vid2vid_data import (
    COUNT,
    KEYPOINTS,
    SIDE,
    Frames,
    PairSampler,
    mirrored_keypoints,
    read_frames,
)
from tests.helpers.head_picture import model
from tests.helpers.rigged_heads import changed, fits, write_photos, write_rigged


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    folder = tmp_path_factory.mktemp("rigged")
    return read_frames(write_rigged(folder / "a", 3), fits(3), write_photos(folder / "b", 3), model())


def test_keypoints_lie_where_the_landmarks_are(frames: Frames) -> None:
    assert len(frames) == 3 + 5  # the photos, and all driven pictures but that under another light
    assert frames.pictures.shape == (8, 3, SIDE, SIDE)
    assert frames.person.tolist() == [0, 1, 2, 0, 0, 1, 1, 2]
    wanted = [fit.landmarks(model()) for fit in fits(3).values()]
    wanted += [changed(fits(3)[f"person{p}.jpg"], k).landmarks(model()) for p, k in ((0, 0), (0, 1), (1, 0))]
    for k, marks in enumerate(wanted):
        places = np.stack([marks[list(part)].mean(0) for part in KEYPOINTS]) * 2 / 255 - 1
        found = frames.head.value[k, : len(KEYPOINTS), :2].numpy()
        assert np.abs(found - places).max() < 0.012, k  # a pixel and a half of 256
        assert np.abs(frames.points[k, 17:68, :2].numpy() - (marks[17:68] * 2 / 255 - 1)).max() < 0.012


def test_the_person_stays_and_the_state_changes(frames: Frames) -> None:
    head = frames.head
    torch.testing.assert_close(head.canonical[0], head.canonical[3])
    torch.testing.assert_close(head.angles[3] - head.angles[0], torch.tensor([8.0, -3.0, 2.0]), atol=1e-3, rtol=0)
    assert float(head.scale[3] / head.scale[0]) == pytest.approx(1.03, abs=0.01)
    jaw, chin = head.deformation[3] - head.deformation[0], 1
    assert float(jaw[chin, 1]) > 0.05  # downwards
    turned = frames[torch.tensor([0])].visible
    assert turned[:, :70].float().mean() > 0.9 and 0.2 < turned[:, 70:].float().mean() < 0.9


def test_pairs_are_moved_and_mirrored_with_their_heads(frames: Frames) -> None:
    """Noise shows it: a picture's value at a keypoint is that of the old picture at the old keypoint."""
    pairs = PairSampler(frames, SIDE)
    batch = pairs.sample(16, torch.Generator().manual_seed(0))
    assert batch.source.shape == (16, 3, SIDE, SIDE) and float(batch.source.abs().max()) <= 1
    away = (batch.source_head.canonical - batch.driving_head.canonical).abs().max()
    assert float(away) < 1e-6  # the same person, mirrored alike
    nose = batch.source_head.value[:, 7]
    assert float((nose[:, 0].abs()).max()) < 0.5
    left, right = batch.source_head.value[:, 18, 0], batch.source_head.value[:, 19, 0]
    assert bool((left < right).all())  # the pupil on the picture's left stays there when mirrored
    again = pairs.sample(16, torch.Generator().manual_seed(0))
    assert torch.equal(again.driving, batch.driving)


def test_points_follow_the_picture(frames: Frames) -> None:
    """A bright spot at a keypoint is found at the keypoint of the moved picture."""
    spots = frames[torch.arange(len(frames))]
    spots.pictures.zero_()
    places = ((spots.head.value[:, 7, :2] + 1) / 2 * (SIDE - 1)).round().long()
    for k, (x, y) in enumerate(places.tolist()):
        spots.pictures[k, :, y - 1 : y + 2, x - 1 : x + 2] = 255
    batch = PairSampler(spots, 64).sample(12, torch.Generator().manual_seed(3))
    for picture, head in ((batch.source, batch.source_head), (batch.driving, batch.driving_head)):
        for k in range(12):
            at = int(picture[k].sum(0).argmax())
            found = torch.tensor([at % 64, at // 64]) / 63 * 2 - 1
            assert (found - head.value[k, 7, :2]).abs().max() < 0.06


def test_mirroring_swaps_left_and_right() -> None:
    order = mirrored_keypoints()
    assert sorted(order) == list(range(COUNT))
    assert [order[k] for k in order] == list(range(COUNT))
    assert order[7] == 7 and order[18] == 19  # the tip of the nose; the pupils


def test_pictures_of_other_people_are_refused(tmp_path: Path) -> None:
    folder = write_rigged(tmp_path / "a", 1)
    with pytest.raises(InputError, match="none of its pictures"):
        read_frames(folder, fits(1), {}, model())
