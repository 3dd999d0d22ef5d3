"""How the threads of this process wait for each other."""

from __future__ import annotations

from collections.abc import MutableMapping

#: Each of these says how OpenMP's threads wait, in the words of the standard, GNU's library and LLVM's and Intel's.
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "KMP_LIBRARY")


def wait_asleep(environment: MutableMapping[str, str]) -> None:
    """Let OpenMP's threads sleep while they wait; must be called before torch is loaded and reads the environment.

    By default they spin, which takes the cores away from other processes: two commands at once took 3 to 6 times as
    long as one. Settings that the user made in the environment are kept. It applies to the whole process, so it is
    meant for programs, not for libraries.
    """
    if not any(name in environment for name in WAITING):
        environment["OMP_WAIT_POLICY"] = "passive"
