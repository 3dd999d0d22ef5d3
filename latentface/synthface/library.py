"""The head library: head model, wardrobe and baked shadowing in one ``heads.npz``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentface.arrays import Float32Array
from latentface.errors import InputError
from latentface.io.atomic import atomic_path
from latentface.synthface.head import HeadModel
from latentface.synthface.wardrobe import ATLAS_SIZE, Garment, Wardrobe

FORMAT = "latentface-heads-1"
# Mean linear colour that every skin is brought to before the scene's tint: a light, neutral skin.
REFERENCE_SKIN = np.array([0.45, 0.26, 0.18], np.float32)


@dataclass(frozen=True, eq=False)
class Library:
    """A head, its wardrobe, and the sky visibility of its vertices.

    ``visibility`` [V, 9]: spherical-harmonic sky visibility of every head vertex (see bake.visibility).
    """

    head: HeadModel
    wardrobe: Wardrobe
    visibility: Float32Array

    @property
    def sizes(self) -> dict[str, int]:
        """The number of skins and garments of each kind to choose from, for `scene.sample_scene`."""
        counts = {kind: len(self.wardrobe.of_kind(kind)) for kind in ("hair", "brow", "lash", "glasses", "beard")}
        return counts | {"skin": len(self.wardrobe.skins)}

    @property
    def skin_gain(self) -> Float32Array:
        """Linear gain [S, 3] that brings each skin's mean to REFERENCE_SKIN, so that tones come from the scene.

        A power below one keeps some of each skin's own tone.
        """
        linear = (self.wardrobe.skins[:, ::8, : ATLAS_SIZE[1] // 2 : 8].astype(np.float32) / 255) ** 2.2
        gain: Float32Array = (REFERENCE_SKIN / linear.mean((1, 2))) ** 0.75
        return gain

    @property
    def skull_radius(self) -> float:
        """Distance of the scalp from the skull's middle, centimetres: where hair is rooted."""
        return float(self.head.vertices[:, 1].max() - 4.5)

    def save(self, path: str | Path) -> None:
        """Write atomically; deltas and visibility in float16."""
        arrays: dict[str, Any] = {"format": np.asarray(FORMAT)}  # numpy types savez so that only Any fits
        for f in fields(HeadModel):
            arrays[f"head/{f.name}"] = np.asarray(getattr(self.head, f.name))
        for name in ("head/identity_deltas", "head/expression_deltas"):
            arrays[name] = arrays[name].astype(np.float16)
        for i, garment in enumerate(self.wardrobe.garments):
            for f in fields(Garment):
                arrays[f"garment/{i}/{f.name}"] = np.asarray(getattr(garment, f.name))
        arrays |= {
            "skins": self.wardrobe.skins,
            "skin_names": np.asarray(self.wardrobe.skin_names),
            "masks": self.wardrobe.masks,
            "visibility": self.visibility.astype(np.float16),
        }
        with atomic_path(path) as partial, open(partial, "wb") as stream:
            np.savez(stream, **arrays)


def load_library(path: str | Path) -> Library:
    """Read a library made by ``python -m latentface.synthface.build``.

    Raises:
        InputError: no such file, or not a head library of this format.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no head library there; make one with `python -m latentface.synthface.build`")
    with np.load(path, allow_pickle=False) as arrays:
        if "format" not in arrays.files or str(arrays["format"]) != FORMAT:
            raise InputError(f"{path} is not a head library ({FORMAT}); rebuild it with latentface.synthface.build")
        count = 1 + max((int(n.split("/")[1]) for n in arrays.files if n.startswith("garment/")), default=-1)
        head = {f.name: _plain(arrays[f"head/{f.name}"]) for f in fields(HeadModel)}
        garments = tuple(
            Garment(**{f.name: _plain(arrays[f"garment/{i}/{f.name}"]) for f in fields(Garment)}) for i in range(count)
        )
        wardrobe = Wardrobe(garments, arrays["skins"], tuple(map(str, arrays["skin_names"])), arrays["masks"])
        return Library(HeadModel(**head), wardrobe, arrays["visibility"].astype(np.float32))


def _plain(array: NDArray[np.generic]) -> Any:  # whatever the field of that name holds
    """Strings back to str or tuple, half precision back to float32."""
    if array.dtype.kind == "U":
        return tuple(map(str, array)) if array.ndim else str(array)
    return array.astype(np.float32) if array.dtype == np.float16 else array
