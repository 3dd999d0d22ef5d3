"""Mouths in photos: painted or another's own, in the opening only, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.errors import InputError, UsageError
from latentface.head.mouth import MouthStyle, fill_mouth, paint_mouth, rows_in_photo
from latentface.head.mouth_canvas import MouthFrame
from latentface.head.own_mouth import Tone, fits, lay_mouth, take_mouth
from latentface.head.teeth import TeethRows
from latentface.networks.mouth import MouthConfig, MouthNet
from latentface.pretrained import load_mouth

CONFIG = MouthConfig(height=32, width=48, scale=32.0, top=-3.0, widths=(8, 8, 8, 8), detail=4)
FRAME = MouthFrame(np.array([100.0, 80.0]), np.array([60.0, 0.0]))


@pytest.fixture(scope="module")
def network() -> MouthNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MouthNet(CONFIG).eval()


def photo(seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[:160, :200]
    grey = 120 + 0.3 * x + 0.2 * y + np.random.default_rng(seed).normal(0, 2, (160, 200))
    speck = np.random.default_rng(seed).normal(0, 8, (160, 200, 3))
    return (grey[..., None] * [1.1, 0.85, 0.7] + speck).clip(0, 255).astype(np.uint8)


def oval(height: float = 12, x: float = 100, y: float = 105, width: float = 28) -> np.ndarray:
    rows, columns = np.mgrid[:160, :200] + 0.5
    inside = 1 - np.hypot((columns - x) / width, (rows - y) / height)
    return (inside * min(height, width) + 0.5).clip(0, 1).astype(np.float32)


def test_only_the_opening_changes(network):
    before, opening = photo(), oval()
    after = paint_mouth(before, opening, FRAME, network)
    changed = (after != before).any(2)
    rows, columns = np.flatnonzero(opening.any(1)), np.flatnonzero(opening.any(0))
    outside = np.ones_like(changed)
    outside[rows[0] - 4 : rows[-1] + 5, columns[0] - 4 : columns[-1] + 5] = False
    assert not changed[outside].any()
    assert changed[opening > 0.9].mean() > 0.95
    assert (after == paint_mouth(before, opening, FRAME, network)).all()


def test_what_lies_in_the_opening_is_not_looked_at(network):
    before, opening = photo(), oval()
    other = before.copy()
    other[opening > 0.99] = 0
    a, b = (paint_mouth(each, opening, FRAME, network)[opening > 0.999] for each in (before, other))
    assert np.abs(a.astype(int) - b).mean() < 1.0


def test_no_opening_is_no_change_and_a_slit_is_dark(network):
    before = photo()
    assert (paint_mouth(before, np.zeros((160, 200), np.float32), FRAME, network) == before).all()
    slit = np.zeros((160, 200), np.float32)
    slit[105, 84:116] = 1
    after = paint_mouth(before, slit, FRAME, network)
    assert after[105, 86:114].mean() < 0.6 * before[105, 86:114].mean()


def test_a_little_more_opening_is_a_little_change(network):
    before = photo()
    small, same, large = (paint_mouth(before, oval(h), FRAME, network).astype(int) for h in (12, 12.05, 14))
    both = oval(11) > 0.9
    step, leap = np.abs(same - small)[both].mean(), np.abs(large - small)[both].mean()
    assert step < 1.5 and step < leap


def test_it_turns_with_the_head(network):
    before, opening = photo(), oval()
    turned = MouthFrame(np.array([80.0, 100.0]), np.array([0.0, 60.0]))  # x and y swapped: a quarter turn, mirrored
    assert turned.to_photo(CONFIG).shape == (2, 3)
    centre = FRAME.to_photo(CONFIG) @ [CONFIG.width / 2, CONFIG.top, 1]
    assert np.allclose(centre, FRAME.nose_base)
    quarter = MouthFrame(np.array([160 - 80.0, 100.0]), np.array([0.0, 60.0]))  # np.rot90 clockwise of the photo
    a = paint_mouth(before, opening, FRAME, network)
    b = paint_mouth(np.rot90(before, -1).copy(), np.rot90(opening, -1).copy(), quarter, network)
    assert np.abs(np.rot90(b, 1).astype(int) - a).mean() < 0.2


def test_from_landmarks():
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[33], points[30] = [70, 50], [130, 50], [100, 90], [106, 80]
    frame = MouthFrame.from_landmarks(points)
    assert frame.nose_base.tolist() == [100, 90] and frame.across.tolist() == [60, 0] and frame.yaw > 0.1
    with pytest.raises(UsageError, match=r"\[68, 2\], got \[5, 2\]"):
        MouthFrame.from_landmarks(points[:5])
    with pytest.raises(InputError, match="pixels apart"):
        MouthFrame(np.zeros(2), np.array([1.0, 0.0]))


def test_edges_of_teeth_come_from_the_photo():
    upper = np.array([[70.0, 100.0], [130.0, 100.0]])
    rows = rows_in_photo(FRAME, upper, None, CONFIG)
    matrix = FRAME.to_photo(CONFIG)
    x = CONFIG.width // 2
    assert np.allclose(matrix @ [x + 0.5, rows.upper_edge[x], 1], [matrix[0] @ [x + 0.5, 0, 1], 100])
    assert np.isnan(rows.upper_edge[0]) and np.isnan(rows.lower_edge).all()
    with pytest.raises(UsageError, match="two or more points"):
        rows_in_photo(FRAME, upper[:1], None, CONFIG)


def striped() -> np.ndarray:
    """A photo whose mouth is red above and blue below."""
    other = photo(seed=3)
    other[95:105], other[105:115] = [200, 40, 40], [40, 40, 200]
    return other


def test_an_own_mouth_is_laid_from_lip_to_lip():
    own = take_mouth(striped(), oval(9), FRAME, CONFIG)
    after = lay_mouth(photo(), oval(13), FRAME, own, CONFIG).astype(int)
    assert after[97, 100, 0] > after[97, 100, 2] + 60 and after[113, 100, 2] > after[113, 100, 0] + 60
    assert (after[oval(13) == 0][:2000] == photo()[oval(13) == 0][:2000]).all()


def test_an_own_mouth_takes_on_the_light():
    own = take_mouth(striped(), oval(9), FRAME, CONFIG)
    dark = (photo() * 0.5).astype(np.uint8)
    light, dim = (lay_mouth(each, oval(9), FRAME, own, CONFIG)[oval(9) > 0.9].mean() for each in (photo(), dark))
    assert dim == pytest.approx(light / 2, rel=0.15)


def test_an_own_mouth_takes_on_the_tone_of_the_teeth_that_the_photo_shows():
    other = photo(seed=3)
    other[95:115] = 230, 228, 220
    own = take_mouth(other, oval(9), FRAME, CONFIG)
    target = np.array([90, 80, 70], np.float32)
    toned = lay_mouth(photo(), oval(9), FRAME, own, CONFIG, Tone(target, np.full(3, 250, np.float32)))
    pixels = toned[oval(9) > 0.9].astype(float)
    bright = pixels[pixels.mean(axis=1) >= np.quantile(pixels.mean(axis=1), 0.6)]
    assert np.median(bright, axis=0) == pytest.approx(target, abs=25)
    dull = lay_mouth(photo(), oval(9), FRAME, own, CONFIG, Tone(None, np.full(3, 40, np.float32)))
    assert dull[oval(9) > 0.9].mean() < 45  # no whiter than white


def test_auto_takes_what_fits_and_paints_otherwise(network):
    before, own = photo(), take_mouth(striped(), oval(9), FRAME, CONFIG)
    assert fits(own, oval(10), FRAME, CONFIG) and not fits(own, oval(25), FRAME, CONFIG)
    for height, alone in ((10, lay_mouth(before, oval(10), FRAME, own, CONFIG)), (25, None)):
        expected = paint_mouth(before, oval(height), FRAME, network) if alone is None else alone
        assert (fill_mouth(before, oval(height), FRAME, network, own=own) == expected).all()
    painted = fill_mouth(before, oval(10), FRAME, network, "painted", own)
    assert (painted == paint_mouth(before, oval(10), FRAME, network)).all()
    with pytest.raises(InputError, match="much higher"):
        fill_mouth(before, oval(25), FRAME, network, "own", own)
    with pytest.raises(InputError, match="no open mouth"):
        fill_mouth(before, oval(10), FRAME, network, "own")
    with pytest.raises(UsageError, match="auto, own or painted"):
        fill_mouth(before, oval(10), FRAME, network, "other")  # type: ignore[arg-type]


def test_a_closed_mouth_has_nothing_to_take():
    with pytest.raises(InputError, match="all but closed"):
        take_mouth(photo(), oval(0.5), FRAME, CONFIG)


def test_wrong_input_is_named(network):
    with pytest.raises(UsageError, match="uint8"):
        paint_mouth(photo().astype(np.float32), oval(), FRAME, network)
    with pytest.raises(UsageError, match=r"opening float32 \[160, 200\]"):
        paint_mouth(photo(), oval()[:50], FRAME, network)
    with pytest.raises(UsageError, match="0 to 1"):
        paint_mouth(photo(), oval() * 2, FRAME, network)
    with pytest.raises(UsageError, match="-2 to 2"):
        MouthStyle(teeth=3.0)


def test_a_style_changes_the_mouth(network):
    usual, other = (paint_mouth(photo(), oval(), FRAME, network, style=MouthStyle(teeth=t)) for t in (0.0, 2.0))
    assert (usual != other).any()


def test_the_built_in_network_paints_bright_teeth_before_the_dark():
    network = load_mouth()
    config = network.config
    frame = MouthFrame(np.array([100.0, 80.0]), np.array([64.0, 0.0]))  # a pixel of the photo is one of the canvas
    before = photo()
    opening = oval(14, y=112)
    edge = np.full(config.width, 110.0 - 80.0 + config.top)  # teeth down to row 110
    nothing = np.full(config.width, np.nan)
    after = paint_mouth(before, opening, frame, network, TeethRows(edge, nothing, config.width / 2)).astype(float)
    teeth, dark = after[103:108, 90:110].mean((0, 1)), after[114:122, 90:110].mean((0, 1))
    assert teeth.mean() > dark.mean() + 35
    assert dark[0] > dark[2]  # a tongue's red, if any colour
    assert teeth[0] - teeth[2] < 60  # ivory at most
    none = paint_mouth(before, opening, frame, network, TeethRows(nothing, nothing, config.width / 2))
    assert none[103:108, 90:110].mean() < teeth.mean() - 30
    bare = np.full(3, 250, np.float32)
    toned = paint_mouth(
        before, opening, frame, network, TeethRows(edge, nothing, config.width / 2), tone=Tone(bare * 0.4, bare)
    ).astype(float)
    assert toned[103:108, 90:110].mean() < 0.9 * teeth.mean()  # dark teeth of the photo's own
    assert toned[114:122, 90:110].mean() == pytest.approx(dark.mean(), rel=0.05)
