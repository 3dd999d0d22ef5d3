"""The projector on tiny generators: recovery, batches, determinism, noise, schedules, pivot tuning, verdicts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from latentface.errors import LatentfaceError, UsageError
from latentface.faces.crop import FaceCrop
from latentface.inversion import projector, schedule, search
from latentface.inversion.projector import Projection, StepState, project
from latentface.io.images import to_tensor, to_uint8
from latentface.networks.generator import Generator
from latentface.networks.perceptual import PerceptualNet
from latentface.options.projection import ProjectOptions
from tests.helpers.tiny_projection import CONFIG, QUICK, generate_pictures, make_distance, make_generator, peak, same


@pytest.mark.parametrize("space", ["w", "w+"])
def test_a_picture_of_the_generator_is_found_again(generator: Generator, distance: PerceptualNet, space: str) -> None:
    pictures = generate_pictures(generator)
    with torch.no_grad():
        start = to_uint8(generator.synthesis(search.measure_w(generator).mean.expand(1, CONFIG.num_ws, -1)))[0]
    found = project(pictures, generator, ProjectOptions(space=space, steps=120, learning_rate=0.1), distance=distance)
    for picture, projection in zip(pictures, found, strict=True):
        assert peak(projection.image, picture) > 25
        assert peak(projection.image, picture) > peak(start, picture) + 8
        assert projection.losses[-1] < 0.2 * projection.losses[0]


def test_the_result_describes_itself(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    found = project(picture, generator, QUICK, distance=distance)
    assert isinstance(found, Projection)
    assert found.image.shape == (32, 32, 3) and found.image.dtype == np.uint8
    assert found.losses.shape == (6,) and found.tune_losses.shape == (0,) and found.tuned is None
    assert found.latent.ws.shape == (CONFIG.num_ws, 8) and found.latent.fingerprint == generator.fingerprint
    assert found.verdict == projector.verdict_of(found.distance)
    noise = [each[None, None] for each in found.latent.noise]
    with torch.no_grad():
        again = generator.synthesis(found.latent.ws[None], noise=noise)
        a, b = (torch.from_numpy(x.copy()).permute(2, 0, 1)[None] / 127.5 - 1 for x in (found.image, picture))
        assert np.array_equal(to_uint8(again)[0], found.image)
        assert distance(a, b).item() == pytest.approx(found.distance, rel=0.05)  # from bytes, rounded


def test_w_has_equal_rows_and_w_plus_has_not(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    w = project(picture, generator, replace(QUICK, space="w"), distance=distance).latent.ws
    plus = project(picture, generator, replace(QUICK, space="w+"), distance=distance).latent.ws
    assert torch.equal(w, w[:1].expand_as(w))
    assert not torch.allclose(plus, plus[:1].expand_as(plus), atol=1e-3)


def test_crops_in_a_batch_come_out_as_alone(generator: Generator, distance: PerceptualNet) -> None:
    pictures = generate_pictures(generator, (5, 6, 7))
    together = project(pictures, generator, QUICK, distance=distance)
    for picture, projection in zip(pictures, together, strict=True):
        alone = project(picture, generator, QUICK, distance=distance)
        assert same(projection, alone, tolerance=2e-3)
        assert projection.losses == pytest.approx(alone.losses, rel=1e-3)
    assert not same(together[0], together[1], tolerance=2e-3)


def test_every_form_of_crop_is_taken(generator: Generator, distance: PerceptualNet) -> None:
    picture, options = (
        generate_pictures(generator)[0],
        replace(QUICK, feature_weight=0.0),
    )  # landmarks make no difference
    quad = np.array([[0, 0], [0, 32], [32, 32], [32, 0]], dtype=float)
    crop = FaceCrop(image=picture, landmarks=np.zeros((68, 2)), quad=quad, score=1.0)
    tensor = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 127.5 - 1
    single = project(picture, generator, options, distance=distance)
    assert same(single, project(crop, generator, options, distance=distance))
    for several in ([crop], [picture], picture[None], tensor):
        (only,) = project(several, generator, options, distance=distance)
        assert same(single, only)
    assert project([], generator, options, distance=distance) == []


def test_a_seed_gives_the_same_bytes_and_another_seed_others(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    before = torch.random.get_rng_state()
    first, second = (project(picture, generator, QUICK, distance=distance) for _ in range(2))
    assert torch.equal(before, torch.random.get_rng_state())
    assert same(first, second) and np.array_equal(first.image, second.image)
    assert np.array_equal(first.losses, second.losses)
    other = project(picture, generator, replace(QUICK, seed=1), distance=distance)
    assert not same(first, other, tolerance=1e-4)


def test_networks_are_left_as_they_were() -> None:
    generator, distance = make_generator(), make_distance()
    generator.train(), distance.eval()
    generator.mapping.eval()
    generator.synthesis.b4.const.requires_grad_(False)
    modes = [m.training for m in generator.modules()]
    flags = [p.requires_grad for p in generator.parameters()]
    state = {k: v.clone() for k, v in generator.state_dict().items()}
    project(generate_pictures(generator)[0], generator, replace(QUICK, tune_steps=2), distance=distance)
    assert modes == [m.training for m in generator.modules()] and flags == [
        p.requires_grad for p in generator.parameters()
    ]
    assert all(torch.equal(v, state[k]) for k, v in generator.state_dict().items())
    assert all(p.grad is None for n in (generator, distance) for p in n.parameters())
    assert all(p.requires_grad for p in distance.parameters())


def test_an_interruption_passes_through_and_leaves_the_networks_as_they_were() -> None:
    generator = make_generator()

    def stop(step: int, state: StepState) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project(generate_pictures(generator)[0], generator, QUICK, distance=make_distance(), on_step=stop)
    assert all(p.requires_grad for p in generator.parameters()) and generator.training


def test_it_works_where_gradients_are_switched_off(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    with torch.no_grad():
        inside = project(picture, generator, replace(QUICK, tune_steps=1), distance=distance)
    assert same(inside, project(picture, generator, QUICK, distance=distance))


def test_noise_is_optimised_kept_and_normalised(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    found = project(picture, generator, QUICK, distance=distance).latent.noise
    first = project(picture, generator, replace(QUICK, steps=1), distance=distance).latent.noise
    shapes = generator.synthesis.noise_shapes()
    assert [tuple(each.shape) for each in found] == [tuple(shape) for shape in shapes]
    for each, start in zip(found, first, strict=True):
        assert each.mean().item() == pytest.approx(0, abs=1e-5)
        assert each.square().mean().item() == pytest.approx(1, abs=1e-4)
        assert not torch.allclose(each, start, atol=1e-3)
    stock = project(picture, generator, replace(QUICK, optimise_noise=False), distance=distance)
    assert stock.latent.noise is None
    with torch.no_grad():
        assert np.array_equal(to_uint8(generator.synthesis(stock.latent.ws[None]))[0], stock.image)


def test_exploratory_noise_can_be_switched_off(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    options = replace(QUICK, w_noise=0.0, optimise_noise=False)
    a, b = (project(picture, generator, replace(options, seed=seed), distance=distance) for seed in (0, 1))
    assert same(a, b)  # nothing random is left
    loud = project(picture, generator, replace(options, w_noise=0.5), distance=distance)
    assert not same(a, loud, tolerance=1e-3)


def test_the_best_state_is_kept_when_the_run_gets_worse(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    options = replace(QUICK, steps=12, learning_rate=20.0, w_noise=0.0, optimise_noise=False)
    found = project(picture, generator, options, distance=distance)
    comparison = search.Comparison(
        torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 127.5 - 1, distance, options
    )
    with torch.no_grad():
        loss = comparison.loss(generator.synthesis(found.latent.ws[None])).item()
    assert found.losses.argmin() < 11
    assert loss == pytest.approx(found.losses.min(), rel=1e-4)


def test_prior_and_spread_pull_the_latent_in(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    statistics = search.measure_w(generator)
    options = ProjectOptions(steps=40, learning_rate=0.1)

    def find(**weights: float) -> Tensor:
        return project(
            picture, generator, replace(options, **weights), distance=distance, statistics=statistics
        ).latent.ws

    def spread(ws: Tensor) -> float:
        return (ws - ws.mean(dim=0)).square().sum().item()

    free = find(prior_regularise=0.0, spread_regularise=0.0)
    near = find(prior_regularise=1.0, spread_regularise=0.0)
    flat = find(prior_regularise=0.0, spread_regularise=1.0)
    assert statistics.penalty(near[None]).item() < 0.5 * statistics.penalty(free[None]).item()
    assert spread(flat) < 0.5 * spread(free)


def test_a_start_is_where_the_search_begins(generator: Generator, distance: PerceptualNet) -> None:
    z = torch.randn(1, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        ws = generator.mapping(z)
    picture = generate_pictures(generator, (5,))[0]
    options = ProjectOptions(steps=1, optimise_noise=False, w_noise=0.0)
    for start in (ws, ws[:, 0]):
        found = project(picture, generator, options, distance=distance, start=start)
        assert torch.allclose(found.latent.ws, ws[0]) and found.losses[0] < 1e-3
    with pytest.raises(UsageError, match="start has shape"):
        project(picture, generator, options, distance=distance, start=ws[:, :3])


def test_the_callback_hears_every_step(generator: Generator, distance: PerceptualNet) -> None:
    heard: list[tuple[int, StepState]] = []
    options = replace(QUICK, tune_steps=2)
    found = project(
        generate_pictures(generator), generator, options, distance=distance, on_step=lambda *each: heard.append(each)
    )
    assert [step for step, _ in heard] == [0, 1, 2, 3, 4, 5, 6, 6, 7, 7]
    assert [state.phase for _, state in heard] == ["project"] * 6 + ["tune"] * 4
    assert np.array_equal(np.stack([state.loss for _, state in heard[:6]], axis=1), np.stack([p.losses for p in found]))
    assert heard[3][1].learning_rate == pytest.approx(schedule.learning_rate(3, 6, 0.05))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> ProjectOptions:
    """Options by which a search that gains less than half in 4 steps ends after 3 more."""
    monkeypatch.setattr(schedule, "WINDOW", 4)
    monkeypatch.setattr(schedule, "LONGEST_RAMP", 3)
    return ProjectOptions(steps=24, learning_rate=0.02, flat=0.2, precision="float32")


def test_a_crop_that_is_found_leaves_and_the_others_go_on_as_alone(
    generator: Generator, distance: PerceptualNet, hasty: ProjectOptions
) -> None:
    pictures = generate_pictures(generator)
    with torch.no_grad():
        z = torch.randn(1, 8, generator=torch.Generator().manual_seed(5))
        start = torch.cat([generator.mapping(z), search.measure_w(generator).mean.expand(1, CONFIG.num_ws, -1)])
    heard, drawn = list[StepState](), list[int]()
    watched = generator.synthesis.register_forward_hook(lambda module, given, image: drawn.append(len(image)))
    found, searching = project(
        pictures, generator, hasty, distance=distance, start=start, on_step=lambda step, state: heard.append(state)
    )
    watched.remove()
    assert found.losses.shape == (8,) and searching.losses.shape == (24,)
    assert drawn == [2] * 8 + [1] * 16 + [2] + [1, 1]  # the last states, and each picture
    assert len(heard) == 24
    assert all(state.loss[0] == found.losses[-1] for state in heard[7:])
    assert [state.loss[1] for state in heard] == searching.losses.tolist()
    assert [state.learning_rate for state in heard] == [
        pytest.approx(schedule.learning_rate(step, 24, 0.02)) for step in range(24)
    ]
    for k, together in enumerate((found, searching)):
        alone = project(pictures[k], generator, hasty, distance=distance, start=start[k : k + 1])
        assert same(together, alone, tolerance=2e-3) and len(together.losses) == len(alone.losses)
    patient = project(pictures, generator, replace(hasty, flat=0.0), distance=distance, start=start)
    assert same(searching, patient[1], tolerance=2e-3) and len(patient[0].losses) == 24


def test_a_search_that_explores_is_not_ended(
    generator: Generator, distance: PerceptualNet, hasty: ProjectOptions
) -> None:
    options = replace(hasty, flat=0.5, w_noise=0.01, learning_rate=1e-6)
    picture = generate_pictures(generator)[0]
    assert project(picture, generator, options, distance=distance).losses.shape == (24,)
    assert project(picture, generator, replace(options, w_noise=0.0), distance=distance).losses.shape == (8,)


def test_a_loss_that_is_not_finite_is_reported(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    start = torch.full((1, CONFIG.num_ws, 8), math.nan)
    with pytest.raises(LatentfaceError, match=r"diverged at step 0.*lower the learning rate"):
        project(picture, generator, QUICK, distance=distance, start=start)
    with pytest.raises(LatentfaceError, match="tuning diverged"):
        project(picture, generator, replace(QUICK, tune_steps=9, tune_learning_rate=1e30), distance=distance)


def test_bfloat16_finds_about_the_same(generator: Generator, distance: PerceptualNet) -> None:
    picture = generate_pictures(generator)[0]
    exact, rough = (
        project(picture, generator, replace(QUICK, precision=word), distance=distance)
        for word in ("float32", "bfloat16")
    )
    assert rough.losses == pytest.approx(exact.losses, rel=0.1)
    assert not np.array_equal(rough.losses, exact.losses)


def test_a_coarse_search_finds_a_picture_from_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "COARSEST_SIDE", 32)
    monkeypatch.setattr(schedule, "COMPARED_SIDE", 64)
    monkeypatch.setattr(schedule, "SMALL_SIDE", 64)
    monkeypatch.setattr(search, "COMPARED_SIDE", 64)
    network, distance = make_generator(replace(CONFIG, resolution=128)), make_distance()
    sides = list[int]()
    watched = network.synthesis.register_forward_hook(lambda module, given, image: sides.append(image.shape[-1]))
    picture = generate_pictures(network)[0]
    sides.clear()
    options = ProjectOptions(steps=40, coarse=0.5, w_noise=0.0)
    found = project(picture, network, options, distance=distance)
    assert sides == [32] * 10 + [64] * 10 + [128] * 22  # 20 steps, the last state, the picture
    assert found.losses[-1] < 0.3 * found.losses[0]
    given = found.latent.ws[None]
    sides.clear()
    project(picture, network, replace(options, steps=4), distance=distance, start=given)
    assert sides == [64] * 2 + [128] * 4  # a start that was chosen is near already
    watched.remove()


def test_eyes_and_mouth_count_more_where_landmarks_are_known(generator: Generator, distance: PerceptualNet) -> None:
    """Two flaws of one kind: the loss sees more of the one at the mouth; without landmarks it knows no difference."""
    picture = generate_pictures(generator)[0]
    side = len(picture)
    landmarks = np.full((68, 2), (0.75 * side, 0.25 * side))
    quad = np.array([[0, 0], [0, side], [side, side], [side, 0]]) - 0.5
    crop = FaceCrop(picture, landmarks, quad)
    target = to_tensor(picture)

    def losses(crop: FaceCrop | np.ndarray, weight: float) -> list[float]:
        attention = projector._attention([crop], weight, target)
        assert float(attention.mean()) == pytest.approx(1)
        comparison = search.Comparison(target, distance, ProjectOptions(), attention)
        flaws = []
        for x, y in ((0.75, 0.25), (0.25, 0.75)):
            flawed = target.clone()
            flawed[..., round(y * side), round(x * side)] += 1.0
            flaws.append(float(comparison.loss(flawed).detach()))
        return flaws

    near, far = losses(crop, 3.0)
    even, far_even = losses(crop, 0.0)
    assert near > 1.5 * even and far < far_even
    assert losses(picture, 3.0) == [even, far_even]
    options = replace(QUICK, steps=15)
    here, alone = (project(each, generator, options, distance=distance) for each in (crop, picture))
    assert not np.array_equal(here.latent.ws, alone.latent.ws)
    even_crop = project(crop, generator, replace(options, feature_weight=0.0), distance=distance)
    np.testing.assert_array_equal(even_crop.latent.ws, alone.latent.ws)
    pair = project([crop, picture], generator, options, distance=distance)
    assert same(pair[0], here, tolerance=1e-3) and same(pair[1], alone, tolerance=1e-3)


def test_verdicts_follow_the_distance() -> None:
    good, fair = projector.GOOD_DISTANCE, projector.APPROXIMATE_DISTANCE
    assert 0 < good < fair
    words = [projector.verdict_of(distance) for distance in (0.0, good, fair, 2 * fair)]
    assert words == ["good", "good", "approximate", "outside what this network can draw"]


def test_crops_and_networks_that_do_not_fit_are_refused(generator: Generator, distance: PerceptualNet) -> None:
    with pytest.raises(UsageError, match="align the photo with size=32"):
        project(np.zeros((64, 64, 3), np.uint8), generator, QUICK, distance=distance)
    with pytest.raises(UsageError, match="has 1 channels"):
        project(generate_pictures(generator)[0], Generator(replace(CONFIG, img_channels=1)), QUICK, distance=distance)
    labelled = Generator(replace(CONFIG, c_dim=3))
    with pytest.raises(UsageError, match="labels of 3 numbers"):
        project(generate_pictures(generator)[0], labelled, QUICK, distance=distance)
    statistics = search.measure_w(labelled, torch.tensor([[1.0, 0.0, 0.0]]))
    found = project(generate_pictures(generator)[0], labelled, QUICK, distance=distance, statistics=statistics)
    assert found.latent.ws.shape == (CONFIG.num_ws, 8)


def test_the_verdict_does_not_depend_on_detail_that_128_pixels_cannot_show(distance: PerceptualNet) -> None:
    network = make_generator(replace(CONFIG, resolution=256))
    picture = generate_pictures(network)[0]
    found = project(picture, network, replace(QUICK, steps=1), distance=distance)
    with torch.no_grad():
        small = [F.avg_pool2d(to_tensor(each), 2) for each in (found.image, picture)]
        expected = float(distance(small[0], small[1]))
    assert found.distance == pytest.approx(expected, rel=0.02)  # the image was rounded to uint8
