"""The projector on tiny generators: recovery, batches, determinism, noise, schedules, pivot tuning, verdicts."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from latentface.errors import InputError, LatentfaceError, LatentMismatch, UsageError
from latentface.faces.crop import FaceCrop
from latentface.inversion import projector, schedule, search
from latentface.inversion.pivot_tuning import TunedDeltas
from latentface.inversion.projector import Projection, StepState, project
from latentface.inversion.schedule import Pace
from latentface.io.images import to_tensor, to_uint8
from latentface.networks import precision
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.perceptual import PerceptualConfig, PerceptualNet
from latentface.options import ProjectOptions

CONFIG = GeneratorConfig(
    resolution=32, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=8, lr_multiplier=1.0
)
QUICK = ProjectOptions(steps=6, learning_rate=0.05, optimise_noise=True, precision="float32")


def make_generator(config: GeneratorConfig = CONFIG) -> Generator:
    generator = Generator(config, seed=1)
    with torch.no_grad():
        for layer in generator.synthesis.noise_layers():
            layer.noise_strength.fill_(0.05)
        for name, parameter in generator.named_parameters():
            if "torgb.weight" in name:  # stay inside [-1, 1], so that a drawn picture survives as bytes
                parameter.mul_(0.15)
    return generator


def make_distance() -> PerceptualNet:
    torch.manual_seed(0)
    return PerceptualNet(PerceptualConfig(widths=(4, 8, 8), depths=(1, 1, 1)))


@pytest.fixture(scope="module")
def generator() -> Generator:
    return make_generator()


@pytest.fixture(scope="module")
def distance() -> PerceptualNet:
    return make_distance()


def draw(generator: Generator, seeds: tuple[int, ...] = (5, 6)) -> np.ndarray:
    """uint8 pictures [N, R, R, 3] that the generator itself drew."""
    z = torch.cat([torch.randn(1, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    with torch.no_grad():
        return to_uint8(generator.synthesis(generator.mapping(z)))


def peak(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / np.mean((a.astype(float) - b.astype(float)) ** 2))


def same(a: Projection, b: Projection, tolerance: float = 0.0) -> bool:
    pairs = [(a.latent.ws, b.latent.ws), *zip(a.latent.noise or (), b.latent.noise or (), strict=True)]
    return all(torch.allclose(x, y, rtol=0, atol=tolerance) for x, y in pairs)


@pytest.mark.parametrize("space", ["w", "w+"])
def test_a_picture_of_the_generator_is_found_again(generator: Generator, distance: PerceptualNet, space: str) -> None:
    pictures = draw(generator)
    with torch.no_grad():
        start = to_uint8(generator.synthesis(search.measure_w(generator).mean.expand(1, CONFIG.num_ws, -1)))[0]
    found = project(pictures, generator, ProjectOptions(space=space, steps=120, learning_rate=0.1), distance=distance)
    for picture, projection in zip(pictures, found, strict=True):
        assert peak(projection.image, picture) > 25
        assert peak(projection.image, picture) > peak(start, picture) + 8
        assert projection.losses[-1] < 0.2 * projection.losses[0]


def test_the_result_describes_itself(generator: Generator, distance: PerceptualNet) -> None:
    picture = draw(generator)[0]
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
    picture = draw(generator)[0]
    w = project(picture, generator, replace(QUICK, space="w"), distance=distance).latent.ws
    plus = project(picture, generator, replace(QUICK, space="w+"), distance=distance).latent.ws
    assert torch.equal(w, w[:1].expand_as(w))
    assert not torch.allclose(plus, plus[:1].expand_as(plus), atol=1e-3)


def test_crops_in_a_batch_come_out_as_alone(generator: Generator, distance: PerceptualNet) -> None:
    pictures = draw(generator, (5, 6, 7))
    together = project(pictures, generator, QUICK, distance=distance)
    for picture, projection in zip(pictures, together, strict=True):
        alone = project(picture, generator, QUICK, distance=distance)
        assert same(projection, alone, tolerance=2e-3)
        assert projection.losses == pytest.approx(alone.losses, rel=1e-3)
    assert not same(together[0], together[1], tolerance=2e-3)


def test_every_form_of_crop_is_taken(generator: Generator, distance: PerceptualNet) -> None:
    picture, options = draw(generator)[0], replace(QUICK, feature_weight=0.0)  # landmarks make no difference
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
    picture = draw(generator)[0]
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
    project(draw(generator)[0], generator, replace(QUICK, tune_steps=2), distance=distance)
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
        project(draw(generator)[0], generator, QUICK, distance=make_distance(), on_step=stop)
    assert all(p.requires_grad for p in generator.parameters()) and generator.training


def test_it_works_where_gradients_are_switched_off(generator: Generator, distance: PerceptualNet) -> None:
    picture = draw(generator)[0]
    with torch.no_grad():
        inside = project(picture, generator, replace(QUICK, tune_steps=1), distance=distance)
    assert same(inside, project(picture, generator, QUICK, distance=distance))


def test_noise_is_optimised_kept_and_normalised(generator: Generator, distance: PerceptualNet) -> None:
    picture = draw(generator)[0]
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


def direct_noise_penalty(maps: list[np.ndarray]) -> float:
    """The penalty written out pixel by pixel, for one crop."""
    total = 0.0
    for each in maps:
        while True:
            side = each.shape[0]
            across = sum(each[y, x] * each[y, (x - 1) % side] for y in range(side) for x in range(side))
            down = sum(each[y, x] * each[(y - 1) % side, x] for y in range(side) for x in range(side))
            total += (across / side**2) ** 2 + (down / side**2) ** 2
            if side <= 8:
                break
            each = np.array(
                [
                    [each[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() for x in range(side // 2)]
                    for y in range(side // 2)
                ]
            )
    return total


def test_noise_penalty_against_a_direct_loop() -> None:
    source = torch.Generator().manual_seed(2)
    maps = [torch.randn(2, 1, side, side, generator=source, dtype=torch.float64) for side in (4, 8, 16, 32)]
    found = search.noise_penalty(maps)
    for k in range(2):
        assert found[k].item() == pytest.approx(direct_noise_penalty([each[k, 0].numpy() for each in maps]))


def test_noise_penalty_keeps_noise_noise(generator: Generator, distance: PerceptualNet) -> None:
    # a picture of stripes tempts the maps to draw it
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, 16:] = 255
    free, kept = (
        project(picture, generator, replace(QUICK, steps=60, noise_regularise=weight), distance=distance).latent.noise
        for weight in (0.0, 1e5)
    )
    penalties = [search.noise_penalty([each[None, None] for each in maps]).item() for maps in (free, kept)]
    assert penalties[1] < 0.1 * penalties[0]


@pytest.mark.parametrize(("step", "expected"), [(0, 0.0), (1, 0.2), (5, 1.0), (74, 1.0), (75, 1.0), (99, None)])
def test_learning_rate_against_the_formula(step: int, expected: float | None) -> None:
    found = schedule.learning_rate(step, 100, 0.4)
    if expected is None:
        expected = 0.5 - 0.5 * math.cos(math.pi * 0.01 / 0.25)
    assert found == pytest.approx(0.4 * expected)


def test_exploratory_noise_ends_at_three_quarters() -> None:
    found = [schedule.noise_strength(step, 100) for step in (0, 30, 75, 90)]
    assert found == pytest.approx([1.0, (1 - 0.3 / 0.75) ** 2, 0.0, 0.0])


def test_exploratory_noise_can_be_switched_off(generator: Generator, distance: PerceptualNet) -> None:
    picture = draw(generator)[0]
    options = replace(QUICK, w_noise=0.0, optimise_noise=False)
    a, b = (project(picture, generator, replace(options, seed=seed), distance=distance) for seed in (0, 1))
    assert same(a, b)  # nothing random is left
    loud = project(picture, generator, replace(options, w_noise=0.5), distance=distance)
    assert not same(a, loud, tolerance=1e-3)


def test_the_best_state_is_kept_when_the_run_gets_worse(generator: Generator, distance: PerceptualNet) -> None:
    picture = draw(generator)[0]
    options = replace(QUICK, steps=12, learning_rate=20.0, w_noise=0.0, optimise_noise=False)
    found = project(picture, generator, options, distance=distance)
    comparison = search.Comparison(
        torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 127.5 - 1, distance, options
    )
    with torch.no_grad():
        loss = comparison.loss(generator.synthesis(found.latent.ws[None])).item()
    assert found.losses.argmin() < 11
    assert loss == pytest.approx(found.losses.min(), rel=1e-4)


def test_statistics_of_w_against_numpy(generator: Generator) -> None:
    statistics = search.measure_w(generator)
    z = torch.randn(10_000, 8, generator=torch.Generator().manual_seed(123))
    with torch.no_grad():
        w = generator.mapping(z)[:, 0].double().numpy()
    assert statistics.mean.numpy() == pytest.approx(w.mean(axis=0), abs=1e-5)
    assert statistics.std == pytest.approx(math.sqrt(((w - w.mean(axis=0)) ** 2).sum() / 10_000), rel=1e-5)
    penalty = statistics.penalty(torch.tensor(w[:2000, None], dtype=torch.float32))
    assert penalty.mean().item() == pytest.approx(1.0, abs=0.1)
    assert torch.equal(search.measure_w(generator).mean, statistics.mean)


def test_prior_and_spread_pull_the_latent_in(generator: Generator, distance: PerceptualNet) -> None:
    picture = draw(generator)[0]
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
    picture = draw(generator, (5,))[0]
    options = ProjectOptions(steps=1, optimise_noise=False, w_noise=0.0)
    for start in (ws, ws[:, 0]):
        found = project(picture, generator, options, distance=distance, start=start)
        assert torch.allclose(found.latent.ws, ws[0]) and found.losses[0] < 1e-3
    with pytest.raises(UsageError, match="start has shape"):
        project(picture, generator, options, distance=distance, start=ws[:, :3])


def test_the_callback_hears_every_step(generator: Generator, distance: PerceptualNet) -> None:
    heard: list[tuple[int, StepState]] = []
    options = replace(QUICK, tune_steps=2)
    found = project(draw(generator), generator, options, distance=distance, on_step=lambda *each: heard.append(each))
    assert [step for step, _ in heard] == [0, 1, 2, 3, 4, 5, 6, 6, 7, 7]
    assert [state.phase for _, state in heard] == ["project"] * 6 + ["tune"] * 4
    assert np.array_equal(np.stack([state.loss for _, state in heard[:6]], axis=1), np.stack([p.losses for p in found]))
    assert heard[3][1].learning_rate == pytest.approx(schedule.learning_rate(3, 6, 0.05))


def walk(losses: list[float], flat: float, steps: int) -> tuple[list[float], Pace]:
    """The places in the schedule that a crop with these losses passes, and its pace at the end."""
    pace, places = Pace(steps, flat), []
    while not pace.through:
        places.append(pace.at)
        pace.update(losses[min(pace.step, len(losses) - 1)])
        pace.step += 1
    return places, pace


def test_a_loss_that_falls_goes_all_the_way() -> None:
    falling = [0.9**k for k in range(400)]
    for flat in (0.0, 0.01):
        assert walk(falling, flat, 400)[0] == list(range(400))
    assert walk([1.0], 0.0, 400)[0] == list(range(400)), "nothing is flat enough for 0"
    assert walk([math.inf, 1.0], 0.5, 30)[0] == list(range(30)), "too short to be judged"


def test_a_flat_loss_goes_straight_to_the_ramp_down() -> None:
    window, ramp = schedule.WINDOW, schedule.LONGEST_RAMP
    falling = [0.9**k for k in range(100)]  # and flat from there
    places, pace = walk(falling, 0.01, 2000)
    gain = 99 + window  # the first step whose window holds nothing of the fall
    assert places[: gain + 2] == list(range(gain + 2))
    assert pace.length == len(places) == gain + 1 + ramp
    rates = [schedule.learning_rate(at, 2000, 1.0) for at in places[gain + 1 :]]
    assert rates == pytest.approx([0.5 + 0.5 * math.cos(math.pi * k / ramp) for k in range(ramp)], abs=1e-9)
    wobbling = [1.0 + 0.3 * (-1) ** k for k in range(2000)]
    assert len(walk(wobbling, 0.01, 2000)[0]) == window + 1 + ramp + 1, "judged by the lowest so far"


def test_flatness_changes_nothing_once_the_learning_rate_falls() -> None:
    losses = [0.9 ** min(k, 151) for k in range(200)]
    assert walk(losses, 0.01, 200)[0] == list(range(200))
    short = walk([1.0], 0.01, 80)[0]
    assert len(short) == schedule.WINDOW + 1 + 20, "the ramp of a short run is its own"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> ProjectOptions:
    """Options by which a search that gains less than half in 4 steps ends after 3 more."""
    monkeypatch.setattr(schedule, "WINDOW", 4)
    monkeypatch.setattr(schedule, "LONGEST_RAMP", 3)
    return ProjectOptions(steps=24, learning_rate=0.02, flat=0.2, precision="float32")


def test_a_crop_that_is_found_leaves_and_the_others_go_on_as_alone(
    generator: Generator, distance: PerceptualNet, hasty: ProjectOptions
) -> None:
    pictures = draw(generator)
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
    picture = draw(generator)[0]
    assert project(picture, generator, options, distance=distance).losses.shape == (24,)
    assert project(picture, generator, replace(options, w_noise=0.0), distance=distance).losses.shape == (8,)


def test_flatness_is_explained_as_it_is_judged() -> None:
    text = ProjectOptions.__dataclass_fields__["flat"].metadata["help"]
    assert f"{schedule.WINDOW} steps" in text
    assert len(walk([1.0], ProjectOptions().flat, 1000)[0]) == 1000, "never, unless asked for"


def test_pivot_tuning_improves_and_its_deltas_reproduce(
    generator: Generator, distance: PerceptualNet, tmp_path: Path
) -> None:
    picture = draw(make_generator(replace(CONFIG, channel_max=4)), (9,))[0]  # another network's face
    options = replace(QUICK, tune_steps=25, tune_learning_rate=5e-3)
    plain, tuned = (project(picture, generator, each, distance=distance) for each in (QUICK, options))
    assert peak(tuned.image, picture) > peak(plain.image, picture) + 1
    assert tuned.tune_losses.shape == (25,) and tuned.tune_losses[-1] < 0.8 * tuned.tune_losses[0]
    assert same(plain, tuned)  # the pivot stays
    tuned.tuned.save(tmp_path / "a.tuned.safetensors")
    deltas = TunedDeltas.load(tmp_path / "a.tuned.safetensors")
    fingerprint = generator.fingerprint
    changed = deltas.apply(generator)
    assert generator.fingerprint == fingerprint != changed.fingerprint
    with torch.no_grad():
        noise = [each[None, None] for each in tuned.latent.noise]
        again = to_uint8(changed.synthesis(tuned.latent.ws[None], noise=noise))[0]
    assert np.array_equal(again, tuned.image)


def test_deltas_of_another_network_or_file_are_refused(
    generator: Generator, distance: PerceptualNet, tmp_path: Path
) -> None:
    found = project(draw(generator)[0], generator, replace(QUICK, steps=1, tune_steps=1), distance=distance)
    with pytest.raises(LatentMismatch, match="tuned weights fit the network"):
        found.tuned.apply(Generator(CONFIG, seed=2))
    odd = TunedDeltas({"synthesis.b4.conv1.bias": torch.zeros(3)}, generator.fingerprint)
    with pytest.raises(LatentMismatch, match=r"synthesis\.b4\.conv1\.bias have shape \[3\]"):
        odd.apply(generator)
    with pytest.raises(LatentMismatch, match=r"name synthesis\.b5, which"):
        TunedDeltas({"synthesis.b5": torch.zeros(3)}, generator.fingerprint).apply(generator)
    found.latent.save(tmp_path / "latent.safetensors")
    with pytest.raises(InputError, match="latentface-latent"):
        TunedDeltas.load(tmp_path / "latent.safetensors")
    with pytest.raises(InputError, match="does not exist"):
        TunedDeltas.load(tmp_path / "nothing.safetensors")


def test_a_loss_that_is_not_finite_is_reported(generator: Generator, distance: PerceptualNet) -> None:
    picture = draw(generator)[0]
    start = torch.full((1, CONFIG.num_ws, 8), math.nan)
    with pytest.raises(LatentfaceError, match=r"diverged at step 0.*lower the learning rate"):
        project(picture, generator, QUICK, distance=distance, start=start)
    with pytest.raises(LatentfaceError, match="tuning diverged"):
        project(picture, generator, replace(QUICK, tune_steps=9, tune_learning_rate=1e30), distance=distance)


def test_larger_pictures_are_compared_at_256_pixels() -> None:
    x = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(search.shrink(x), x.view(1, 3, 256, 2, 256, 2).mean(dim=(3, 5)))
    assert search.shrink(x[..., :256, :256]).shape == (1, 3, 256, 256)


def test_bfloat16_finds_about_the_same(generator: Generator, distance: PerceptualNet) -> None:
    picture = draw(generator)[0]
    exact, rough = (
        project(picture, generator, replace(QUICK, precision=word), distance=distance)
        for word in ("float32", "bfloat16")
    )
    assert rough.losses == pytest.approx(exact.losses, rel=0.1)
    assert not np.array_equal(rough.losses, exact.losses)


@pytest.mark.parametrize("fast", [False, True])
def test_auto_precision_follows_the_processor(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast, raising=False)
    here = torch.device("cpu")
    assert precision.is_rough("auto", here) == fast
    assert precision.is_rough("bfloat16", here)
    assert not precision.is_rough("float32", here)


@pytest.mark.parametrize(
    ("step", "expected"), [(0, 64), (16, 64), (17, 128), (34, 256), (49, 256), (50, 1024), (99, 1024)]
)
def test_a_coarse_search_passes_through_the_sides_it_can_compare_at(step: int, expected: int) -> None:
    coarse = schedule.coarse_sides((4, 8, 16, 32, 64, 128, 256, 512, 1024), near=False)
    assert schedule.side_at(step, 100, 0.5, coarse, 1024) == expected
    assert schedule.side_at(step, 100, 0.0, coarse, 1024) == 1024  # nothing coarse was asked for
    assert schedule.side_at(step, 100, 0.5, [], 1024) == 1024


def test_coarse_sides_are_those_that_save_time() -> None:
    assert schedule.coarse_sides((32, 64, 128, 256), near=False) == [64, 128]
    assert schedule.coarse_sides((32, 64, 128, 256), near=True) == [128]
    assert schedule.coarse_sides((128, 256, 512, 1024), near=True) == [256]
    assert schedule.coarse_sides((32, 64, 128), near=False) == []
    assert schedule.coarse_sides((1024,), near=False) == []  # a network that draws nothing on its way


def test_a_coarse_search_finds_a_picture_from_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "COARSEST_SIDE", 32)
    monkeypatch.setattr(schedule, "COMPARED_SIDE", 64)
    monkeypatch.setattr(schedule, "SMALL_SIDE", 64)
    monkeypatch.setattr(search, "COMPARED_SIDE", 64)
    network, distance = make_generator(replace(CONFIG, resolution=128)), make_distance()
    sides = list[int]()
    watched = network.synthesis.register_forward_hook(lambda module, given, image: sides.append(image.shape[-1]))
    picture = draw(network)[0]
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


def test_low_resolutions_are_compared_with_the_picture_averaged_down(distance: PerceptualNet) -> None:
    target = torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(3)) * 2 - 1
    small = torch.nn.functional.avg_pool2d(target, 2)
    comparison = search.Comparison(target, distance, ProjectOptions())
    assert comparison.loss(small).abs().max() < 1e-6 and comparison.perceptual(small).abs().max() < 1e-6
    off = small.roll(3, dims=3)
    alone = search.Comparison(small, distance, ProjectOptions())
    assert torch.allclose(comparison.loss(off), alone.loss(off)) and (comparison.loss(off) > 0.01).all()


def test_eyes_and_mouth_count_more_where_landmarks_are_known(generator: Generator, distance: PerceptualNet) -> None:
    """Two flaws of one kind: the loss sees more of the one at the mouth; without landmarks it knows no difference."""
    picture = draw(generator)[0]
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
    with pytest.raises(UsageError, match="draws 1 channels"):
        project(draw(generator)[0], Generator(replace(CONFIG, img_channels=1)), QUICK, distance=distance)
    labelled = Generator(replace(CONFIG, c_dim=3))
    with pytest.raises(UsageError, match="labels of 3 numbers"):
        project(draw(generator)[0], labelled, QUICK, distance=distance)
    statistics = search.measure_w(labelled, torch.tensor([[1.0, 0.0, 0.0]]))
    found = project(draw(generator)[0], labelled, QUICK, distance=distance, statistics=statistics)
    assert found.latent.ws.shape == (CONFIG.num_ws, 8)


def test_the_verdict_does_not_depend_on_detail_that_128_pixels_cannot_show(distance: PerceptualNet) -> None:
    network = make_generator(replace(CONFIG, resolution=256))
    picture = draw(network)[0]
    found = project(picture, network, replace(QUICK, steps=1), distance=distance)
    with torch.no_grad():
        small = [F.avg_pool2d(to_tensor(each), 2) for each in (found.image, picture)]
        expected = float(distance(small[0], small[1]))
    assert found.distance == pytest.approx(expected, rel=0.02)  # the image was rounded to uint8
