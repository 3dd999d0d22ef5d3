"""The states of a driver's head transferred to another head, and seen from where the viewer likes.

Wang, Mallya and Liu (CVPR 2021), section 3.3: the source keeps its canonical keypoints; pose and expression follow the
driver, and either can be replaced.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import torch

from latentface.motion.one_euro import OneEuro
from latentface.networks.vid2vid.geometry import Head, transform
from latentface.options.clips import AnimateOptions

NECK = (0.0, 0.24, -0.24)  # where skull and spine meet, in canonical units: a turn leaves it in place
ANGLE_SPEED = 30.0  # degrees that count as much as half a picture when motion is smoothed


@dataclass(frozen=True, eq=False)
class FreeViewRetargeting:
    """The state of a driver's head -> that of the source's.

    relative: angles, deformation and translation change by as much as the driver's have since its reference, and the
    scale by the same factor; translations are multiplied by the ratio of the heads' scales when adapt_scale is on.
    absolute: they are those of the driver. Then `yaw`, `pitch` and `roll` replace the angles, or are added to them.
    """

    source: Head
    reference: Head
    options: AnimateOptions

    def __call__(self, driving: Head) -> Head:
        """The source's head for that of a driving frame."""
        source, start = self.source, self.reference
        if self.options.mode == "absolute":
            moved = replace(driving, canonical=source.canonical)
        else:
            ratio = source.scale / start.scale
            shift = driving.translation - start.translation
            moved = replace(
                source,
                angles=source.angles + driving.angles - start.angles,
                scale=driving.scale * ratio,
                translation=source.translation + (shift * ratio if self.options.adapt_scale else shift),
                deformation=source.deformation + driving.deformation - start.deformation,
            )
        return self._seen(moved)

    def _seen(self, head: Head) -> Head:
        """The head from the chosen view, turned about its neck."""
        options = self.options
        given = (options.yaw, options.pitch, options.roll)
        if given == (None, None, None):
            return head
        own = head.angles[0].tolist()
        added = options.view == "add"
        wanted = [old if new is None else new + old * added for old, new in zip(own, given, strict=True)]
        turned = replace(head, angles=head.angles.new_tensor([wanted]))
        if not head.rigid:
            return turned
        neck = head.angles.new_tensor([[NECK]])
        shift = transform(head.frame, neck) - transform(turned.frame, neck)
        return replace(turned, translation=head.translation + shift[:, 0] * head.angles.new_tensor([1.0, 1.0, 0.0]))


class HeadFilter:
    """States of a head smoothed by the one-euro filter of `strength`."""

    def __init__(self, strength: float) -> None:
        self.steady: OneEuro[torch.Tensor] = OneEuro(strength)

    def __call__(self, head: Head, time: Fraction) -> Head:
        """The filtered head of the frame at `time` in seconds; if time does not increase, the filter restarts."""
        parts = [head.angles / ANGLE_SPEED, head.scale, head.translation, head.deformation.flatten(1)]
        value = self.steady(torch.cat(parts, 1), time)
        angles, scale, translation, deformation = torch.split(value, [part.shape[1] for part in parts], 1)
        return replace(
            head, angles=angles * ANGLE_SPEED, scale=scale, translation=translation,
            deformation=deformation.view_as(head.deformation),
        )  # fmt: skip
