"""The mouth network's recipe: batches, losses, and a run that can stop and go on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latentface.networks.mouth import PLANES, MouthConfig, Plane
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.pretrained.native import read_network
from latentface.training.mouth import MouthOptions, MouthRun, difference, paint_planes, split
from latentface.training.mouth_data import MARGIN, Changes, MouthData, hide, still, varied
from tests.helpers.drawn_mouths import drawn_mouth

CONFIG = MouthConfig()


@pytest.fixture(scope="module")
def data() -> MouthData:
    planes = np.zeros((14, PLANES, CONFIG.height + 2 * MARGIN, CONFIG.width), np.uint8)
    for i in range(14):
        mouth = drawn_mouth(i)
        planes[i, :3], planes[i, Plane.OPENING] = mouth.image.transpose(2, 0, 1), mouth.opening * 255
        planes[i, Plane.UPPER_TEETH, :34] = 255
    sources = ["pif", "vta", *["t2i"] * 6, *["vta"] * 6]
    return MouthData(
        planes, np.ones((14, 3), np.float32), sources, [str(i) for i in range(14)], np.ones(14, np.float32)
    )


def teacher() -> PerceptualNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PerceptualNet(PerceptualConfig(widths=(8, 8), depths=(1, 1))).requires_grad_(False)


def test_sources_are_held_out(data):
    train, held = split(data)
    assert (held.sources, held.names) == (["pif", "vta"], ["0", "12"]) and len(train) == 12


def test_the_network_never_sees_what_it_is_to_paint(data):
    planes, style = varied(data, torch.arange(6), CONFIG, Changes(), torch.Generator().manual_seed(0))
    assert planes.shape == (6, PLANES, CONFIG.height, CONFIG.width) and style.shape == (6, 3)
    seen, opening = hide(planes), planes[:, Plane.OPENING : Plane.OPENING + 1]
    assert (seen[:, :3].abs() * (opening >= 0.02)).max() == 0
    assert (planes[:, :3] * (opening > 0.5)).abs().max() > 0.3
    assert (seen[:, :3] == planes[:, :3])[(opening == 0).expand(-1, 3, -1, -1)].all()
    assert (planes[:, Plane.UPPER_TEETH] <= planes[:, Plane.OPENING] + 1e-6).all()


def test_variations_vary_and_repeat(data):
    first, again = (
        varied(data, torch.arange(6), CONFIG, Changes(), torch.Generator().manual_seed(1))[0] for _ in range(2)
    )
    assert torch.equal(first, again)
    plain, _ = still(data, torch.arange(6), CONFIG)
    assert (first - plain)[:, :3].abs().mean() > 0.02
    nothing = Changes(0, 0, 0, 0, 0, 0, 0, 0)
    same, _ = varied(data, torch.arange(32) % 14, CONFIG, nothing, torch.Generator().manual_seed(1))
    whole, _ = still(data, torch.arange(32) % 14, CONFIG)
    off = torch.minimum((same - whole).abs().amax((1, 2, 3)), (same.flip(3) - whole).abs().amax((1, 2, 3)))
    assert off.max() < 1e-4
    grey, _ = varied(data, torch.arange(6), CONFIG, Changes(grey=1.0), torch.Generator().manual_seed(1))
    assert (grey[:, 0] - grey[:, 2]).abs().max() < 1e-5


def test_an_opening_grows_by_pixels(data):
    areas = [still(data, torch.arange(2), CONFIG, widen)[0][:, Plane.OPENING].sum() for widen in (0.0, 1.0, 2.0)]
    assert areas[0] < areas[1] < areas[2]


def test_difference_is_inside_only():
    a, b = torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8)
    opening = torch.zeros(2, 1, 8, 8)
    opening[:, :, 2:6, 2:6] = 1
    b[:, :, 2:6, 2:6] = 0.25
    assert difference(a, b, opening).tolist() == [0.25, 0.25]


def test_painted_planes_keep_the_photo_around(data):
    planes, style = still(data, torch.arange(2), CONFIG)
    painted = paint_planes(lambda seen, told: torch.full_like(seen[:, :3], 0.5), planes, style)  # type: ignore[arg-type]
    inside = planes[:, Plane.OPENING] == 1
    assert (painted[:, 0][inside] == 0.5).all()
    assert torch.equal(painted[:, 0][planes[:, Plane.OPENING] == 0], planes[:, 0][planes[:, Plane.OPENING] == 0])


def test_a_run_learns_and_can_stop_and_go_on(data, tmp_path):
    options = MouthOptions(
        steps=4, batch=2, learning_rate=3e-3, adversarial_from=0.5, measure_every=2, average=0.5, bfloat16=False
    )
    lines: list[str] = []
    whole = MouthRun(data, teacher(), tmp_path / "whole", options)
    before = whole.measure()["held_l1"]
    path = whole.run(say=lines.append)
    assert whole.curve[-1]["held_l1"] < before and len(lines) == 2
    assert whole.curve[0]["critic"] == 0 and whole.curve[1]["critic"] > 0
    MouthRun(data, teacher(), tmp_path / "halves", options).run(say=lines.append, stop_after=2)
    again = MouthRun(data, teacher(), tmp_path / "halves", options).run(say=lines.append)
    one, two = read_network(path), read_network(again)
    assert one.kind == "mouth" and one.config["scale"] == 64.0
    assert all(torch.equal(one.state[name], two.state[name]) for name in one.state)
