"""Jobs on a Ray cluster, one core each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from latentface.batch.jobs import Job, Outcome, Work
from latentface.batch.local import AHEAD, ONE_THREAD, died
from latentface.errors import InputError, UsageError

#: Times that a job is begun anew after the process or the node that had it was lost.
RETRIES = 3


def run_on_ray(jobs: Iterable[Job], work: Work, address: str | None = None) -> Iterator[Outcome]:
    """Do jobs on all cores of a Ray cluster and give the outcomes as they come.

    The processes of the cluster keep the networks that they have loaded. A job whose process or node is lost is begun
    anew elsewhere; since results are written whole and under the same names, it leaves nothing twice. The package must
    be installed on every node, and paths must mean the same file on each: a shared folder, or URLs.

    Args:
        jobs: read as they are needed.
        work: what to do; see `Work`.
        address: of the cluster, such as "auto" or "ray://host:10001"; None starts one on this machine.

    Raises:
        UsageError: Ray is not installed.
        InputError: there is no cluster at the address.
    """
    ray = _connect(address)
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES, scheduling_strategy="SPREAD")(work)
        stream, pending = iter(jobs), dict[Any, Job]()
        while True:
            slots = AHEAD * max(int(ray.cluster_resources().get("CPU", 1)), 1)
            while len(pending) < slots and (job := next(stream, None)) is not None:
                pending[remote.remote(job)] = job
            if not pending:
                return
            ready, _ = ray.wait(list(pending), num_returns=1)
            for reference in ready:
                job = pending.pop(reference)
                try:
                    yield ray.get(reference)
                except ray.exceptions.RayError:
                    yield died(job)
    finally:
        ray.shutdown()


def _connect(address: str | None) -> Any:
    try:
        import ray
    except ImportError:
        raise UsageError('--engine ray needs Ray: pip install "latentface[cluster]"') from None
    try:
        ray.init(
            address=address or "local", runtime_env={"env_vars": dict(ONE_THREAD)}, log_to_driver=False,
            configure_logging=False, include_dashboard=False if address is None else None,
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(f"no Ray cluster at {address}: {error}; start one with `ray start --head`") from error
    return ray
