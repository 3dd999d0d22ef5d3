"""Published First Order Motion Models: told by their bytes, sized by their tensors, and never run."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from latentface.errors import WeightsError
from latentface.networks.motion import MotionConfig, MotionModel
from latentface.pretrained import load_motion
from latentface.pretrained.motion import infer_config, is_torch_file, read_published

SMALL = MotionConfig(
    resolution=128, num_keypoints=4, keypoint_width=4, keypoint_max=32, keypoint_blocks=4, dense_width=8, dense_max=32,
    dense_blocks=4, generator_width=8, generator_max=32, bottleneck_blocks=3,
)  # fmt: skip


TINY = MotionConfig(
    resolution=32, num_keypoints=3, scale=0.5, keypoint_width=4, keypoint_max=8, keypoint_blocks=2, dense_width=4,
    dense_max=8, dense_blocks=2, generator_width=4, generator_max=8, bottleneck_blocks=1,
)  # fmt: skip


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
        ({"g_ema": {}}, "contains no generator and kp_detector .found g_ema"),
        ({"generator": {}, "kp_detector": {}}, "does not have the shape of a motion model"),
        ({"generator": {"first.conv.bias": "text"}, "kp_detector": {}}, "is not a tensor"),
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
    with pytest.raises(WeightsError, match="nothing in it was executed"):
        load_motion(path)
    assert "boom" not in capsys.readouterr().out


@pytest.mark.parametrize("legacy", [True, False])
def test_a_cut_file_is_refused(tmp_path: Path, legacy: bool) -> None:
    path = write_published(tmp_path / "cut.pth.tar", vox_state(SMALL), legacy)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(WeightsError, match="damaged"):
        load_motion(path)


@pytest.mark.parametrize(
    ("content", "torch_file"),
    [(b"PK\x03\x04", True), (b"\x80\x02\x8a", True), (b"\0\0\0\0\0\0\0\0{", False), (b"", False)],
)
def test_a_torch_file_is_told_by_its_first_bytes(content: bytes, torch_file: bool, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert is_torch_file(tmp_path / "a") is torch_file
    assert not is_torch_file(tmp_path) and not is_torch_file(tmp_path / "none")


def test_the_optimisers_and_the_discriminator_are_left_aside(tmp_path: Path) -> None:
    path = write_published(tmp_path / "a.tar", vox_state(SMALL), discriminator={"conv.weight": torch.ones(3)})
    names = read_published(path).state_dict()
    assert names.keys() == vox_state(SMALL).keys()


def test_half_precision_files_become_single(tmp_path: Path) -> None:
    half = {name: value.half() if value.is_floating_point() else value for name, value in vox_state(SMALL).items()}
    model = load_motion(write_published(tmp_path / "half.tar", half))
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32, torch.int64}
    assert torch.equal(model.state_dict()["kp_detector.kp.bias"], half["kp_detector.kp.bias"].float())
