"""Time of compositing a face into photos of 1 to 24 megapixels: `python benchmarks/compositor.py [--threads 2]`.

The photo is a smooth colour field with grain; its face spans a given share of the height, the crop has 128 to 1024
pixels. Prints the best of three runs in seconds for each blend, with and without a reference, everything included but
reading and writing files. `--peak` adds the memory that was taken at most.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np

from latentface.arrays import Pixels
from latentface.compositing.compositor import composite
from latentface.faces.alignment import crop_face
from latentface.faces.crop import FaceCrop
from latentface.options.photos import CompositeOptions

#: A frontal face in inter-ocular distances about the point between the eyes.
JAW = [(-1.1 * np.cos(t), 0.2 + 1.5 * np.sin(t)) for t in np.linspace(0, np.pi, 17)]
BROWS = [(x, -0.35 - 0.1 * (1 - abs(x))) for x in (-0.8, -0.65, -0.5, -0.35, -0.2, 0.2, 0.35, 0.5, 0.65, 0.8)]
NOSE = [(0, 0.2 * k) for k in range(4)] + [(0.1 * k, 0.7) for k in range(-2, 3)]
TURN = np.linspace(np.pi, 3 * np.pi, 7)[:6]
EYES = [(side * 0.5 + 0.18 * np.cos(t), 0.07 * np.sin(t)) for side in (-1, 1) for t in TURN]
LIPS = [(0.4 * np.cos(t), 1.1 + 0.15 * np.sin(t)) for t in np.linspace(np.pi, 3 * np.pi, 13)[:12]]
MOUTH = [(0.3 * np.cos(t), 1.1 + 0.05 * np.sin(t)) for t in np.linspace(np.pi, 3 * np.pi, 9)[:8]]
FACE = np.array([*JAW, *BROWS, *NOSE, *EYES, *LIPS, *MOUTH])


def make(width: int, height: int, share: float, side: int) -> tuple[Pixels, FaceCrop]:
    """A photo and a crop of `side` pixels of a face whose outline is `share` of the photo's height tall."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    waves = [110 + 60 * np.sin((x + c * y) / (0.1 * height)) for c in (0.2, 0.5, 0.9)]
    grain = np.random.default_rng(0).integers(-4, 5, (height, width, 1))
    photo = np.clip(np.stack(waves, axis=-1) + grain, 0, 255).astype(np.uint8)
    unit = share * height / 2.1
    return photo, crop_face(photo, FACE * unit + (width / 2, height / 2 - 0.6 * unit), side)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the compositor.")
    parser.add_argument("--peak", action="store_true", help="measure memory instead of time")
    given = parser.parse_args()
    print(f"{'photo':>12}{'face':>7}{'crop':>7}{'blend':>12}{'reference':>11}{'MiB' if given.peak else 'seconds':>10}")
    for width, height in ((1200, 800), (6000, 4000)):
        for share, side in ((0.25, 128), (0.5, 256), (0.5, 1024)):
            photo, crop = make(width, height, share, side)
            edited = 255 - crop.image
            for blend in ("alpha", "multiband", "poisson"):
                for reference in (None, crop.image):
                    options = CompositeOptions(blend=blend)
                    run = partial(composite, photo, crop, edited, options, reference=reference)
                    value = peak(run) if given.peak else min(seconds(run) for _ in range(3))
                    known = "no" if reference is None else "yes"
                    print(f"{width:>7}x{height}{share:>7}{side:>7}{blend:>12}{known:>11}{value:>10.2f}", flush=True)


def seconds(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def peak(run: Callable[[], object]) -> float:
    """MiB that numpy took at most beyond what was there."""
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


if __name__ == "__main__":
    main()
