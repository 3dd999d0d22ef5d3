"""The First Order Motion Model: parity with the public implementation, files, geometry, the two public calls."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latentface.errors import UsageError, WeightsError
from latentface.networks.motion import MotionConfig, MotionModel
from latentface.networks.motion.inference import fold
from latentface.pretrained import load_motion
from latentface.pretrained.motion import infer_config
from latentface.pretrained.native import write_network
from tests.helpers.tiny_motion import TINY, assert_close, keypoints, picture, tiny

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


def vox_state(config: MotionConfig = MotionConfig()) -> dict[str, torch.Tensor]:  # noqa: B008 (frozen)
    """Every tensor of a model of this config, one random number each, so that the file stays small."""
    source = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = MotionModel(config).state_dict()
    return {
        name: torch.tensor(7)
        if value.dtype == torch.int64
        else torch.rand(1, generator=source).expand(value.shape) + 0.1 * (value.ndim == 0)
        for name, value in shapes.items()
    }


def write_published(path: Path, state: dict[str, torch.Tensor], legacy: bool = True, **more: Any) -> Path:
    parts: dict[str, Any] = {"generator": OrderedDict(), "kp_detector": OrderedDict()}
    for name, value in state.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = value
    torch.save(parts | {"epoch": 100, **more}, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [True, False])
def test_published_vox_files_are_read(tmp_path: Path, legacy: bool) -> None:
    state = vox_state()
    assert sum(name.startswith("kp_detector.") for name in state) == 75
    assert sum(name.startswith("generator.") for name in state) == 196
    kept = ("running_mean", "running_var", "down.weight", "num_batches_tracked")
    learnt = [value for name, value in state.items() if not name.endswith(kept)]
    assert sum(value.numel() for value in learnt) == 59_790_759
    assert state["kp_detector.kp.weight"].shape == (10, 35, 7, 7)
    assert state["kp_detector.jacobian.weight"].shape == (40, 35, 7, 7)
    optimiser = {"state": {0: {"step": 3}}, "param_groups": [{"lr": 2e-4, "betas": (0.5, 0.999)}]}
    path = write_published(tmp_path / "vox-cpk.pth.tar", state, legacy, optimizer_generator=optimiser)
    model = load_motion(path)
    assert model.config == MotionConfig(generator_max=256)  # the published limit of 512 is never reached
    assert model.config.align_corners
    assert not model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_old_files_may_lack_the_batch_counters_and_nothing_else(tmp_path: Path) -> None:
    state = vox_state(SMALL)
    old = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    model = load_motion(write_published(tmp_path / "old.pth.tar", old))
    assert int(model.state_dict()["generator.first.norm.num_batches_tracked"]) == 0
    del old["generator.first.norm.running_var"]
    with pytest.raises(WeightsError, match=r"1 missing \(generator.first.norm.running_var\)"):
        load_motion(write_published(tmp_path / "cut.pth.tar", old))


@pytest.mark.parametrize("config", [MotionConfig(), SMALL, TINY, MotionConfig(scale=1.0, blend=True)])
def test_sizes_are_inferred_from_shapes(config: MotionConfig) -> None:
    shapes = vox_state(config)
    found = infer_config(shapes)
    with torch.device("meta"):
        again = MotionModel(found).state_dict()
    assert {name: value.shape for name, value in again.items()} == {name: v.shape for name, v in shapes.items()}
    assert (found.scale, found.blend, found.align_corners) == (config.scale, config.blend, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"g_ema": {}}, "holds no generator and kp_detector .found g_ema"),
        ({"generator": {}, "kp_detector": {}}, "has not the shape of a motion model"),
        ({"generator": {"first.conv.bias": "text"}, "kp_detector": {}}, "is no tensor"),
    ],
)
def test_other_torch_files_are_refused(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    path = tmp_path / "other.pth.tar"
    torch.save(content, path)
    with pytest.raises(WeightsError, match=message):
        load_motion(path)


class Bomb:
    def __reduce__(self) -> Any:
        return (print, ("boom",))


@pytest.mark.parametrize("legacy", [True, False])
def test_nothing_in_a_file_is_run(tmp_path: Path, legacy: bool, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bomb.pth.tar"
    torch.save({"generator": Bomb()}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="nothing in it was run"):
        load_motion(path)
    assert "boom" not in capsys.readouterr().out


@pytest.mark.parametrize("legacy", [True, False])
def test_a_cut_file_is_refused(tmp_path: Path, legacy: bool) -> None:
    path = write_published(tmp_path / "cut.pth.tar", vox_state(SMALL), legacy)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(WeightsError, match="damaged"):
        load_motion(path)


def test_native_file_round_trip(tmp_path: Path) -> None:
    model = tiny(blend=True)
    path = tmp_path / "model.safetensors"
    write_network(path, "motion", asdict(model.config), model.state_dict(), torch.float32)
    again = load_motion(path)
    assert again.config == model.config
    source = picture(3)
    assert torch.equal(again.keypoints(source).value, model.keypoints(source).value)


def test_one_source_serves_many_frames() -> None:
    model, source = tiny(), picture(1)
    at = model.keypoints(source)
    driving = torch.cat([picture(seed) for seed in (2, 3)])
    to = model.keypoints(driving)
    together = model.render(model.encode(source), at, to)
    alone = [model.render(source, at, to[i : i + 1]).prediction for i in range(2)]
    assert together.prediction.shape == (2, 3, 32, 32)
    assert together.deformed.shape == (2, 3, 32, 32)
    assert together.occlusion.shape == (2, 1, 16, 16)
    assert torch.allclose(together.prediction, torch.cat(alone), atol=1e-5)
    assert float(together.prediction.abs().max()) <= 1


def test_shapes_that_do_not_fit_are_refused() -> None:
    model, source = tiny(), picture(1)
    with pytest.raises(UsageError, match=r"shape \[1, 3, 30, 32\]; expected \[N, 3, H, W\], sides multiples of 8"):
        model.keypoints(torch.zeros(1, 3, 30, 32))
    points = keypoints(0, count=3, number=3)
    with pytest.raises(UsageError, match="2 sources for 3 driving frames"):
        model.render(source.expand(2, -1, -1, -1), points, points)
    with pytest.raises(UsageError, match="expected as many of both"):
        model.render(source, keypoints(0, count=1, number=4), points)
