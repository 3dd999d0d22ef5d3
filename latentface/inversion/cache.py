"""Latents of faces that were projected before: the same pixels, network and options find them again."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from latentface.arrays import Pixels
from latentface.errors import LatentfaceError
from latentface.latents.latent import Latent
from latentface.options import ProjectOptions

#: Kept at most, in bytes; the latents that were used longest ago go first.
MOST_BYTES = 500_000_000


class ProjectionCache:
    """A folder of latents by what they were made of. A damaged or foreign file counts as absent.

    Writing never fails a run: a folder that takes no files keeps nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def key(crop: Pixels, fingerprint: str, options: ProjectOptions) -> str:
        """SHA-256 of an aligned crop's pixels, the network and every option."""
        digest = hashlib.sha256(f"{fingerprint} {crop.shape} {json.dumps(asdict(options), sort_keys=True)}".encode())
        digest.update(crop.tobytes())
        return digest.hexdigest()

    def get(self, key: str, fingerprint: str) -> Latent | None:
        """The latent of that key, marked as used now, or None."""
        path = self._path(key)
        with suppress(LatentfaceError, OSError):
            latent = Latent.load(path)
            os.utime(path)
            if latent.fingerprint == fingerprint:
                return latent
        return None

    def put(self, key: str, latent: Latent) -> None:
        """Keep a latent, and let go of the oldest when there are too many."""
        with suppress(LatentfaceError, OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            latent.save(self._path(key))
            self._prune()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.latent.safetensors"

    def _prune(self) -> None:
        files = sorted(((path.stat(), path) for path in self.folder.glob("*.latent.safetensors")), key=_last_use)
        total = sum(stat.st_size for stat, _ in files)
        for stat, path in files:
            if total <= MOST_BYTES:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _last_use(entry: tuple[os.stat_result, Path]) -> float:
    return entry[0].st_mtime
