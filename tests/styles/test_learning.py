"""Learning a style: it brings the generator nearer to the picture, repeats itself, and says what does not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentface.errors import LatentfaceError, UsageError
from latentface.networks.generator import Generator
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.options.styles import StyleOptions
from latentface.styles.learning import Example, learn, mixed_rows, pace
from latentface.styles.losses import StyleDistance
from tests.helpers.cli_desk import face_points
from tests.helpers.smooth_pictures import smooth_pictures
from tests.helpers.tiny_networks import tiny_generator

QUICK = StyleOptions(learning_steps=30, tuning_rate=0.01)


@pytest.fixture
def generator() -> Generator:
    return tiny_generator()


@pytest.fixture
def distance() -> PerceptualNet:
    torch.manual_seed(0)
    return PerceptualNet(PerceptualConfig((4, 6, 8), (1, 1, 1))).requires_grad_(False)


@pytest.fixture
def example(generator: Generator) -> Example:
    config = generator.config
    ws = generator.mapping(torch.randn(4, config.z_dim, generator=torch.Generator().manual_seed(3))).detach()
    points = torch.from_numpy(face_points() * config.resolution).float()
    return Example(smooth_pictures(1, config.resolution), ws[:1], points[None], ws[1:], points.expand(3, -1, -1))


def person(images: torch.Tensor) -> torch.Tensor:
    """Unit vectors by the colours of pictures."""
    return torch.nn.functional.normalize(images.mean((2, 3)) + 2, dim=1)


def test_the_style_comes_nearer_also_for_other_faces(
    generator: Generator, distance: PerceptualNet, example: Example
) -> None:
    losses: list[float] = []
    before = generator.fingerprint
    deltas = learn(generator, example, distance, person, QUICK, on_step=lambda step, loss: losses.append(loss))
    assert len(losses) == 30 and losses[-1] < 0.8 * losses[0]
    assert generator.fingerprint == before == deltas.fingerprint
    look = StyleDistance(distance.features(example.picture))
    with torch.no_grad():
        plain, styled = (
            look(distance.features(each.synthesis(example.faces))).mean()
            for each in (generator, deltas.apply(generator))
        )
    assert styled < plain
    first, again = (learn(generator, example, distance, person, replace(QUICK, learning_steps=2)) for _ in range(2))
    assert all(torch.equal(value, again.values[name]) for name, value in first.values.items())


def test_upper_rows_stay_those_of_the_style_picture(generator: Generator, example: Example) -> None:
    made = mixed_rows(generator, example.ws, torch.Generator().manual_seed(0))
    half = generator.config.num_ws // 2
    assert torch.equal(made[:, :half], example.ws[:, :half])
    assert not torch.equal(made[:, half:], example.ws[:, half:])


def test_the_pace_rises_and_falls() -> None:
    rates = [pace(step, 100) for step in range(100)]
    assert rates[0] < 0.1 and max(rates) == 1 and rates[50] == 1 and rates[-1] < 0.05
    assert pace(0, 1) == 1


def test_what_does_not_fit_is_refused(generator: Generator, distance: PerceptualNet, example: Example) -> None:
    small = replace(example, picture=example.picture[..., ::2, ::2])
    with pytest.raises(UsageError, match="style picture"):
        learn(generator, small, distance, person, QUICK)
    with pytest.raises(UsageError, match="faces"):
        learn(generator, replace(example, faces=example.faces[:0]), distance, person, QUICK)
    with pytest.raises(LatentfaceError, match="diverged"):
        learn(generator, replace(example, picture=example.picture * float("nan")), distance, person, QUICK)
    with pytest.raises(UsageError, match="learning_steps"):
        StyleOptions(learning_steps=0)
