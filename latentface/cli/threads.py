"""How the threads of this process wait for each other."""

from __future__ import annotations

from collections.abc import MutableMapping

#: Each of these says how OpenMP's threads wait, in the words of the standard, GNU's library and LLVM's and Intel's.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def wait_asleep(environment: MutableMapping[str, str]) -> None:
    """Let OpenMP's threads sleep while they wait; called before torch is loaded, which reads the environment then.

    By default they spin, which takes the cores away from other processes: two commands at once took 3 to 6 times the
    time of one. What the user has set in the environment stays. Holds for the whole process, so it is for programs to
    call, not for libraries.
    """
    if not any(name in environment for name in WAITING):
        environment["OMP_WAIT_POLICY"] = "passive"
