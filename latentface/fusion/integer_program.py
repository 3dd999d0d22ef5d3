"""Chooses units by a quadratic pseudo-Boolean program, linearised and solved as an integer linear program by PuLP.

Each unit is taken from the expression (1) or not (0). The cost of a choice is modelled around a centre: the change by
flipping each unit, and the additional change by flipping two together (Fortet's linearisation: y <= x, y <= x', y >= x
+ x' - 1).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pulp

from latentface.arrays import Float64Array
from latentface.errors import OutputError, UsageError

Choice = tuple[bool, ...]

#: Exhaustive search goes through 2^n choices; beyond this n it is refused.
MOST_EXHAUSTIVE = 16
_DIGITS = 6


class NoChoice(UsageError):
    """No choice obeys the rules, or all that do have been measured already."""


@dataclass(frozen=True)
class Rules:
    """What may be chosen.

    Attributes:
        rows: the latent's row that each unit belongs to; a row counts as taken when one of its units is.
        at_most, exactly: how many rows are taken; None for any number.
        contiguous: the rows that are taken lie side by side.
    """

    rows: tuple[int, ...]
    at_most: int | None = None
    exactly: int | None = None
    contiguous: bool = False

    def allows(self, choice: Choice) -> bool:
        """Whether a choice obeys the rules."""
        taken = sorted({row for row, on in zip(self.rows, choice, strict=True) if on})
        if self.contiguous and taken and taken[-1] - taken[0] >= len(taken):
            return False
        return (self.at_most is None or len(taken) <= self.at_most) and self.exactly in (None, len(taken))

    def choices(self) -> Iterator[Choice]:
        """Every choice that obeys the rules; UsageError when there are too many units to go through them."""
        if len(self.rows) > MOST_EXHAUSTIVE:
            raise UsageError(
                f"exhaustive search over {len(self.rows)} units; at most {MOST_EXHAUSTIVE} can be searched"
            )
        return (choice for choice in product((False, True), repeat=len(self.rows)) if self.allows(choice))


@dataclass(frozen=True, eq=False)
class CostModel:
    """Costs near a centre: its own, `single` [U] added by a flip, `pair` [U, U] (upper triangle) added by two flips."""

    centre: Choice
    base: float
    single: Float64Array
    pair: Float64Array

    def predict(self, choice: Choice) -> float:
        """The modelled cost of a choice; exact up to two flips from the centre."""
        flips = np.not_equal(choice, self.centre).astype(float)
        return float(self.base + self.single @ flips + flips @ self.pair @ flips)


def solve(
    model: CostModel,
    rules: Rules,
    solver: str = "cbc",
    seconds: float = 10.0,
    known: Mapping[Choice, int] | None = None,
) -> Choice:
    """The allowed choice of least cost by the model.

    known: choices around which everything has been measured up to that many flips; the answer lies farther away.

    Raises:
        UsageError: the solver is not installed, no choice obeys the rules, or the time ran out before it finished.
    """
    problem = pulp.LpProblem("layers", pulp.LpMinimize)
    taken = [problem.add_variable(f"x{u}", cat=pulp.LpBinary) for u in range(len(rules.rows))]
    flips = [1 - x if on else x for x, on in zip(taken, model.centre, strict=True)]
    # solvers are inaccurate with coefficients of very different size; costs are of the order of 1
    single, pair = np.round(model.single, _DIGITS), np.round(np.triu(model.pair, 1), _DIGITS)
    terms = [cost * flip for cost, flip in zip(single.tolist(), flips, strict=True)]
    for i, j in np.argwhere(pair).tolist():
        both = problem.add_variable(f"y{i}_{j}", 0, 1)
        terms.append(float(pair[i, j]) * both)
        if pair[i, j] > 0:
            problem += both >= flips[i] + flips[j] - 1
        else:
            problem += both <= flips[i]
            problem += both <= flips[j]
    problem += pulp.lpSum(terms)
    for each, distance in (known or {}).items():
        problem += pulp.lpSum(1 - x if on else x for x, on in zip(taken, each, strict=True)) >= distance + 1
    _constrain(problem, taken, rules)
    _run(problem, solver, seconds)
    return tuple(round(x.value()) == 1 for x in taken)


def _constrain(problem: pulp.LpProblem, taken: list[pulp.LpVariable], rules: Rules) -> None:
    rows = []
    for row in range(max(rules.rows) + 1):
        units = [x for x, of in zip(taken, rules.rows, strict=True) if of == row]
        used = problem.add_variable(f"row{row}", cat=pulp.LpBinary)
        problem += used <= pulp.lpSum(units)
        for x in units:
            problem += used >= x
        rows.append(used)
    if rules.at_most is not None:
        problem += pulp.lpSum(rows) <= rules.at_most
    if rules.exactly is not None:
        problem += pulp.lpSum(rows) == rules.exactly
    if rules.contiguous:
        starts = [problem.add_variable(f"start{row}", 0, 1) for row in range(len(rows))]
        for row, start in enumerate(starts):
            problem += start >= rows[row] - (rows[row - 1] if row else 0)
        problem += pulp.lpSum(starts) <= 1


def _run(problem: pulp.LpProblem, name: str, seconds: float) -> None:
    try:
        problem.solve(find_solver(name, seconds))
    except pulp.PulpSolverError as error:
        raise UsageError(
            f"the solver {name} failed: {' '.join(str(error).split())}; choose another with solver"
        ) from None
    except OSError as error:
        folder, reason = tempfile.gettempdir(), error.strerror or error
        raise OutputError(
            f"the solver {name} cannot write into the temporary folder {folder}: {reason}; free some room there, or "
            "name another folder by TMPDIR"
        ) from None
    if problem.status == pulp.LpStatusInfeasible:
        raise NoChoice("no choice of layers obeys the rules: allow more layers or fewer, or drop contiguous")
    if problem.sol_status != pulp.LpSolutionOptimal:
        state = pulp.LpStatus[problem.status].lower()
        raise UsageError(
            f"the solver {name} did not finish within {seconds:g} seconds ({state}); give it more with time_limit"
        )


def find_solver(name: str, seconds: float) -> pulp.LpSolver:
    """A PuLP solver by name: cbc (comes with PuLP), or any that PuLP knows and this machine has (HiGHS, GLPK_CMD ...).

    Raises UsageError, which lists the available names, if it is not installed.
    """
    settings = {"msg": False, "timeLimit": seconds}
    if name == "cbc":
        solver = pulp.COIN_CMD(path=pulp.apis.coin_api.pulp_cbc_path, **settings)  # PULP_CBC_CMD is deprecated
    else:
        known = {each.lower(): each for each in pulp.listSolvers()}
        if name.lower() not in known:
            raise UsageError(f"no solver {name!r}; PuLP knows {', '.join(sorted(known.values()))}; the default is cbc")
        solver = pulp.getSolver(known[name.lower()], **settings)
    if not solver.available():
        raise UsageError(f"the solver {name} is not installed here; use cbc, which comes with PuLP, or install it")
    return solver
