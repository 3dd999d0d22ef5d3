"""What many files cost: `python benchmarks/batch.py PHOTOS --count 200 --processes 1 2`.

Does a command on many files as `latentface batch` does, by default a projection by the encoder alone, unsigned since
a signature has its time, and prints for each number of processes:

- photos a second by the clock, and by processor time: other programs disturb the latter less, and where a photo takes
  as much of it with two processes as with one, two idle cores take half the time;
- the mean memory of the processes, in MB, over the second and the last quarter of the photos;
- whether all results have the bytes of the first run.

`--ray COUNT` does it COUNT times on a Ray cluster of three nodes of one core each on this machine, kills a process that
is at work after a quarter of the photos and a node after half of them, and counts what is missing, twice there, or
differs. Where there are fewer photos than that, each comes again, and must give the bytes that it gave before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from latentface.batch.cluster import run_on_ray
from latentface.batch.jobs import Job, Outcome
from latentface.batch.local import run_local
from latentface.cli.batch_work import work
from latentface.io.images import list_photos

VERB = "project --steps 0 --no-sign"


def measured(job: Job) -> Outcome:
    """Do a job; the message tells processor time, memory and the process."""
    began = time.process_time()
    outcome = work(job)
    if outcome.exit_code:
        return outcome
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    told = {"seconds": time.process_time() - began, "memory": resident / 1e6, "process": os.getpid()}
    return replace(outcome, message=json.dumps(told))


def results(folder: Path, photos: int) -> set[tuple[int, str, str]]:
    """Of every file in a folder of results: the number of its photo of so many, its name and its SHA-256."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        (int(path.parent.name) % photos, path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files
    }


def jobs(photos: list[Path], words: list[str], folder: Path) -> list[Job]:
    """One for each photo; a photo that is there again gets another folder."""
    verb, *flags = words
    named = verb != "project"
    return [
        Job(verb, tuple(flags), str(path), str(folder / f"{k:05d}"), f"{path.stem}.png" if named else "")
        for k, path in enumerate(photos)
    ]


def summary(outcomes: list[Outcome], seconds: float) -> dict[str, Any]:
    told = [json.loads(outcome.message) for outcome in outcomes if not outcome.exit_code]
    if not told:
        raise SystemExit(f"nothing was done: {outcomes[0].message}")
    started = {each["process"]: each["seconds"] for each in reversed(told)}  # the first of each loads its networks
    busy = [each["seconds"] for each in told if started.get(each["process"]) != each["seconds"]]
    memory = np.array([each["memory"] for each in told])
    quarter = len(told) // 4
    return {
        "photos": len(told), "failed": len(outcomes) - len(told), "photos_a_second": round(len(told) / seconds, 2),
        "processor_seconds_a_photo": round(float(np.mean(busy)), 3), "to_start": round(max(started.values()), 2),
        "memory_second_quarter": round(float(memory[quarter : 2 * quarter].mean())),
        "memory_last_quarter": round(float(memory[-quarter:].mean())),
    }  # fmt: skip


def on_ray(todo: list[Job]) -> Iterator[Outcome]:
    """The outcomes of a cluster that loses a process and a node."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    for done, outcome in enumerate(run_on_ray(todo, measured, cluster.address), 1):
        yield outcome
        if done == len(todo) // 4 and not outcome.exit_code:
            os.kill(json.loads(outcome.message)["process"], signal.SIGKILL)
        if done == len(todo) // 2:
            cluster.remove_node(nodes[1], allow_graceful=False)
    cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure batches.")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--ray", type=int, default=0, metavar="COUNT")
    parser.add_argument("--verb", default=VERB, help="command and flags")
    given = parser.parse_args()
    found = list_photos(given.photos)
    first: set[tuple[int, str, str]] | None = None
    for name in [*given.processes, *(["ray"] if given.ray else [])]:
        photos = [found[k % len(found)] for k in range(given.ray if name == "ray" else given.count)]
        with tempfile.TemporaryDirectory() as place:
            todo = jobs(photos, given.verb.split(), Path(place))
            began = time.perf_counter()
            outcomes = list(on_ray(todo) if name == "ray" else run_local(todo, measured, name))
            told = summary(outcomes, time.perf_counter() - began)
            made = results(Path(place), len(found))
            told["files"] = sum(path.is_file() for path in Path(place).rglob("*"))
        first = first or made
        folders = [outcome.job.folder for outcome in outcomes]
        lost = {job.folder for job in todo} - set(folders)
        told |= {"lost": len(lost), "twice": len(folders) - len(set(folders)), "bytes_equal": made == first}
        print(json.dumps({"processes": name, **told}), flush=True)


if __name__ == "__main__":
    main()
