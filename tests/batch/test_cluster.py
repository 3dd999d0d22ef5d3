"""A cluster of three nodes on the loopback, of which a process and a node are killed while it works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from latentface.batch.cluster import run_on_ray
from latentface.errors import UsageError

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, sys
from pathlib import Path
from ray.cluster_utils import Cluster
from latentface.batch.cluster import run_on_ray
from tests.helpers.batch_works import ONCE, shout_slowly, texts

jobs = texts(Path(sys.argv[1]), *[ONCE if number == 7 else f"text {number}" for number in range(60)])
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
names = []
for outcome in run_on_ray(jobs, shout_slowly, cluster.address):
    names.append((outcome.job.name, outcome.exit_code))
    if len(names) == 12:
        cluster.remove_node(nodes[1], allow_graceful=False)
cluster.shutdown()
print(json.dumps(names))
"""


def test_no_job_is_lost_or_done_twice_when_a_process_and_a_node_are_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RAY_DEDUP_LOGS": "0", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    names = json.loads(done.stdout.splitlines()[-1])
    assert sorted(name for name, _ in names) == sorted(f"{number}.loud.txt" for number in range(60))
    assert not any(code for _, code in names)
    assert {path.name: path.read_text() for path in (tmp_path / "out").glob("*.txt")} == {
        f"{number}.loud.txt": "ONCE" if number == 7 else f"TEXT {number}" for number in range(60)
    }


def test_without_ray_there_is_a_word_on_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"latentface\[cluster\]"):
        next(run_on_ray([], len))  # type: ignore[arg-type]
