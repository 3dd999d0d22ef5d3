"""The interior of a mouth is told from lips by colour."""

from __future__ import annotations

import numpy as np

from latentface.head.inside_lips import _without_spikes, inside_lips

UNIT = 60.0


def mouth(skin: tuple[int, int, int] = (190, 130, 120)) -> tuple[np.ndarray, np.ndarray]:
    """A photo [60, 90, 3] whose row of teeth lies at rows 24 to 34, and a fit that is off by four pixels downwards."""
    photo = np.full((60, 90, 3), skin, np.uint8)
    photo[16:46, 20:70] = (170, 80, 80)
    photo[24:35, 24:66] = (225, 220, 205)
    fitted = np.zeros((60, 90), bool)
    fitted[28:39, 22:68] = True
    return photo, fitted


def test_teeth_are_found_where_they_are_and_not_where_the_fit_has_them() -> None:
    photo, fitted = mouth()
    found = inside_lips(photo, fitted, np.zeros_like(fitted), UNIT)
    truth = np.zeros_like(fitted)
    truth[24:35, 24:66] = True
    assert (found & truth).sum() > 0.85 * truth.sum()
    assert not found[38:, 30:60].any(), "the lip that the fit lets in is left out"


def test_a_grey_moustache_is_not_teeth() -> None:
    photo, fitted = mouth()
    photo[:22] = (200, 198, 190)
    found = inside_lips(photo, fitted, np.zeros_like(fitted), UNIT)
    assert not found[:24].any()


def test_lips_that_look_alike_all_over_are_closed() -> None:
    photo, fitted = mouth()
    photo[16:46, 20:70] = (170, 80, 80)
    assert not inside_lips(photo, fitted, np.zeros_like(fitted), UNIT).any()


def test_in_warm_light_red_teeth_are_teeth() -> None:
    photo, fitted = mouth()
    warm = np.array([1.0, 0.82, 0.72])
    photo = (photo * warm).astype(np.uint8)
    found = inside_lips(photo, fitted, np.zeros_like(fitted), UNIT)
    assert found[26:33, 30:60].mean() > 0.9


def test_dull_teeth_between_lips_that_are_apart_are_teeth() -> None:
    photo, fitted = mouth()
    photo[24:35, 24:66] = (165, 125, 115)  # nearly as red as lips, and no brighter
    thin = fitted & (np.arange(60)[:, None] > 37)
    assert inside_lips(photo, fitted, np.zeros_like(fitted), UNIT)[28:33, 30:60].mean() > 0.9
    assert not inside_lips(photo, thin, np.zeros_like(fitted), UNIT).any()


def test_a_highlight_on_a_lip_is_no_part_of_the_teeth_that_it_touches():
    y, x = np.mgrid[:60, :120]
    row = (y > 15) & (y < 35 - 0.005 * (x - 60.0) ** 2)  # a smile
    spikes = (np.abs(x - 60) < 1.0 * (45 - y)) & (y < 45) & (y > 25) | (np.abs(x - 40) < 4) & (y > 8) & (y < 20)
    found = _without_spikes(row | spikes, 80.0)
    assert (found & ~row).sum() < 0.35 * (spikes & ~row).sum() and (row & ~found).sum() < 0.01 * row.sum()
    assert (_without_spikes(row, 80.0) == row).mean() > 0.999
    assert not _without_spikes(np.zeros((4, 5), bool), 80.0).any()
