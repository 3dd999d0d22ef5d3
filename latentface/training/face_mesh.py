"""Read MediaPipe's face mesh in pictures: `python -m latentface.training.face_mesh PICTURES OUT.npz`.

PICTURES holds aligned faces: photographs (`faces.jsonl` and `crops`) or shards (`shard-*.npz`). OUT.npz gets name [n]
(a shard's seed), plain and mirrored, float32 [n, 478, 2]: the vertices as read in each picture, and as read in its
mirror image, in pixels of the picture (NaN if no face is found). Needs the package mediapipe (0.10), which
serves only as a teacher and is used nowhere else in the project.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from latentface.errors import InputError, UsageError

VERTICES = 478
MARGIN = 4  # a quarter of the side is added all around: the detector expects faces that do not fill the picture

Reader = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def mesh_reader() -> Reader:
    """A function from a picture uint8 RGB [S, S, 3] to vertices [478, 2] in its pixels.

    Raises:
        UsageError: mediapipe is not installed.
    """
    try:
        import mediapipe
    except ImportError:
        raise UsageError("the face mesh needs mediapipe: pip install 'mediapipe>=0.10.14,<0.11'") from None
    network = mediapipe.solutions.face_mesh.FaceMesh(
        static_image_mode=True, refine_landmarks=True, max_num_faces=1, min_detection_confidence=0.3
    )

    def read(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        margin = len(picture) // MARGIN
        wide = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        faces = network.process(wide).multi_face_landmarks
        if not faces:
            return np.full((VERTICES, 2), np.nan, np.float32)
        places = np.array([(point.x, point.y) for point in faces[0].landmark], np.float32)
        return np.asarray(places * wide.shape[0] - margin - 0.5, np.float32)

    return read


def read_both(read: Reader, picture: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vertices [478, 2] of a picture, and of its mirror image taken back to the picture."""
    other = read(np.ascontiguousarray(picture[:, ::-1])).copy()
    other[:, 0] = picture.shape[1] - 1 - other[:, 0]
    return read(picture), other


def pictures(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Names and pictures uint8 [S, S, 3] of a folder of photographs or shards.

    Raises:
        InputError: it is neither.
    """
    if (folder / "faces.jsonl").is_file():
        for line in (folder / "faces.jsonl").read_text().splitlines():
            name = json.loads(line)["name"]
            with Image.open(folder / "crops" / name) as image:
                yield name, np.asarray(image.convert("RGB"))
        return
    paths = sorted(folder.glob("shard-*.npz"))
    if not paths:
        raise InputError(f"{folder} has neither faces.jsonl nor shard-*.npz: expected aligned faces")
    for path in paths:
        with np.load(path, allow_pickle=False) as shard:
            yield from zip(map(str, shard["seed"]), shard["images"], strict=True)


def write_mesh(folder: Path, out: Path, read: Reader) -> int:
    """Read all pictures of a folder and write what the module says; returns how many there are."""
    rows = [(name, *read_both(read, picture)) for name, picture in pictures(folder)]
    names, plain, mirrored = zip(*rows, strict=True)
    np.savez(out, name=names, plain=np.stack(plain), mirrored=np.stack(mirrored))
    return len(rows)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m latentface.training.face_mesh", description=__doc__)
    parser.add_argument("pictures", type=Path, help="folder of aligned faces")
    parser.add_argument("out", type=Path, help=".npz to write")
    given = parser.parse_args(arguments)
    print(f"{write_mesh(given.pictures, given.out, mesh_reader())} pictures")


if __name__ == "__main__":
    main()
