"""What is measured in results, and what they say of their origin."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.options.fields import check, option


@dataclass(frozen=True)
class EvaluateOptions:
    """What `latentface.evaluate` measures, and by which networks.

    Raises:
        UsageError: a value lies outside the bounds its field states.
    """

    measures: str = option("all", "Measures to take, separated by commas.")
    region: str = option(
        "all",
        "Where pictures are compared: everywhere, or in the face, at the mouth or outside the face of the reference.",
        choices=("all", "face", "mouth", "outside"),
    )
    sets: bool = option(False, "Compare two folders as sets, even if their files have the same names.")
    perceptual: str = option(
        "perceptual", "Perceptual distance: perceptual (built in), or vgg16, alexnet or squeezenet1_1 for LPIPS."
    )
    features: str = option(
        "perceptual",
        "Network whose features sets are compared by: names as for the distance, or a TorchScript file, such as the "
        "Inception of published FIDs, whose program is run.",
    )
    crop: bool = option(False, "Compare sets by the largest face of each picture.")
    samples: int = option(1000, "Number of pictures that a generator makes.", minimum=2, maximum=1_000_000)
    psi: float = option(1.0, "Truncation of a generator's samples.", minimum=-2, maximum=2)
    seed: int = option(0, "Seed of the samples and of the intervals.", minimum=0, maximum=2**62)

    def __post_init__(self) -> None:
        check(self)

    @property
    def chosen(self) -> tuple[str, ...] | None:
        """Names of the measures, or None for all."""
        return None if self.measures == "all" else tuple(name.strip() for name in self.measures.split(","))


@dataclass(frozen=True, kw_only=True)
class ProvenanceOptions:
    """What results say of their origin beside their metadata, see `latentface.provenance`."""

    mark: bool = option(True, "Put an invisible mark into the faces that a network changed or generated.")
    sign: bool = option(True, "Sign JPEG, PNG, WebP and MP4 files, if c2pa-python is installed (latentface[c2pa]).")
