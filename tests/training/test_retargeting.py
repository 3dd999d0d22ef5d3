"""The recipe of retargeting, on drawn people: it learns, resumes, and its codes are trained against a classifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latentface.networks.retargeting import Code, RetargetConfig, RetargetNet
from latentface.pretrained import load_retargeting
from latentface.training import retargeting
from latentface.training.loop import Loop, LoopOptions
from latentface.training.retargeting import RetargetTask, Weights, finish, recolour, reverse_gradient
from latentface.training.retargeting_data import load_rendered
from tests.helpers.cli_desk import PixelDistance
from tests.helpers.curves import read_curve
from tests.helpers.tiny_cast import SHAPE, tiny_network, write_cast

OPTIONS = LoopOptions(
    steps=60, measure_every=30, warm_up=4, learning_rate=1e-2, average=0.9, bfloat16=False, minutes=None
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cast(tmp_path_factory.mktemp("cast"))


def task(folder: Path, views: tuple[str, ...] = ("image", "keypoints"), **weights: float) -> RetargetTask:
    cast = load_rendered(folder)
    config = RetargetConfig(cast.names, views, **SHAPE)
    return RetargetTask(cast, config, replace(Weights(), **weights), PixelDistance(), batch=6)


def test_another_person_is_shown_with_what_the_first_one_does(folder: Path, tmp_path: Path) -> None:
    whole = task(folder, adversary=0.05)
    loop = Loop(whole, tmp_path / "run", OPTIONS)
    portraits = whole.measure(loop.averaged)["l1"]  # before it has learnt it shows the mean pictures
    trained = loop.run(say=lambda line: None)
    first, last = read_curve(tmp_path / "run")
    assert last["l1"] < 0.8 * portraits and last["loss"] < first["loss"]
    network = load_retargeting(finish(trained, tmp_path / "retarget.safetensors", load_rendered(folder)))
    assert network.config.people == ("person-00000", "person-00001", "person-00002")
    assert not any(name.startswith("classifier") for name in network.state_dict())
    found = whole.measure(_trainee(network))
    assert found["l1"] == pytest.approx(last["l1"], abs=0.01)  # eight bits and a shorter code change little


def _trainee(network: RetargetNet) -> retargeting.Trainee:
    with torch.random.fork_rng():
        trainee = retargeting.Trainee(network.config)
    trainee.network = network
    return trainee.eval().requires_grad_(False)


def test_codes_are_decoded_as_somebody_else_who_does_the_same(folder: Path) -> None:
    whole = task(folder)
    truth = torch.tensor([[0.1], [0.7], [0.1], [0.5], [0.1]])
    together = retargeting.Together(truth)
    found = {int(together.companions(torch.tensor([2]), torch.tensor([x]))) for x in (0.0, 0.4, 0.99)}
    assert found == {0, 2, 4} and together.companions(torch.tensor([1, 3]), torch.tensor([0.9, 0.1])).tolist() == [1, 3]
    own = whole.cast = replace(whole.cast, truth=torch.arange(len(whole.cast)).remainder(20)[:, None].float())
    assert own.truth is not None
    whole.together = retargeting.Together(own.truth)
    batch = whole.sample_batch(torch.Generator().manual_seed(0))
    assert batch.told.truth is not None and batch.shown.truth is not None
    assert torch.equal(batch.told.truth, batch.shown.truth)
    assert torch.equal(batch.shown.person, batch.told.person[batch.order])
    assert not torch.equal(batch.shown.person, batch.told.person)


@pytest.mark.parametrize("certainty, kept", [((4.0, 0.3, 2.0, 0.1), 2), ((0.1, 0.3, 0.2, 0.1), 1)])
def test_directions_that_are_noise_to_the_decoder_are_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch, certainty: tuple[float, ...], kept: int
) -> None:
    cast, network = load_rendered(folder), tiny_network()
    deviation = torch.tensor(certainty).sqrt()
    source = torch.Generator().manual_seed(0)

    def encode(pictures: torch.Tensor, landmarks: torch.Tensor) -> Code:
        mean = 1 + deviation * torch.randn(len(pictures), 4, generator=source)
        return Code(mean, torch.zeros(len(pictures), 4))

    start = network.decoder.start.bias.clone()
    weight = network.decoder.start.weight.clone()
    monkeypatch.setattr(network, "encode", encode)
    retargeting.forget_people(network, cast)
    best = torch.tensor(certainty).argsort(descending=True)
    torch.testing.assert_close(network.decoder.start.weight, weight[:, best[:kept].sort().values])
    rest = weight[:, best[kept:]].sum(1)  # the mean of the others is about one
    assert (network.decoder.start.bias - start - rest).abs().max() < 0.4 * rest.abs().max()


def test_an_interrupted_run_goes_on_to_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    short = replace(OPTIONS, steps=4, measure_every=2)
    whole = Loop(task(folder), tmp_path / "whole", short).run(say=lambda line: None)
    Loop(task(folder), tmp_path / "parts", short).run(stop_after=2, say=lambda line: None)
    parts = Loop(task(folder), tmp_path / "parts", short).run(say=lambda line: None)
    assert parts.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("views", [("image",), ("keypoints",)])
def test_one_view_is_enough(folder: Path, views: tuple[str, ...]) -> None:
    whole = task(folder, views, adversary=0.0, perceptual=0.0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trainee = whole.build()
    batch = whole.sample_batch(torch.Generator().manual_seed(0))
    whole.loss(trainee, batch).backward()
    assert all(p.grad is not None for p in trainee.network.encoders.parameters())


def test_the_classifier_learns_and_the_encoders_learn_the_opposite() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    (reverse_gradient(x, 0.5) * torch.tensor([2.0, 4.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [-1.0, -2.0]


def test_colours_change_by_a_gain_an_offset_and_a_tint() -> None:
    grey = torch.zeros(2, 3, 4, 4)
    same = recolour(grey + 0.25, torch.full((2, 5), 0.5))
    torch.testing.assert_close(same, grey + 0.25)
    bright = recolour(grey, torch.tensor([[0.5, 1.0, 0.5, 0.5, 0.5], [0.5, 0.5, 1.0, 0.5, 0.0]]))
    torch.testing.assert_close(bright[0], grey[0] + 0.2)
    torch.testing.assert_close(bright[1, :, 0, 0], torch.tensor([0.1, 0.0, -0.1]))


def test_the_command_line_trains_from_a_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(retargeting.hub, "perceptual", lambda device: PixelDistance())
    words = ["--data", str(folder), "--out", str(tmp_path / "run"), "--steps", "1", "--people", "2", "--keep", "1"]
    retargeting.main([*words, "--float32", "--views", "keypoints", "--device", "cpu"])
    made = Path(capsys.readouterr().out.split()[-1])
    config = load_retargeting(made).config
    assert config.views == ("keypoints",) and config.people == ("person-00000",) and config.resolution == 32
