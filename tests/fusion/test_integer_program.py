"""The integer program against going through every choice, and its refusals."""

from __future__ import annotations

import errno
import os
import re
import tempfile
from pathlib import Path

import numpy as np
import pulp
import pytest

from latentface.errors import OutputError, UsageError
from latentface.fusion.integer_program import CostModel, Rules, find_solver, solve


def model(units: int, seed: int, centre: tuple[bool, ...] | None = None) -> CostModel:
    rng = np.random.default_rng(seed)
    pair = np.triu(rng.normal(0, 0.4, (units, units)), 1)
    return CostModel(centre or (False,) * units, 1.0, rng.normal(0, 1, units), pair)


def least(costs: CostModel, rules: Rules) -> float:
    return min(costs.predict(choice) for choice in rules.choices())


RULES = [
    {}, {"at_most": 2}, {"exactly": 3}, {"contiguous": True},
    {"contiguous": True, "exactly": 3}, {"contiguous": True, "at_most": 2},
]  # fmt: skip


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("seed", range(3))
def test_the_program_finds_the_least_cost(rules: dict[str, object], seed: int) -> None:
    costs, allowed = model(7, seed), Rules(tuple(range(7)), **rules)  # type: ignore[arg-type]
    choice = solve(costs, allowed)
    assert allowed.allows(choice)
    assert costs.predict(choice) == pytest.approx(least(costs, allowed), abs=1e-6)


def test_a_centre_elsewhere() -> None:
    costs = model(6, 5, centre=(True, False, True, False, False, True))
    choice = solve(costs, Rules(tuple(range(6))))
    assert costs.predict(choice) == pytest.approx(least(costs, Rules(tuple(range(6)))), abs=1e-6)


def test_the_answer_lies_beyond_what_is_known() -> None:
    costs, rules = model(6, 1), Rules(tuple(range(6)))
    best = solve(costs, rules)
    answer = solve(costs, rules, known={best: 2})
    far = [choice for choice in rules.choices() if sum(np.not_equal(choice, best)) > 2]
    assert answer in far
    assert costs.predict(answer) == pytest.approx(min(map(costs.predict, far)), abs=1e-6)
    with pytest.raises(UsageError, match="no choice"):
        solve(costs, rules, known={best: 6})


def test_several_units_a_row_count_once() -> None:
    rows = (0, 0, 1, 1, 2, 2)
    costs = CostModel((False,) * 6, 0.0, np.array([-3.0, -1, -2, -2.5, -0.5, 1]), np.zeros((6, 6)))
    assert solve(costs, Rules(rows, exactly=1)) == (False, False, True, True, False, False)
    assert solve(costs, Rules(rows, exactly=2)) == (True, True, True, True, False, False)


def test_rows_without_units_break_a_run() -> None:
    rules = Rules((0, 1, 3, 4), contiguous=True)
    costs = CostModel((False,) * 4, 0.0, np.array([-1.0, -3, -3, -1]), np.zeros((4, 4)))
    assert solve(costs, rules) == (True, True, False, False)
    assert not rules.allows((False, True, True, False))


def test_rules_tell_runs_from_scattered_rows() -> None:
    rules = Rules(tuple(range(5)), contiguous=True)
    assert rules.allows((False, True, True, False, False))
    assert rules.allows((False,) * 5)
    assert not rules.allows((True, False, True, False, False))


def test_prediction_is_exact_for_two_flips() -> None:
    costs = CostModel((True, False), 2.0, np.array([0.5, -1.0]), np.array([[0, 0.25], [0, 0]]))
    assert costs.predict((True, False)) == 2.0
    assert costs.predict((False, False)) == 2.5
    assert costs.predict((False, True)) == 1.75


def test_rules_that_nothing_obeys() -> None:
    with pytest.raises(UsageError, match="no choice of layers obeys"):
        solve(model(4, 0), Rules((0, 1, 2, 3), exactly=5))


def test_solver_that_is_unknown_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"no solver 'abacus'.*default is cbc"):
        find_solver("abacus", 1)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="not installed here"):
        find_solver("glpk_cmd", 1)


def test_solver_that_runs_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(problem: pulp.LpProblem, solver: object) -> int:
        problem.status, problem.sol_status = pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound
        return 0

    monkeypatch.setattr(pulp.LpProblem, "solve", give_up)
    with pytest.raises(UsageError, match=r"did not finish within 0\.5 seconds"):
        solve(model(4, 0), Rules((0, 1, 2, 3)), seconds=0.5)


def test_solver_that_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "cbc"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(pulp.apis.coin_api, "pulp_cbc_path", str(program))
    with pytest.raises(UsageError, match="the solver cbc failed"):
        solve(model(4, 0), Rules((0, 1, 2, 3)))


def test_too_many_units_to_go_through() -> None:
    with pytest.raises(UsageError, match="at most 16"):
        Rules(tuple(range(17))).choices()


def test_a_full_temporary_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pulp.LpProblem, "solve", full)
    with pytest.raises(OutputError, match=f"{re.escape(tempfile.gettempdir())}: No space left.*TMPDIR"):
        solve(model(5, 0), Rules(tuple(range(5))))
