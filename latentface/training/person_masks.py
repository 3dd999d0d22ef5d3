"""Tell people from backgrounds in pictures: `python -m latentface.training.person_masks PICTURES OUT.npz`.

PICTURES holds aligned faces: photographs (`faces.jsonl` and `crops`) or shards (`shard-*.npz`). OUT.npz gets name [n]
(a shard's seed) and share, uint8 [n, S, S]: how much of each pixel belongs to a person, 255 for all of it, the mean of
what MediaPipe's selfie segmentation sees in the picture and in its mirror image. Needs the package mediapipe (0.10),
which serves only as a teacher and is used nowhere else in the project.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latentface.errors import UsageError
from latentface.training.face_mesh import pictures

Segmenter = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def person_segmenter() -> Segmenter:
    """A function from a picture uint8 RGB [S, S, 3] to the shares of its pixels that belong to a person, [S, S].

    Raises:
        UsageError: mediapipe is not installed.
    """
    try:
        import mediapipe
    except ImportError:
        raise UsageError("person masks need mediapipe: pip install 'mediapipe>=0.10.14,<0.11'") from None
    network = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
    return lambda picture: np.asarray(network.process(picture).segmentation_mask, np.float32)


def write_masks(folder: Path, out: Path, segment: Segmenter) -> int:
    """Segment all pictures of a folder and write what the module says; returns how many there are."""
    names, shares = [], []
    for name, picture in pictures(folder):
        mirrored = segment(np.ascontiguousarray(picture[:, ::-1]))[:, ::-1]
        names.append(name)
        shares.append(np.rint((segment(picture) + mirrored) * 127.5).astype(np.uint8))
    np.savez_compressed(out, name=names, share=np.stack(shares))
    return len(names)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m latentface.training.person_masks", description=__doc__)
    parser.add_argument("pictures", type=Path, help="folder of aligned faces")
    parser.add_argument("out", type=Path, help=".npz to write")
    given = parser.parse_args(arguments)
    print(f"{write_masks(given.pictures, given.out, person_segmenter())} pictures")


if __name__ == "__main__":
    main()
