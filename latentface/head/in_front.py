"""What is in front of a face in a photo: spectacles, which go with the head, and other things, which stay."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.arrays import Pixels
from latentface.head.eye_contour import Eye
from latentface.head.field import Scene
from latentface.head.occluders import Occluders, find_occluders
from latentface.head.spectacles import Spectacles, find_spectacles
from latentface.networks.matte import MatteNet
from latentface.networks.occluders import OccluderNet
from latentface.networks.spectacles import SpectaclesNet


@dataclass(frozen=True, eq=False)
class Finders:
    """The networks that find it; matte tells people from what stands behind them, which otherwise moves along."""

    spectacles: SpectaclesNet
    occluders: OccluderNet
    matte: MatteNet | None = None


@dataclass(frozen=True)
class InFront:
    """What was found: None for each where there is none."""

    spectacles: Spectacles | None = None
    occluders: Occluders | None = None


def find_in_front(
    photo: Pixels,
    scene: Scene,
    eyes: tuple[Eye, Eye],
    finders: Finders,
    worn: bool | None = None,
    before: Spectacles | None = None,
) -> InFront:
    """What is in front of the face of a scene.

    worn: whether it wears spectacles, if that is known. before: those of the frame before, if it is one of a film.
    """
    landmarks = scene.before[scene.model.landmarks, :2].astype(float)
    spectacles = None
    if worn is not False:
        glimpse = None if before is None else before.glimpse
        spectacles = find_spectacles(photo, scene, eyes, finders.spectacles, worn is True, glimpse)
    return InFront(spectacles, find_occluders(photo, landmarks, finders.occluders))
