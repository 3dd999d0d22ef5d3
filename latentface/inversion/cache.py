"""A cache of projections, keyed by crop, networks, options and starting points."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from latentface.errors import LatentfaceError
from latentface.faces.crop import FaceCrop
from latentface.inversion.fine_tuning import TunedDeltas
from latentface.latents.latent import Latent
from latentface.options.projection import ProjectOptions

#: Incremented whenever a projection of the same crop, networks and options gives a different result.
FORMAT = 2
#: Maximum size in bytes; the least recently used files are deleted first.
MOST_BYTES = 500_000_000


class ProjectionCache:
    """A folder of latents and their pivotal tuning, by the inputs they were computed from.

    A damaged or foreign file counts as absent. If the folder cannot be written, nothing is cached, and the run goes on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(crop: FaceCrop, fingerprint: str, options: ProjectOptions, content: Mapping[str, str]) -> str:
        """SHA-256 of everything that a projection depends on.

        Args:
            crop: its pixels, and its landmarks, since eyes and mouth have more weight.
            fingerprint: of the generator.
            options: all of them, except those that `content` replaces.
            content: digests by name: an option that names a file counts by its content and not by its path. Further
                names, such as that of the perceptual network, are allowed.
        """
        settings = {**asdict(options), **content}
        digest = hashlib.sha256(f"{FORMAT} {fingerprint} {json.dumps(settings, sort_keys=True)}".encode())
        for values in (crop.image, crop.crop_landmarks):
            digest.update(f"{values.shape} {values.dtype}".encode())
            digest.update(values.tobytes())
        return digest.hexdigest()

    def get(self, key: str, fingerprint: str) -> Latent | None:
        """The latent with this key, marked as used now, or None."""
        with suppress(LatentfaceError, OSError):
            latent = Latent.load(self._path(key))
            os.utime(self._path(key))
            if latent.fingerprint == fingerprint:
                return latent
        return None

    def get_tuned(self, key: str, fingerprint: str) -> TunedDeltas | None:
        """The pivotal tuning of the latent with this key, marked as used now, or None."""
        with suppress(LatentfaceError, OSError):
            tuned = TunedDeltas.load(self._path(key, "tuned"))
            os.utime(self._path(key, "tuned"))
            if tuned.fingerprint == fingerprint:
                return tuned
        return None

    def put(self, key: str, latent: Latent, tuned: TunedDeltas | None = None) -> None:
        """Store a latent and its tuning, and delete the least recently used ones if there are too many."""
        with suppress(LatentfaceError, OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            if tuned is not None:
                tuned.save(self._path(key, "tuned"))
            latent.save(self._path(key))
            self._prune()

    def _path(self, key: str, kind: str = "latent") -> Path:
        return self.folder / f"{key}.{kind}.safetensors"

    def _prune(self) -> None:
        files = sorted(((path.stat(), path) for path in self.folder.glob("*.safetensors")), key=_last_use)
        total = sum(stat.st_size for stat, _ in files)
        for stat, path in files:
            if total <= MOST_BYTES:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _last_use(entry: tuple[os.stat_result, Path]) -> float:
    return entry[0].st_mtime
