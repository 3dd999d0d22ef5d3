"""The networks that come with the package: a table, importable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentface.errors import WeightsError

WEIGHTS_DIR = Path(__file__).parent / "weights"
CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Entry:
    """One built-in network.

    Attributes:
        name: what the user calls it. kind: "generator", "landmarks" or "perceptual".
        file: name in `WEIGHTS_DIR`; the model card beside it has the suffix .md.
        licence: SPDX identifier. summary: one line for the list.
    """

    name: str
    kind: str
    file: str
    licence: str
    summary: str

    @property
    def path(self) -> Path:
        return WEIGHTS_DIR / self.file

    @property
    def card(self) -> Path:
        return self.path.with_suffix(".md")

    @property
    def sha256(self) -> str:
        """SHA-256 of the file in hex, as `sha256sum` wrote it to SHA256SUMS; WeightsError when it is not listed."""
        try:
            lines = (WEIGHTS_DIR / CHECKSUMS).read_text(encoding="ascii").splitlines()
        except OSError as error:
            raise WeightsError(
                f"cannot read {WEIGHTS_DIR / CHECKSUMS}: {error.strerror}; reinstall latentface"
            ) from error
        for line in lines:
            digest, _, file = line.partition(" ")
            if file.strip().lstrip("*") == self.file:
                return digest
        raise WeightsError(f"{WEIGHTS_DIR / CHECKSUMS} does not list {self.file}: reinstall latentface")


BUILTIN: tuple[Entry, ...] = (
    Entry(
        name="synthface-128",
        kind="generator",
        file="synthface-128.safetensors",
        licence="MIT",
        summary="StyleGAN2 faces at 128 px, trained on rendered heads",
    ),
    Entry(
        name="landmarks",
        kind="landmarks",
        file="landmarks.safetensors",
        licence="MIT",
        summary="68 face landmarks, trained on rendered heads",
    ),
    Entry(
        name="perceptual",
        kind="perceptual",
        file="perceptual.safetensors",
        licence="MIT",
        summary="perceptual distance for projection",
    ),
)
