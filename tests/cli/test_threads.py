"""How threads wait: set by the program before torch is loaded, never by the library, and the user's word goes first."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from latentface.cli.threads import WAITING, wait_asleep

# The command's work is replaced by a look at what torch's OpenMP library has read from the environment.
PROGRAM = """
import os, sys
import latentface.cli as cli
assert "torch" not in sys.modules
def work():
    import torch
    print(os.environ.get("OMP_WAIT_POLICY"))
    return 0
cli.run = work
{call}
"""


def run(call: str, **more: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if name not in WAITING}
    environment = {**plain, "OMP_DISPLAY_ENV": "verbose", **more}
    command = [sys.executable, "-c", PROGRAM.format(call=call)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_the_program_lets_threads_sleep_and_torch_hears_of_it() -> None:
    done = run("cli.main()")
    assert done.stdout == "passive\n"
    assert "GOMP_SPINCOUNT = '0'" in done.stderr


def test_the_library_leaves_the_process_alone() -> None:
    done = run("import latentface, latentface.api; work()")
    assert done.stdout == "None\n"
    assert "GOMP_SPINCOUNT = " in done.stderr and "GOMP_SPINCOUNT = '0'" not in done.stderr


def test_the_users_word_goes_first() -> None:
    assert run("cli.main()", OMP_WAIT_POLICY="active").stdout == "active\n"


@pytest.mark.parametrize("name", WAITING)
def test_whatever_the_user_says_of_waiting_is_kept(name: str) -> None:
    environment = {name: "7"}
    wait_asleep(environment)
    assert environment == {name: "7"}


def test_other_variables_do_not_matter() -> None:
    environment = {"OMP_NUM_THREADS": "1"}
    wait_asleep(environment)
    assert environment == {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
