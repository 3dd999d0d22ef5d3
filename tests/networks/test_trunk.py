"""What the networks that look at faces share: the part of a crop they see, and sizes that are possible."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from latentface.errors import UsageError
from latentface.networks.landmarks import LandmarkConfig
from latentface.networks.trunk import FaceEncoder, FaceTrunk, TrunkConfig, framed_part

SMALL = TrunkConfig(input_size=32, widths=(8, 8, 16, 16), summary=4, features=12)


def crops(count: int = 3, side: int = 60, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_it_looks_at_the_lower_middle_two_thirds() -> None:
    trunk = FaceTrunk(SMALL)
    crop = crops(1, 48)
    framed = trunk.frame(crop)
    assert torch.equal(framed, crop[:, :, 16:, 8:40])
    assert (SMALL.frame_scale, SMALL.frame_shift) == (pytest.approx(32 / 48), pytest.approx((16 + 16 - 24) / 48))


def test_a_frame_that_leaves_the_crop_is_filled_by_reflection() -> None:
    frame = LandmarkConfig(input_size=96)  # 0.84 of the crop's side, centre 0.14 below the middle
    crop = crops(1, 114)
    framed = framed_part(crop, frame)
    assert framed.shape == (1, 3, 96, 96)
    assert torch.equal(framed[:, :, :89], crop[:, :, 25:, 9:105])
    assert torch.equal(framed[:, :, 89:], crop[:, :, 106:113, 9:105].flip(2))


@pytest.mark.parametrize(
    "bad", [{"input_size": 40}, {"input_size": 16}, {"widths": (8, 8, 8)}, {"widths": (8, 8, 8, 12)}, {"features": 0}]
)
def test_impossible_shapes_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        TrunkConfig(**bad)


@pytest.mark.parametrize("shape", [(3, 60, 60), (1, 1, 60, 60), (1, 3, 60, 50), (1, 3, 15, 15)])
def test_other_shapes_are_not_framed(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"expected \[N, 3, R, R\]"):
        framed_part(torch.zeros(shape), SMALL)


def test_the_encoder_halves_four_times() -> None:
    encoder = FaceEncoder((8, 8, 16, 24), blocks=2)
    assert [tuple(x.shape) for x in encoder.encode(crops(2, 64))] == [(2, 8, 16, 16), (2, 16, 8, 8), (2, 24, 4, 4)]
    assert len(encoder.down4) == 2


def test_features_are_a_linear_map_of_the_summary() -> None:
    trunk, framed = FaceTrunk(SMALL).eval(), crops(2, 32)
    summary = trunk.summarise(framed)
    assert summary.shape == (2, 4 * 2 * 2) and bool((summary >= 0).all())
    torch.testing.assert_close(trunk(framed), summary @ trunk.out.weight.T + trunk.out.bias)


def test_a_pictures_contrast_matters_little() -> None:
    """Group normalisation keeps it out: only rounding and the epsilon tell a dim picture from a bright one."""
    encoder = FaceEncoder((8, 8, 16, 24))
    bright, dim = (encoder.encode(crops(1, 64) * scale)[-1] for scale in (1.0, 0.25))
    assert float((bright - dim).detach().abs().max()) < 0.1 * float(bright.detach().abs().max())
