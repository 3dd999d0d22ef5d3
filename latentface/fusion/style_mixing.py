"""Splices two latents: chooses the rows (or style channels) that are taken from the expression's latent.

After Yang 2019 (Unconstrained Facial Expression Transfer using Style-based Generator, chapter 6): s' = A s1 + B s2 with
diagonal 0/1 A and B, A + B = 1, that minimises the distance of g(s') from face 1 in appearance and from face 2 in
expression. What each row and each pair of rows does to both is measured through the generator; an integer program picks
the rows, and is solved again around its answer until measurements find nothing better. If the subspace of expressions
in W+ is known (`Subspace`), only that part of a row is taken, so that everything else in the row stays the identity's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from latentface.arrays import Pixels
from latentface.errors import UsageError
from latentface.fusion.integer_program import Choice, CostModel, NoChoice, Rules, solve
from latentface.fusion.objective import FaceNetworks, Objective
from latentface.fusion.stylespace import useful_halves
from latentface.io.images import to_uint8
from latentface.latents.latent import Latent, check_fingerprint
from latentface.latents.rows import parse_rows
from latentface.latents.subspace import Subspace
from latentface.networks.config import GeneratorConfig
from latentface.networks.generator import Generator
from latentface.ops.adam import Adam
from latentface.options.photos import TransferOptions

#: The paper's fixed choice takes the layers of this resolution: 4 and 5 of StyleGAN's 18, counted from 0.
PAPER_RESOLUTION = 16
_RIDGE = 1e-3
_RATE, _MOST_WEIGHT = 0.05, 1.5
_EXPRESSION_RATE, _EXPRESSION_STEPS = 0.1, 30
_ROUNDS, _EXPRESSION_ROUNDS = 10, 1
_FLIPS = 2
_NEAR = 0.1  # quantile of the rise in cost that sets the scale on which measured choices lose their weight in the model

MeasureCallback = Callable[[int, float], None]


@dataclass(frozen=True, eq=False)
class Transfer:
    """What `fuse` found.

    Attributes:
        latent: the spliced latent, with the identity's noise maps and metadata.
        image: uint8 RGB [R, R, 3], its picture.
        reference: the picture of the identity's own latent.
        layers: rows that come from the expression, in whole or in part.
        weights: the taken fraction of each row, as a mean over its units, [num_ws]; includes the strength.
        space: the subspace of expressions, if only that part of the rows is taken.
        appearance, expression: its two costs at strength 1, see `objective`.
        objective: both, weighted by `expression_weight`.
        measured: number of latents whose cost was measured.
    """

    latent: Latent
    image: Pixels
    reference: Pixels
    layers: tuple[int, ...]
    weights: tuple[float, ...]
    appearance: float
    expression: float
    objective: float
    measured: int
    space: Subspace | None = None

    def carry(self, change: Tensor) -> Latent:
        """The spliced latent when the expression's has changed by [num_ws, w_dim] since, as from frame to frame."""
        part = change if self.space is None else self.space.part(change)
        return replace(self.latent, ws=self.latent.ws + torch.tensor(self.weights)[:, None] * part)


@torch.inference_mode(False)  # it differentiates
def fuse(
    identity: Latent,
    expression: Latent,
    generator: Generator,
    networks: FaceNetworks,
    options: TransferOptions | None = None,
    on_measure: MeasureCallback | None = None,
    space: Subspace | None = None,
    tuned: tuple[Generator, Generator] | None = None,
    shown: Tensor | None = None,
) -> Transfer:
    """Splice two latents of one generator.

    Args:
        identity: the latent of the face that keeps its appearance.
        expression: the latent of the face whose expression is taken.
        generator: the network of both.
        networks: those that measure identity, emotion, landmarks and perceptual distance.
        options: how rows are chosen and weighed; by default `TransferOptions()`.
        space: the subspace of expressions in this generator's W+, if it is known.
        on_measure: called as on_measure(measured, best objective) as the search goes on.
        tuned: the generators that synthesise the identity's face and the expression's where they were tuned around
            these latents. What is spliced is synthesised by the identity's.
        shown: the aligned crop of the expression's photo, [1, 3, R, R] in [-1, 1], which the expression is compared
            with; without it that is what the generator synthesises.

    Raises:
        LatentMismatch: a latent belongs to another generator.
        UsageError: rows that the latent does not have, rules that no choice obeys, a solver that is missing or does
            not finish, or units=expression for a generator of which that is not known.
    """
    options = _settled(options or TransferOptions(), space)
    own = generator.fingerprint
    check_fingerprint(identity, own, "the identity's latent")
    check_fingerprint(expression, own, "the expression's latent")
    network, other = tuned or (generator, generator)
    objective = Objective(network, networks, identity, expression, None if other is network else other, shown)
    fixed = named_layers(options.layers, generator.config)
    space = space if options.units == "expression" else None
    tally = _Tally(on_measure)
    free = free_rows(options, generator.config) if fixed is None else fixed
    steps, rows = _units(objective, options, free, space, tally)
    search = _Search(objective, steps, options, tally)
    choice: Choice = (True,) * len(rows)
    if fixed is None:
        choice = search.run(Rules(rows, options.most_layers, options.exact_layers, options.contiguous))
    weights = torch.tensor(choice, dtype=torch.float32, device=steps.device)
    if options.refine_steps and any(choice) and space is None:
        weights = _refine(objective, steps, weights, options, tally, _RATE, _MOST_WEIGHT)
    moved = torch.einsum("u,ulw->lw", weights, steps)
    costs = objective.measure(objective.ends[:1] + moved)
    ws = objective.ends[0] + options.strength * moved
    with torch.no_grad():
        picture, reference = to_uint8(objective.synthesise(torch.stack([ws, objective.ends[0]])))
    index = torch.tensor(rows, dtype=torch.int64)
    count = index.bincount(minlength=generator.config.num_ws).clamp(min=1)
    of_row = options.strength * torch.zeros(len(count)).index_add_(0, index, weights.cpu()) / count
    return Transfer(
        latent=replace(identity, ws=ws.cpu()),
        image=picture,
        reference=reference,
        layers=tuple(sorted({row for row, on in zip(rows, choice, strict=True) if on})),
        weights=tuple(of_row.tolist()),
        appearance=float(costs.appearance),
        expression=float(costs.expression),
        objective=float(costs.total(options.expression_weight)),
        measured=tally.count,
        space=space,
    )


def _settled(options: TransferOptions, space: Subspace | None) -> TransferOptions:
    """The options with what they leave open decided; UsageError when they ask for what is not known."""
    if options.units == "expression" and space is None:
        raise UsageError("it is not known what expressions move in this network; choose units rows or styles")
    if options.units == "auto":
        options = replace(options, units="rows" if space is None or options.layers != "auto" else "expression")
    part = options.units == "expression"
    if options.refine_steps is None:
        options = replace(options, refine_steps=_EXPRESSION_STEPS if part else 0)
    if options.rounds is None and options.layers == "auto" and options.solver != "exhaustive":
        options = replace(options, rounds=_EXPRESSION_ROUNDS if part else _ROUNDS)
    return options


def named_layers(text: str, config: GeneratorConfig) -> tuple[int, ...] | None:
    """Rows named by `TransferOptions.layers`; None for auto. Raises UsageError for what is neither."""
    if text == "auto":
        return None
    if text == "paper":
        return paper_layers(config)
    return parse_rows(text, config.num_ws)


def free_rows(options: TransferOptions, config: GeneratorConfig) -> tuple[int, ...]:
    """Rows that the program may take: those of convolutions up to the finest resolution, but for the kept ones.

    Raises UsageError when there are none.
    """
    last = 2 * sum(resolution <= options.finest for resolution in config.resolutions) - 1
    free = sorted(set(range(last)) - set(parse_rows(options.keep, config.num_ws)))
    if not free:
        raise UsageError(f"keep {options.keep!r} and finest {options.finest} leave no row to choose; keep fewer")
    return tuple(free)


def paper_layers(config: GeneratorConfig) -> tuple[int, ...]:
    """Rows of the paper's fixed choice: those of the convolutions at 16 x 16, whatever the network's own size."""
    if config.resolution < PAPER_RESOLUTION:
        raise UsageError(f"this network draws {config.resolution} pixels; the paper's choice needs {PAPER_RESOLUTION}")
    first = 2 * config.resolutions.index(PAPER_RESOLUTION) - 1  # one convolution at 4 x 4, two at each size above
    return (first, first + 1)


class _Tally:
    """Counts measured latents, and reports the count with the lowest objective so far."""

    def __init__(self, on_measure: MeasureCallback | None) -> None:
        self.count, self.least, self.on_measure = 0, float("inf"), on_measure

    def add(self, count: int, least: float) -> None:
        self.count, self.least = self.count + count, min(self.least, least)
        if self.on_measure:
            self.on_measure(self.count, self.least)


class _Search:
    """Measures choices, remembers them, and improves the best one."""

    def __init__(self, objective: Objective, steps: Tensor, options: TransferOptions, tally: _Tally) -> None:
        self.objective, self.steps, self.options, self.tally = objective, steps, options, tally
        self.known: dict[Choice, float] = {}

    def splice(self, weights: Tensor) -> Tensor:
        """Ws [N, num_ws, w_dim] for weights [N, U] of the units."""
        moved = torch.einsum("nu,ulw->nlw", weights.to(self.steps), self.steps)
        return self.objective.ends[0] + moved

    def measure(self, choices: Iterable[Choice]) -> None:
        """Measure the choices that are not known yet, in one batched pass."""
        new = [choice for choice in dict.fromkeys(choices) if choice not in self.known]
        if new:
            costs = self.objective.measure(self.splice(torch.tensor(new, dtype=torch.float32)))
            self.known.update(zip(new, costs.total(self.options.expression_weight).tolist(), strict=True))
            self.tally.add(len(new), min(self.known.values()))

    def run(self, rules: Rules) -> Choice:
        """The best choice that obeys the rules."""
        if self.options.solver == "exhaustive":
            self.measure(rules.choices())
            return self._best(rules)
        count, far = len(rules.rows), self.options.flips or _FLIPS
        # both faces, with all flips of one and two units: each is right about its own side; what expressions move of
        # all rows belongs together, so that few rows are seldom the best
        few = 1 if self.options.units == "expression" else far
        seen: dict[Choice, int] = {(False,) * count: few, (True,) * count: far}
        self.measure(each for end, flips in seen.items() for each in _neighbours(end, flips))
        for _ in range(self.options.rounds or 0):
            try:
                answer = solve(self._model(), rules, self.options.solver, self.options.time_limit, seen)
            except NoChoice:  # everything is known
                break
            seen[answer] = 1
            self.measure(_neighbours(answer, 1))
        self.measure(_neighbours(self._best(rules), far))
        return self._best(rules)

    def _best(self, rules: Rules) -> Choice:
        allowed = [choice for choice in self.known if rules.allows(choice)]
        if not allowed:
            raise NoChoice("no choice of layers obeys the rules: allow more layers, keep fewer, or drop contiguous")
        return min(allowed, key=self.known.__getitem__)

    def _model(self) -> CostModel:
        """The quadratic model of all measured costs, centred at the best choice and most exact where costs are low."""
        centre = min(self.known, key=self.known.__getitem__)
        count = len(centre)
        flips = np.not_equal(list(self.known), centre).astype(float)
        first, second = np.triu_indices(count, 1)
        terms = np.concatenate([flips, flips[:, first] * flips[:, second]], axis=1)
        costs = np.array(list(self.known.values()))
        rise = costs - self.known[centre]
        weight = np.exp(-rise / max(float(np.quantile(rise, _NEAR)), 1e-9))[:, None]
        gram = terms.T @ (weight * terms) + _RIDGE * np.eye(terms.shape[1])
        found = np.linalg.solve(gram, terms.T @ (weight[:, 0] * rise))
        pair = np.zeros((count, count))
        pair[first, second] = found[count:]
        return CostModel(centre, self.known[centre], found[:count], pair)


def _refine(
    objective: Objective, moves: Tensor, start: Tensor, options: TransferOptions, tally: _Tally, rate: float,
    most: float | None = None,
) -> Tensor:  # fmt: skip
    """Weights [M] of moves [M, num_ws, w_dim] that lower the objective further, by Adam from `start`.

    most: with it, weights stay between 0 and that, and those that start at 0 stay there.
    """
    free, best, least = start != 0, start.clone(), float("inf")
    weights = start.clone().requires_grad_(True)
    optimiser, steps = Adam(weights, rate), options.refine_steps or 0
    with torch.enable_grad():
        for step in range(steps + 1):
            ws = objective.ends[:1] + torch.einsum("m,mlw->lw", weights, moves)
            cost = objective(ws).total(options.expression_weight).sum()
            if (value := float(cost.detach())) < least:
                best, least = weights.detach().clone(), value
            tally.add(1, least)
            if step == steps:
                break
            optimiser.step(torch.autograd.grad(cost, [weights])[0])
            if most is not None:
                with torch.no_grad():
                    weights.copy_((weights * free).clamp(0, most))
    return best


def _flip(choice: Choice, *units: int) -> Choice:
    return tuple(on != (u in units) for u, on in enumerate(choice))


def _neighbours(centre: Choice, distance: int) -> list[Choice]:
    """The choice and all others at most `distance` flips away."""
    units = range(len(centre))
    return [_flip(centre, *flipped) for size in range(distance + 1) for flipped in combinations(units, size)]


def _units(
    objective: Objective, options: TransferOptions, free: tuple[int, ...], space: Subspace | None, tally: _Tally
) -> tuple[Tensor, tuple[int, ...]]:
    """What each unit adds to the identity's ws, [U, num_ws, w_dim], and the row it belongs to.

    A row is one unit: all of it, or what expressions move of it. By style channels it is two: those that lower the
    objective to first order when they go over to the expression, and the rest.
    """
    step = objective.ends[1] - objective.ends[0]
    parts = [step if space is None else _expression(objective, space, step, free, options, tally)]
    if options.units == "styles":
        useful = useful_halves(objective, step, options.expression_weight)
        parts = [useful, step - useful]
    units = [(row, part[row]) for row in free for part in parts]
    steps = step.new_zeros(len(units), *step.shape)
    for u, (row, change) in enumerate(units):
        steps[u, row] = change
    return steps, tuple(row for row, _ in units)


def _expression(
    objective: Objective, space: Subspace, step: Tensor, free: tuple[int, ...], options: TransferOptions, tally: _Tally
) -> Tensor:
    """The expression part of a step [num_ws, w_dim]: read off by the subspace, then refined in the rows that are free.

    The part that is read off is too small where expressions are hard to separate from identities, and contains some of
    the other face's identity.
    """
    start = space.read(step)
    inside = torch.zeros(len(step), 1, device=step.device)
    inside[list(free)] = 1
    moves = space.basis.to(step) * inside
    if options.refine_steps:
        start = _refine(objective, moves, start, options, tally, _EXPRESSION_RATE)
    return torch.einsum("m,mlw->lw", start, moves)
