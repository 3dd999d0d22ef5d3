"""The mouth network's recipe: batches, losses, and a run that can stop and go on."""

from __future__ import annotations

import pytest
import torch

from latentface.networks.mouth import MouthConfig, Plane
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.pretrained.native import read_network
from latentface.training.mouth import MouthOptions, MouthRun, difference, paint_planes, split
from latentface.training.mouth_data import MouthData, still
from tests.helpers.drawn_mouths import drawn_data

CONFIG = MouthConfig()


@pytest.fixture(scope="module")
def data() -> MouthData:
    return drawn_data()


def teacher() -> PerceptualNet:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return PerceptualNet(PerceptualConfig(widths=(8, 8), depths=(1, 1))).requires_grad_(False)


def test_sources_are_held_out(data):
    train, held = split(data)
    assert (held.sources, held.names) == (["pif", "vta"], ["0", "12"]) and len(train) == 12


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
