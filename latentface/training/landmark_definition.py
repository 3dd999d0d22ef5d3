"""Moves landmark labels from the vertices of the head model to where a human annotator would put them.

Annotators mark what they see. The landmarks of the head model are vertices of the untextured mesh: those of the brows
lie above the rendered brow, those of the outer lip line outside the red of the lips, and those of lids and lips at
other distances along the contour than in the 68-point mark-up, where lid points stand a third of the eye apart and the
lips' under and beside the peaks of Cupid's bow. The distances are measured on renders. The choice of rules, in
particular of the one for the tips of the brows, is based on dlib's points on fifteen portraits.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

BROWS = tuple(range(17, 27))
# Share of the way from the inner lip line to the mesh's outer one at which the drawn red ends: the steepest fall of
# R + B - 2 G along that way, median over 727 frontal renders.
UPPER_LIP, LOWER_LIP = 0.55, 0.9
# A brow's points lie on its upper edge, save the ends: the outer one on its darkest line, the inner one half-way.
_TIPS = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.5])
_EDGE_REACH = (-0.1, 0.2)  # search range of the upper edge below the label, inter-ocular distances
_DARK_REACH = (-0.1, 0.25)  # likewise of the darkest line; beyond it are the lids
_STEP = 0.005
_FRONTAL = 0.08  # tip of the nose from the middle between the eyes, in inter-ocular distances
_ENOUGH = 20


def redefine(images: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Labels [N, 68, 2] (pixels) of renders uint8 [N, 3, H, H] where an annotator would put them."""
    return space_lips(space_lids(move_brows(points, measure_brow_drop(images, points))))


def eye_axes(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Eye line of points [N, 68, 2]: unit vectors [N, 2] along it and at a right angle (down), and its length [N]."""
    across = points[:, 42:48].mean(1) - points[:, 36:42].mean(1)
    length = across.norm(dim=1).clamp(min=1e-6)
    right = across / length[:, None]
    return right, torch.stack([-right[:, 1], right[:, 0]], dim=1), length


def measure_brow_drop(images: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """How far below each brow label the drawn brow lies: [10] for points 17-26, in inter-ocular distances.

    images: uint8 [N, 3, H, H]; points: [N, 68, 2] in pixels. The upper edge is the steepest fall of brightness on the
    way down from the label; each place is the median over the frontal pictures, and both sides of the face share
    one value. Zero where fewer than 20 pictures are frontal.
    """
    right, down, length = eye_axes(points)
    middle = (points[:, 36:42].mean(1) + points[:, 42:48].mean(1)) / 2
    nose = ((points[:, 30] - middle) * right).sum(1) / length
    frontal = (nose.abs() < _FRONTAL).nonzero()[:2000, 0]
    if len(frontal) < _ENOUGH:
        return torch.zeros(len(BROWS))
    side = images.shape[-1]
    along = torch.arange(_DARK_REACH[0], _DARK_REACH[1], _STEP)
    way = (down * length[:, None])[frontal]
    place = points[frontal][:, list(BROWS)][:, :, None] + along[:, None] * way[:, None, None]  # [n, 10, steps, 2]
    grey = images[frontal].float().mean(1, keepdim=True)
    profile = F.grid_sample(grey, (place + 0.5) / side * 2 - 1, padding_mode="border", align_corners=False)[:, 0]
    darkest = along[profile.argmin(2)].median(0).values
    fall = profile[..., 6:] - profile[..., :-6]  # over 3 % of the inter-ocular distance, about a pixel
    centre = along[3:-3]
    edge = centre[fall[..., centre < _EDGE_REACH[1]].argmin(2)].median(0).values
    drop = edge + torch.cat([_TIPS, _TIPS.flip(0)]) * (darkest - edge)
    return (drop + drop.flip(0)) / 2


def move_brows(points: torch.Tensor, drop: torch.Tensor) -> torch.Tensor:
    """The points [N, 68, 2] with the brow labels moved down by drop [10], in inter-ocular distances."""
    _, down, length = eye_axes(points)
    moved = points.clone()
    moved[:, list(BROWS)] += drop[:, None] * (down * length[:, None])[:, None]
    return moved


def space_lids(points: torch.Tensor) -> torch.Tensor:
    """The points [N, 68, 2] with the lid points a third and two thirds of the way between the corners of the eye."""
    moved = points.clone()
    third = torch.full(points.shape[:1], 1 / 3)
    for outer, lids in ((36, ((37, 38), (41, 40))), (45, ((44, 43), (46, 47)))):
        inner = 39 if outer == 36 else 42
        for near, far in lids:
            contour = points[:, [outer, near, far, inner]]
            moved[:, near] = on_contour(contour, third)
            moved[:, far] = on_contour(contour, 2 * third)
    return moved


def space_lips(points: torch.Tensor) -> torch.Tensor:
    """The points [N, 68, 2] with the outer lip points on the edge of the red, all of them spaced as annotators do.

    Points 50 and 52 stay at the peaks of Cupid's bow; 61, 67, 58 and 63, 65, 56 stand below them, the outer line's
    other points half-way between their neighbours.
    """
    moved = points.clone()
    bow = shares(points[:, [48, 50, 51, 52, 54]])  # along the line between the corners
    left, middle, right = bow[:, 1], bow[:, 2], bow[:, 3]
    around = (left / 2, left, middle, right, (right + 1) / 2)
    halves = (
        ((48, 60, 61, 62, 63, 64, 54), (48, 49, 50, 51, 52, 53, 54), UPPER_LIP),
        ((48, 60, 67, 66, 65, 64, 54), (48, 59, 58, 57, 56, 55, 54), LOWER_LIP),
    )
    for inner, outer, share in halves:
        inside, outside = points[:, list(inner)], points[:, list(outer)]
        for index, at in zip(outer[1:-1], around, strict=True):
            moved[:, index] = torch.lerp(on_contour(inside, at), on_contour(outside, at), share)
        for index, at in ((inner[2], left), (inner[4], right)):
            moved[:, index] = on_contour(inside, at)
    return moved


def shares(contour: torch.Tensor) -> torch.Tensor:
    """How far along the line from its first to its last point each point of contour [N, K, 2] stands: [N, K]."""
    chord = contour[:, -1:] - contour[:, :1]
    return ((contour - contour[:, :1]) * chord).sum(2) / chord.square().sum(2).clamp(min=1e-6)


def on_contour(contour: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """The point [N, 2] of the polyline contour [N, K, 2] that stands at share [N] of the line between its ends."""
    along = shares(contour).cummax(1).values.contiguous()  # a turned mouth may fold back in the picture
    after = torch.searchsorted(along, share[:, None].contiguous()).clamp(1, contour.shape[1] - 1)  # [N, 1]
    low, high = along.gather(1, after - 1), along.gather(1, after)
    part = ((share[:, None] - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)
    rows = torch.arange(len(contour))
    return torch.lerp(contour[rows, after[:, 0] - 1], contour[rows, after[:, 0]], part)
