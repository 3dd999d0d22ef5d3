"""Speed of the renderer: `python benchmarks/synthface.py --heads heads.npz`.

Prints pictures a second in one process (rendering alone) and with two worker processes (whole dataset run, start-up
and writing included), at 128 px, and in how many renders dlib's frontal detector finds a face.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from generator import has_face


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the renderer.")
    parser.add_argument("--heads", type=Path, required=True, help="library made by latentface.synthface.build")
    parser.add_argument("--count", type=int, default=2000, help="pictures of the two-process run")
    given = parser.parse_args()
    for name in ("LP_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    from latentface.synthface.dataset import render_dataset
    from latentface.synthface.library import load_library
    from latentface.synthface.renderer import Renderer

    renderer = Renderer(load_library(given.heads), size=128)
    renderer.sample(0)
    start = time.perf_counter()
    drawn = [renderer.sample(900_000 + seed) for seed in range(200)]
    print(f"one process:   {200 / (time.perf_counter() - start):6.1f} pictures a second")
    print(f"faces found:   {sum(has_face(picture.image) for picture in drawn)} of 200")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        render_dataset(given.heads, Path(folder), given.count, workers=2)
        print(f"two processes: {given.count / (time.perf_counter() - start):6.1f} pictures a second")


if __name__ == "__main__":
    main()
