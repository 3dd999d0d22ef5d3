"""The fuser against going through every choice; what the rules forbid; refinement, style channels, refusals."""

from __future__ import annotations

import pytest
import torch

from latentface.errors import LatentMismatch, UsageError
from latentface.fusion.style_mixing import Transfer, fuse, paper_layers
from latentface.fusion.stylespace import style_readers
from latentface.latents.subspace import Subspace
from latentface.networks.config import GeneratorConfig
from latentface.options.photos import TransferOptions
from tests.helpers.tiny_networks import latents, tiny_generator, tiny_networks

GENERATOR, NETWORKS = tiny_generator(), tiny_networks()


def splice(seed: int = 0, **options: object) -> Transfer:
    identity, expression = latents(GENERATOR, seed)
    return fuse(identity, expression, GENERATOR, NETWORKS, TransferOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(20))
def test_the_program_is_within_two_percent_of_the_oracle(seed: int) -> None:
    found, oracle = splice(seed), splice(seed, solver="exhaustive")
    assert oracle.measured == 2**7
    assert found.objective >= oracle.objective - 1e-5
    assert found.objective <= oracle.objective * 1.02
    assert found.measured < oracle.measured


def test_rows_come_from_where_the_choice_says() -> None:
    identity, expression = latents(GENERATOR, 3)
    found = fuse(identity, expression, GENERATOR, NETWORKS)
    for row in range(GENERATOR.config.num_ws):
        source = expression if row in found.layers else identity
        assert torch.allclose(found.latent.ws[row], source.ws[row], atol=1e-6)
        assert found.weights[row] == pytest.approx(1.0 if row in found.layers else 0.0)
    assert found.latent.fingerprint == identity.fingerprint


def test_the_weight_trades_expression_for_appearance() -> None:
    faithful, expressive = splice(2, expression_weight=0.1), splice(2, expression_weight=0.9)
    assert faithful.appearance < expressive.appearance
    assert faithful.expression > expressive.expression
    assert splice(2, expression_weight=0.0).layers == ()


@pytest.mark.parametrize("seed", [0])
def test_rules_are_obeyed(seed: int) -> None:
    assert len(splice(seed, most_layers=1).layers) <= 1
    assert len(splice(seed, exact_layers=3).layers) == 3
    run = splice(seed, exact_layers=4, contiguous=True).layers
    assert run == tuple(range(run[0], run[0] + 4))
    assert not set(splice(seed, keep="0-3").layers) & {0, 1, 2, 3}
    assert max(splice(seed, finest=8, expression_weight=1.0).layers) <= 2
    oracle = splice(seed, exact_layers=3, solver="exhaustive")
    assert splice(seed, exact_layers=3).objective <= oracle.objective * 1.02


def test_named_layers_are_taken_as_they_are() -> None:
    assert splice(layers="1,4-5").layers == (1, 4, 5)
    assert splice(layers="paper").layers == (3, 4)


@pytest.mark.parametrize(("resolution", "rows"), [(16, (3, 4)), (128, (3, 4)), (1024, (3, 4))])
def test_the_papers_choice_goes_by_resolution(resolution: int, rows: tuple[int, ...]) -> None:
    """In StyleGAN2 rows 3 and 4 drive the two convolutions at 16 x 16, as layers 4 and 5 did in StyleGAN."""
    assert paper_layers(GeneratorConfig(resolution=resolution)) == rows
    generator = tiny_generator(resolution=32)
    block = generator.synthesis.get_submodule("b16")
    readers = style_readers(generator)
    assert block.get_submodule("conv0.affine") in readers[rows[0]]
    assert block.get_submodule("conv1.affine") in readers[rows[1]]


def test_the_papers_choice_needs_16_pixels() -> None:
    with pytest.raises(UsageError, match="needs 16"):
        paper_layers(GeneratorConfig(resolution=8))


def test_strength_scales_the_way_to_the_expression() -> None:
    identity, _ = latents(GENERATOR, 0)
    whole = splice(layers="2-4").latent.ws
    half = splice(layers="2-4", strength=0.5).latent.ws
    over = splice(layers="2-4", strength=1.5).latent.ws
    assert torch.allclose(half, (identity.ws + whole) / 2, atol=1e-6)
    assert torch.allclose(over, identity.ws + 1.5 * (whole - identity.ws), atol=1e-5)
    assert torch.equal(splice(strength=0.0).latent.ws, identity.ws)


def test_refinement_never_makes_it_worse_and_mostly_better() -> None:
    gains = []
    for seed in range(2):
        plain, refined = splice(seed, rounds=1), splice(seed, rounds=1, refine_steps=15)
        assert refined.layers == plain.layers
        assert refined.objective <= plain.objective + 1e-6
        assert all(0 <= weight <= 1.5 for weight in refined.weights)
        gains.append(plain.objective - refined.objective)
    assert min(gains) > 1e-3


def test_fewer_flips_measure_less_and_never_find_better() -> None:
    few, many = (splice(rounds=1, solver="cbc", flips=flips) for flips in (1, 2))
    assert few.measured < 0.7 * many.measured
    assert few.objective >= many.objective - 1e-6


def test_style_channels_split_a_row_into_two_that_make_the_whole() -> None:
    identity, expression = latents(GENERATOR, 0)
    everything = splice(units="styles", layers=f"0-{GENERATOR.config.num_ws - 1}")
    assert torch.allclose(everything.latent.ws, expression.ws, atol=1e-4)
    found = splice(units="styles", solver="cbc", rounds=2)
    assert found.objective <= splice(rounds=2).objective * 1.02
    assert not torch.equal(found.latent.ws, identity.ws)


def some_space(count: int = 3) -> Subspace:
    source = torch.Generator().manual_seed(4)
    reader, basis = torch.randn(2, count, GENERATOR.config.num_ws, 16, generator=source) / 8
    return Subspace(reader, basis, GENERATOR.fingerprint)


def test_only_what_expressions_move_is_taken() -> None:
    identity, expression = latents(GENERATOR, 0)
    space = some_space()
    read = fuse(identity, expression, GENERATOR, NETWORKS, TransferOptions(refine_steps=0), space=space)
    part = space.part(expression.ws - identity.ws)
    for row in range(GENERATOR.config.num_ws):
        wanted = part[row] if row in read.layers else torch.zeros(16)
        assert torch.allclose(read.latent.ws[row] - identity.ws[row], wanted, atol=1e-5)
    refined = fuse(identity, expression, GENERATOR, NETWORKS, space=space)
    assert refined.objective < read.objective
    moved = (refined.latent.ws - identity.ws)[list(refined.layers)].flatten()
    basis = space.basis[:, list(refined.layers)].flatten(1)
    left = moved - basis.T @ torch.linalg.lstsq(basis.T, moved[:, None]).solution[:, 0]
    assert float(left.norm()) < 1e-4 * float(moved.norm())


def test_named_layers_are_taken_whole_unless_the_units_say_otherwise() -> None:
    identity, expression = latents(GENERATOR, 0)
    whole = fuse(identity, expression, GENERATOR, NETWORKS, TransferOptions(layers="2"), space=some_space())
    assert torch.allclose(whole.latent.ws[2], expression.ws[2], atol=1e-6)
    options = TransferOptions(layers="2", units="expression", refine_steps=0)
    part = fuse(identity, expression, GENERATOR, NETWORKS, options, space=some_space())
    assert part.layers == (2,)
    assert not torch.allclose(part.latent.ws[2], expression.ws[2], atol=1e-2)


@pytest.mark.parametrize("space", [None, some_space()])
def test_a_changed_expression_is_carried_by_the_same_rows(space: Subspace | None) -> None:
    identity, expression = latents(GENERATOR, 0)
    made = fuse(identity, expression, GENERATOR, NETWORKS, TransferOptions(strength=0.5), space=space)
    change = torch.randn(expression.ws.shape, generator=torch.Generator().manual_seed(1))
    moved = made.carry(change).ws - made.latent.ws
    wanted = 0.5 * (change if space is None else space.part(change))
    for row in range(GENERATOR.config.num_ws):
        assert torch.allclose(moved[row], wanted[row] if row in made.layers else torch.zeros(16), atol=1e-5)
    assert torch.equal(made.carry(torch.zeros_like(change)).ws, made.latent.ws)


def test_equal_faces_need_no_rows() -> None:
    identity, _ = latents(GENERATOR, 0)
    found = fuse(identity, identity, GENERATOR, NETWORKS)
    assert torch.allclose(found.latent.ws, identity.ws)
    assert found.appearance == pytest.approx(0, abs=2e-4)  # of one: rounding of a cosine, over the least divisor


def test_the_same_call_gives_the_same_answer() -> None:
    assert torch.equal(splice(5).latent.ws, splice(5).latent.ws)


def test_progress_is_told() -> None:
    identity, expression = latents(GENERATOR, 0)
    seen: list[tuple[int, float]] = []
    found = fuse(identity, expression, GENERATOR, NETWORKS, on_measure=lambda count, least: seen.append((count, least)))
    assert seen[-1][0] == found.measured
    assert [least for _, least in seen] == sorted((least for _, least in seen), reverse=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layers": "7-9"}, "rows 0 to 7"),
        ({"layers": "mouth"}, "expected auto, paper"),
        ({"layers": "5-3"}, "rows 0 to 7"),
        ({"keep": "12"}, "rows 0 to 7"),
        ({"keep": "0-5", "exact_layers": 2}, "no choice of layers obeys"),
        ({"keep": "0-5", "exact_layers": 2, "solver": "exhaustive"}, "no choice of layers obeys"),
        ({"keep": "0-7"}, "leave no row"),
        ({"units": "expression"}, "not known what expressions move"),
        ({"solver": "abacus"}, "no solver 'abacus'"),
        ({"strength": 1.6}, r"strength is 1\.6; expected 1\.5 or less"),
    ],
)
def test_what_cannot_be_done_is_said(options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        splice(**options)


def test_a_latent_of_another_network() -> None:
    identity, _ = latents(GENERATOR, 0)
    _, stranger = latents(tiny_generator(seed=1), 0)
    with pytest.raises(LatentMismatch, match="another network"):
        fuse(identity, stranger, GENERATOR, NETWORKS)
