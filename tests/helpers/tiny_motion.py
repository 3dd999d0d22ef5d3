"""Motion models small enough to run in milliseconds, pictures and keypoints for them."""

from __future__ import annotations

from dataclasses import asdict

import torch

from latentface.networks.motion import Keypoints, MotionConfig, MotionModel

TINY = MotionConfig(
    resolution=32, num_keypoints=3, scale=0.5, keypoint_width=4, keypoint_max=8, keypoint_blocks=2, dense_width=4,
    dense_max=8, dense_blocks=2, generator_width=4, generator_max=8, bottleneck_blocks=1,
)  # fmt: skip


def tiny(seed: int = 0, **changes: object) -> MotionModel:
    """A small model whose jacobians and norms are not those of a fresh one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MotionModel(MotionConfig(**{**asdict(TINY), **changes}))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
                torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
                torch.nn.init.uniform_(module.weight, 0.5, 1.5)
        torch.nn.init.normal_(model.kp_detector.jacobian.weight, std=0.05)
    return model.eval().requires_grad_(False)


def picture(seed: int, side: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def keypoints(seed: int, count: int = 2, number: int = 5) -> Keypoints:
    source = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, number, 2, 2, generator=source)
    return Keypoints(torch.rand(count, number, 2, generator=source) * 2 - 1, torch.eye(2) + 0.3 * noise)


def assert_close(got: torch.Tensor, wanted: torch.Tensor, share: float = 1e-4) -> None:
    """Equal up to that share of the wanted range."""
    assert got.shape == wanted.shape
    assert float((got - wanted).abs().max()) <= share * float(wanted.max() - wanted.min())
