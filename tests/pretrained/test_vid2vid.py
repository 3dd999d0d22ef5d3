"""Published-style checkpoints of the free-view talking head: sized by their tensors, and never run."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from latentface.errors import WeightsError
from latentface.networks.vid2vid import Vid2VidConfig, Vid2VidModel
from latentface.pretrained import load_vid2vid
from latentface.pretrained.vid2vid import infer_config, read_published

TINY = Vid2VidConfig(
    num_keypoints=3, depth=2, volume=4, compress=2, keypoint_width=4, keypoint_max=8, keypoint_blocks=5,
    keypoint_channels=8, pose_width=4, pose_levels=(8, 8, 16, 16), bins=66, dense_width=4, dense_max=8, dense_blocks=2,
    generator_width=4, generator_max=8, generator_blocks=2, bottleneck_blocks=1,
)  # fmt: skip
SPADE = replace(TINY, decoder="spade", first_kernel=3)


def write_published(path: Path, state: dict[str, Tensor], **more: Any) -> Path:
    """A file in the layout of the open implementation, the SPADE convolutions spectrally normalised."""
    parts: dict[str, Any] = {name: OrderedDict() for name in ("generator", "kp_detector", "he_estimator")}
    for name, value in state.items():
        part, _, rest = name.removeprefix("reader.").partition(".")
        if rest.startswith("decoder.") and rest.endswith((".conv_0.weight", ".conv_1.weight", ".conv_s.weight")):
            u, _, v = torch.linalg.svd(value.flatten(1), full_matrices=False)
            parts[part] |= {f"{rest}_orig": 3 * value, f"{rest}_u": u[:, 0], f"{rest}_v": v[0]}
        else:
            parts[part][rest] = value
    torch.save(parts | {"epoch": 189, "optimizer_generator": {}, **more}, path)
    return path


def random_model(config: Vid2VidConfig) -> Vid2VidModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Vid2VidModel(config).eval()


@pytest.mark.parametrize("config", [TINY, SPADE])
def test_published_files_are_read(tmp_path: Path, config: Vid2VidConfig) -> None:
    model = random_model(config)
    path = write_published(tmp_path / "00000189-checkpoint.pth.tar", model.state_dict())
    read = load_vid2vid(path)
    assert read.config == config
    pictures = torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 2 - 1
    ours, theirs = model.keypoints(pictures), read.keypoints(pictures)
    torch.testing.assert_close(theirs.value, ours.value)
    if config.decoder == "residual":
        with torch.no_grad():
            wanted = model.render(pictures[:1], ours[:1], ours[1:]).prediction
        torch.testing.assert_close(read.render(pictures[:1], theirs[:1], theirs[1:]).prediction, wanted)
    else:  # the stored weights are those of singular value 1
        found = read.generator.get_parameter("decoder.up_0.conv_0.weight").flatten(1)
        assert float(torch.linalg.matrix_norm(found, 2)) == pytest.approx(1.0, abs=1e-4)


def test_names_and_shapes_of_the_full_size() -> None:
    with torch.device("meta"):
        state = Vid2VidModel(Vid2VidConfig(decoder="spade", first_kernel=3)).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes["reader.kp_detector.predictor.conv.weight"] == (16384, 1024, 1, 1)
    assert shapes["reader.kp_detector.predictor.up_blocks.up0.conv.weight"] == (512, 1024, 3, 3, 3)
    assert shapes["reader.kp_detector.kp.weight"] == (15, 32, 3, 3, 3)
    assert shapes["reader.he_estimator.block5.b5_4.conv3.weight"] == (1024, 256, 1, 1)
    assert shapes["reader.he_estimator.block6.skip.weight"] == (2048, 2048, 1, 1)
    assert shapes["reader.he_estimator.fc_exp.weight"] == (45, 2048)
    assert shapes["generator.dense_motion_network.mask.weight"] == (16, 112, 7, 7, 7)
    assert shapes["generator.dense_motion_network.occlusion.weight"] == (1, 1792, 7, 7)
    assert shapes["generator.resblocks_3d.3dr5.conv1.weight"] == (32, 32, 3, 3, 3)
    assert shapes["generator.third.conv.weight"] == (256, 512, 3, 3)
    assert shapes["generator.decoder.G_middle_5.norm_1.mlp_gamma.weight"] == (512, 128, 3, 3)
    assert shapes["generator.decoder.up_1.conv_s.weight"] == (64, 256, 1, 1)
    assert infer_config(state) == Vid2VidConfig(decoder="spade", first_kernel=3)


def test_other_files_are_refused(tmp_path: Path) -> None:
    state = random_model(TINY).state_dict()
    whole = write_published(tmp_path / "whole.pth.tar", state)
    parts = torch.load(whole, weights_only=True)
    torch.save({name: parts[name] for name in ("generator", "kp_detector")}, tmp_path / "fomm.pth.tar")
    with pytest.raises(WeightsError, match="contains no generator, kp_detector and he_estimator"):
        read_published(tmp_path / "fomm.pth.tar")
    parts["kp_detector"]["jacobian.weight"] = torch.zeros(27, 4, 3, 3, 3)
    torch.save(parts, tmp_path / "jacobian.pth.tar")
    with pytest.raises(WeightsError, match="estimates Jacobians"):
        read_published(tmp_path / "jacobian.pth.tar")
    del parts["kp_detector"]["jacobian.weight"], parts["generator"]["second.weight"]
    torch.save(parts, tmp_path / "part.pth.tar")
    with pytest.raises(WeightsError, match="does not have the shape"):
        read_published(tmp_path / "part.pth.tar")


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (marker,))

    path = write_published(tmp_path / "evil.pth.tar", random_model(TINY).state_dict(), extra=Evil())
    with pytest.raises(WeightsError, match="nothing in it was executed"):
        read_published(path)
    assert not marker.exists()
