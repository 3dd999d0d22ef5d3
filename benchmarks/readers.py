"""What opening a published checkpoint costs: `python -m benchmarks.readers [--resolution R]`.

Writes a 1024 px network (30 M parameters, random weights) in the ADA format, TensorFlow's and rosinality's, and opens
each in a process of its own. Prints the seconds that `load_generator` takes, by the clock and of the CPU, imports not
counted, and the peak memory of the process, imports counted (Linux).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from latentface.networks.config import GeneratorConfig
from tests.helpers import checkpoint_writers as write

OPEN = """
import sys, time
import latentface.pretrained.readers

def peak():  # kB; what getrusage says includes the parent process
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024

before = peak()
began, worked = time.perf_counter(), time.process_time()
network = latentface.pretrained.load_generator(sys.argv[1])
seconds, worked = time.perf_counter() - began, time.process_time() - worked
count = sum(value.numel() for value in network.parameters())
print(f"{count / 1e6:8.1f} M{seconds:8.2f} s{worked:8.2f} s{peak():9.0f} MB{before:17.0f} MB")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the opening of 1024 px checkpoints.")
    parser.add_argument("--resolution", type=int, default=1024)
    given = parser.parse_args()
    generator = write.make(GeneratorConfig(given.resolution))
    print(f"{'format':12}{'file':>8}{'parameters':>13}{'time':>7}{'CPU':>10}{'peak':>13}{'after imports':>20}")
    with tempfile.TemporaryDirectory() as folder:
        path, mark = Path(folder) / "network", Path(folder) / "mark"
        for name, content in (
            ("ada", lambda: write.ada(generator, mark)),
            ("tensorflow", lambda: write.tensorflow(generator, mark)),
            ("rosinality", lambda: write.rosinality(generator)),
        ):
            path.write_bytes(content())
            print(f"{name:12}{path.stat().st_size / 1e6:5.0f} MB", end="", flush=True)
            subprocess.run([sys.executable, "-c", OPEN, str(path)], check=True)


if __name__ == "__main__":
    main()
