"""The mouth network: shapes, what it looks at, and that it answers for each canvas alone."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.mouth import PLANES, STYLES, MouthConfig, MouthNet, Plane

SMALL = MouthConfig(height=32, width=48, scale=32.0, top=-3.0, widths=(8, 8, 8, 8), detail=4)


def make(seed: int = 0) -> MouthNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return MouthNet(SMALL).eval()


def planes(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, PLANES, 32, 48, generator=torch.Generator().manual_seed(seed))


def test_it_paints_the_whole_canvas():
    with torch.no_grad():
        painted = make()(planes(2), torch.zeros(2, STYLES))
    assert painted.shape == (2, 3, 32, 48) and painted.dtype == torch.float32
    assert painted.isfinite().all() and painted.std() > 0


@pytest.mark.parametrize("plane", [0, Plane.OPENING, Plane.UPPER_TEETH, Plane.LOWER_TEETH, Plane.SEPARATORS])
def test_every_plane_counts(plane):
    network, one = make(), planes(1)
    other = one.clone()
    other[:, plane] = 1 - other[:, plane]
    with torch.no_grad():
        change = network(other, torch.zeros(1, STYLES)) - network(one, torch.zeros(1, STYLES))
    assert change.abs().max() > 1e-4


@pytest.mark.parametrize("style", range(STYLES))
def test_every_style_counts(style):
    network, told = make(), torch.zeros(1, STYLES)
    told[0, style] = 1
    with torch.no_grad():
        change = network(planes(1), told) - network(planes(1), torch.zeros(1, STYLES))
    assert change.abs().max() > 1e-4


def test_canvases_of_a_batch_do_not_touch_each_other():
    network, style = make(), torch.randn(3, STYLES, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(planes(3), style)[1:2], network(planes(3)[1:2], style[1:2]))


@pytest.mark.parametrize("shape", [(PLANES, 32, 48), (1, 3, 32, 48), (1, PLANES, 48, 32)])
def test_wrong_planes_are_named(shape):
    with pytest.raises(UsageError, match=r"expected planes \[N, 7, 32, 48\]"):
        make()(torch.zeros(shape), torch.zeros(1, STYLES))


def test_a_style_for_each_canvas():
    with pytest.raises(UsageError, match=r"expected styles \[2, 3\], got \[1, 3\]"):
        make()(planes(2), torch.zeros(1, STYLES))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"height": 40}, "multiples of 16"), ({"widths": (8, 8)}, "widths"), ({"scale": 0.0}, "scale")],
)
def test_shapes_that_make_no_sense(change, message):
    with pytest.raises(UsageError, match=message):
        MouthConfig(**(asdict(SMALL) | change))
