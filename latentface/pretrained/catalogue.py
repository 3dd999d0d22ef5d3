"""The built-in networks, a table that is importable without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentface.errors import WeightsError

WEIGHTS_DIR = Path(__file__).parent / "weights"
CHECKSUMS = "SHA256SUMS"
DEFAULT_GENERATOR = "face-256"


@dataclass(frozen=True)
class Entry:
    """One built-in network.

    Attributes:
        name: its name for the user. kind: "generator", "encoder", "landmarks", "perceptual", "emotion",
            "identity", "directions", "expressions", "preconditioner", "motion", "vid2vid", "mark", "matte", "mouth",
            "completion", "occluders", "rhythm", "spectacles", "head" or "head-reader".
        summary: one line for the list.
        licence: SPDX identifier.
    """

    name: str
    kind: str
    summary: str
    licence: str = "MIT"

    @property
    def file(self) -> str:
        """Name of the file in `WEIGHTS_DIR`; the model card beside it has the suffix .md."""
        return f"{self.name}.safetensors"

    @property
    def path(self) -> Path:
        """The file, in the package's folder of weights."""
        return WEIGHTS_DIR / self.file

    @property
    def card(self) -> Path:
        """The model card beside the file."""
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
    Entry("face-256", "generator", "StyleGAN2 faces at 256 px, trained on photographs"),
    Entry("face-256-encoder", "encoder", "from a face crop to a latent of face-256"),
    Entry("face-256-directions", "directions", "directions of face-256: emotions, smile, gaze, pose"),
    Entry("face-256-expressions", "expressions", "the part that expressions move in the latents of face-256"),
    Entry("face-256-preconditioner", "preconditioner", "coordinates for projections into face-256 in few steps"),
    Entry("synthface-256", "generator", "StyleGAN2 faces at 256 px, grown from synthface-128"),
    Entry("synthface-128", "generator", "StyleGAN2 faces at 128 px, trained on rendered heads"),
    Entry("head", "head", "morphable head of ICT-FaceKit, fitted to photos"),
    Entry("head-reader", "head-reader", "expression and gaze from the pixels of a face, trained on rendered heads"),
    Entry("emotion", "emotion", "seven emotions, trained on photographs"),
    Entry("identity", "identity", "identity embedding, trained on photographs"),
    Entry("synthface-128-encoder", "encoder", "from a face crop to a latent of synthface-128"),
    Entry("synthface-128-directions", "directions", "directions of synthface-128: emotions, smile, gaze, pose"),
    Entry("synthface-128-expressions", "expressions", "the part that expressions move in the latents of synthface-128"),
    Entry("synthface-128-preconditioner", "preconditioner", "coordinates for projections into it in few steps"),
    Entry("face-motion", "motion", "First Order Motion Model at 128 px, trained on photographs and rendered clips"),
    Entry("vid2vid", "vid2vid", "free-view talking head at 128 px, trained on rigged portraits"),
    Entry("landmarks", "landmarks", "68 face landmarks, trained on photographs and rendered heads"),
    Entry("mark", "mark", "an invisible mark of 48 bits in faces: puts it in and reads it"),
    Entry("mouth", "mouth", "paints open mouths in photos: teeth and the inside of the mouth"),
    Entry("completion", "completion", "completes faces: paints holes, fits pasted regions to their surroundings"),
    Entry("perceptual", "perceptual", "perceptual distance for projection"),
    Entry("matte", "matte", "tells people from what stands behind them, trained on photographs"),
    Entry("rhythm", "rhythm", "predicts emotions, trained on generated stories"),
    Entry("occluders", "occluders", "finds hands, microphones and other things in front of faces"),
    Entry("spectacles", "spectacles", "finds spectacles in photos: their frames and their glass"),
)
