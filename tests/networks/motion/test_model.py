"""The First Order Motion Model: parity with the public implementation, files, geometry, the two public calls."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import UsageError
from latentface.networks.motion import MotionConfig, MotionModel
from latentface.networks.motion.inference import fold
from latentface.pretrained import load_motion
from latentface.pretrained.native import write_network
from tests.helpers.tiny_motion import assert_close, picture, tiny

GOLDEN = Path(__file__).parents[2] / "golden" / "fomm_small.npz"
SMALL = MotionConfig(
    resolution=128, num_keypoints=4, keypoint_width=4, keypoint_max=32, keypoint_blocks=4, dense_width=8, dense_max=32,
    dense_blocks=4, generator_width=8, generator_max=32, bottleneck_blocks=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def state_of(golden: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    parts = {name: value for name, value in golden.items() if name.startswith("state/")}
    return {name.removeprefix("state/").replace("/", ".", 1): value for name, value in parts.items()}


def model_of(golden: dict[str, torch.Tensor], align_corners: bool) -> MotionModel:
    model = MotionModel(MotionConfig(**{**asdict(SMALL), "align_corners": align_corners}))
    model.load_state_dict(state_of(golden), strict=True)
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("align_corners", [False, True])
def test_parity_with_the_public_implementation(golden: dict[str, torch.Tensor], align_corners: bool) -> None:
    model = model_of(golden, align_corners)
    source, driving = golden["source"] * 2 - 1, golden["driving"] * 2 - 1
    at, to = model.keypoints(source), model.keypoints(driving)
    for points, name in ((at, "ks"), (to, "kd")):
        assert_close(points.value, golden[f"{name}_value"])
        assert_close(points.jacobian, golden[f"{name}_jacobian"])
    rendering = model.render(source, at, to)
    out = "out_ac1" if align_corners else "out"
    assert_close((rendering.prediction + 1) / 2, golden[f"{out}_prediction"])
    assert_close((rendering.deformed + 1) / 2, golden[f"{out}_deformed"])
    if not align_corners:
        motion = model.predict(model.encode(source), at, to).motion
        assert_close(motion.mask, golden["out_mask"])
        assert_close(motion.candidates, golden["out_sparse_deformed"])
        assert_close(rendering.occlusion, golden["out_occlusion_map"])


def test_the_two_settings_of_align_corners_differ(golden: dict[str, torch.Tensor]) -> None:
    assert float((golden["out_ac1_deformed"] - golden["out_deformed"]).abs().max()) > 1e-2


def test_keypoints_may_look_at_finer_pictures_than_their_maps_are() -> None:
    model = tiny(scale=0.5, keypoint_scale=1.0, keypoint_stem=4, resolution=64)
    shapes: list[torch.Size] = []
    model.kp_detector.kp.register_forward_hook(lambda layer, given, out: shapes.append(out.shape))
    source, driving = picture(1, 64), picture(2, 64)
    at, to = model.keypoints(source), model.keypoints(driving)
    assert shapes == [torch.Size([1, 3, 26, 26])] * 2  # half of 64, less 6 without padding
    wanted = model.render(source, at, to)
    folded = fold(model)
    got = folded.render(source, folded.keypoints(source), folded.keypoints(driving))
    assert_close(got.prediction, wanted.prediction)
    assert MotionConfig(keypoint_blocks=4, dense_blocks=4, keypoint_scale=0.5, keypoint_stem=8).multiple == 64


# ------------------------------------------------------------------------------------------------- files


def test_native_file_round_trip(tmp_path: Path) -> None:
    model = tiny(blend=True)
    path = tmp_path / "model.safetensors"
    write_network(path, "motion", asdict(model.config), model.state_dict(), torch.float32)
    again = load_motion(path)
    assert again.config == model.config
    source = picture(3)
    assert torch.equal(again.keypoints(source).value, model.keypoints(source).value)


def test_pictures_of_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"shape \[1, 3, 30, 32\]; expected \[N, 3, H, W\], sides multiples of 8"):
        tiny().keypoints(torch.zeros(1, 3, 30, 32))
