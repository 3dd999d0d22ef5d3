"""What is in front of a face stays still and whole; here a green bar, and a network that finds green."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface import hub
from latentface.head.drive import Driver
from latentface.head.in_front import Finders
from latentface.head.occluders import Look, Occluders, find_occluders, look_for_occluders
from latentface.networks.occluders import OccluderConfig, OccluderNet
from tests.helpers.head_picture import model, picture, place

BAR = (slice(215, 250), slice(120, 190))  # over the mouth, beside its middle
GREEN = (30, 200, 60)


class FindsGreen(OccluderNet):
    """Logits of 8 where it is green, and of -8 elsewhere."""

    def __init__(self) -> None:
        super().__init__(OccluderConfig(128, (4, 4)))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        green = (pictures[:, 1:2] - pictures[:, :1] > 0.5) & (pictures[:, 1:2] - pictures[:, 2:] > 0.5)
        return torch.where(green, 8.0, -8.0)


def photo() -> np.ndarray:
    made = picture().photo.copy()
    made[BAR] = GREEN
    return made


def landmarks() -> np.ndarray:
    return picture().before[model().landmarks, :2].astype(float)


def look(picture: np.ndarray) -> Look:
    return look_for_occluders(picture, landmarks(), FindsGreen())


def found() -> Occluders:
    made = find_occluders(photo(), look(photo()))
    assert made is not None
    return made


def test_it_is_found_where_it_is_and_only_there() -> None:
    mask = np.zeros(photo().shape[:2], bool)
    mask[found().box.slices] = found().distance == 0
    true = np.zeros_like(mask)
    true[BAR] = True
    assert (mask & true).sum() / (mask | true).sum() > 0.85
    assert find_occluders(picture().photo, look(picture().photo)) is None


def test_in_clips_doubt_is_decided_by_the_frame_before_where_that_looked_alike() -> None:
    sure = look(photo())
    doubtful = Look(sure.crop, np.where(sure.logits > 0, -1.0, sure.logits).astype(np.float32))
    assert find_occluders(photo(), doubtful) is None
    kept = doubtful.after(sure)
    assert np.array_equal(kept.logits > 0, sure.logits > 0)
    gone = look(picture().photo)  # what has moved away is not remembered
    assert np.abs(gone.after(sure).logits - gone.logits)[sure.logits > 0].max() < 1
    assert find_occluders(picture().photo, gone.after(sure)) is None


def test_the_built_in_network_finds_nothing_in_front_of_a_bare_face() -> None:
    assert picture().driver().occluders is None


def test_it_stays_while_the_face_moves_behind_it() -> None:
    driver = Driver(photo(), model(), picture().before, finders=Finders(hub.finders().spectacles, FindsGreen()))
    after = place({"jawOpen": 0.6, "mouthSmile": 0.5}, yaw=6)
    driven = driver.drive(after)
    assert np.array_equal(driven.photo[BAR], photo()[BAR])
    assert (driver.drive(after).hole[driven.opening.kept.shape[0] // 2] < 1).any()
    bare = Driver(photo(), model(), picture().before).drive(after).photo
    assert np.abs(bare[BAR].astype(int) - photo()[BAR]).max() > 60  # without it, it is drawn along
    green = (driven.photo[..., 1].astype(int) - driven.photo[..., 0] > 60).copy()
    green[BAR[0].start - 3 : BAR[0].stop + 3, BAR[1].start - 3 : BAR[1].stop + 3] = False
    assert not green.any()  # and it is not seen twice


def test_what_is_behind_it_is_like_what_is_around_it() -> None:
    behind = found().behind(photo())
    greenness = behind[BAR][..., 1].astype(int) - behind[BAR][..., 0]
    assert greenness.max() < 20
    far = np.ones(behind.shape[:2], bool)
    far[BAR[0].start - 12 : BAR[0].stop + 12, BAR[1].start - 12 : BAR[1].stop + 12] = False
    assert np.array_equal(behind[far], photo()[far])


@pytest.mark.parametrize(("rows", "hidden"), [(slice(190, 270), True), (slice(100, 130), False)])
def test_it_says_when_it_hides_the_lips(rows: slice, hidden: bool) -> None:
    made = picture().photo.copy()
    made[rows, 90:210] = GREEN
    occluders = find_occluders(made, look(made))
    assert occluders is not None and occluders.hide(landmarks()) == hidden
