"""The recipe of the free-view talking head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from latentface import hub
from latentface.errors import LatentfaceError, UsageError
from latentface.networks.vid2vid import Head
from latentface.networks.vid2vid.geometry import head_motions
from latentface.networks.vid2vid.motion_field import VolumeMotion
from latentface.pretrained import load_vid2vid
from latentface.training import vid2vid
from latentface.training.loop import Loop, LoopOptions
from latentface.training.vid2vid import COMPACT, Vid2VidTask
from latentface.training.vid2vid_data import COUNT, Frames, PairSampler, read_frames
from tests.helpers.head_picture import model
from tests.helpers.rigged_heads import fits, write_photos, write_rigged
from tests.helpers.talking_heads import CONFIG

TINY = replace(CONFIG, num_keypoints=COUNT, reader_widths=(24, 48, 96, 160))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    folder = tmp_path_factory.mktemp("rigged")
    return read_frames(write_rigged(folder / "a", 2), fits(2), write_photos(folder / "b", 2), model())


@pytest.fixture
def task(frames: Frames) -> Vid2VidTask:
    pairs = PairSampler(frames, TINY.resolution)
    shown = pairs.sample(4, torch.Generator().manual_seed(1))
    return Vid2VidTask(TINY, pairs, shown, hub.perceptual("cpu"), batch=2)


def test_heads_are_learnt_and_the_network_is_written(task: Vid2VidTask, tmp_path: Path) -> None:
    options = LoopOptions(steps=6, minutes=None, measure_every=3, learning_rate=2e-3, warm_up=2, average=0.5)
    path = Loop(task, tmp_path, options).run(say=lambda line: None)
    rows = (tmp_path / "curves.csv").read_text().splitlines()
    assert rows[0] == "step,seconds,loss,pose,keypoints,psnr,unmoved"
    first, last = (float(row.split(",")[2]) for row in rows[1:])
    assert last < first
    assert load_vid2vid(path).config == TINY


def test_the_loss_counts_every_term(task: Vid2VidTask, monkeypatch: pytest.MonkeyPatch) -> None:
    network, batch = task.build(), task.sample_batch(torch.Generator().manual_seed(0))
    parts = []
    for name in vid2vid.WEIGHTS:
        monkeypatch.setattr(vid2vid, "WEIGHTS", {n: float(n == name) for n in vid2vid.WEIGHTS})
        parts.append(float(task.loss(network, batch).detach()))
    assert min(parts) > 0


def test_the_true_motion_costs_nothing(frames: Frames) -> None:
    """A rigid turn: the motion of every keypoint is that of every point."""
    pair = PairSampler(frames, 32).sample(1, torch.Generator().manual_seed(0))
    here = pair.source_head
    there = Head(here.canonical, here.angles + torch.tensor([[12.0, 0, 0]]), here.scale, here.translation,
                 here.deformation, rigid=True)  # fmt: skip
    change = here.frame @ torch.linalg.inv(there.frame)
    driving = pair.source_points
    moved = (change @ (driving - there.translation[:, None]).transpose(1, 2)).transpose(1, 2) + here.translation[
        :, None
    ]
    pair = replace(pair, driving_points=driving, source_points=moved, visible=torch.ones_like(pair.visible))
    motions = head_motions(here, there, 6, 16, 16)
    mask = torch.zeros(1, COUNT + 1, 6, 16, 16)
    mask[:, 1] = 1
    surface = torch.full((1, 1, 6, 16, 16), 1 / 6)
    right = vid2vid._motion_losses(VolumeMotion(motions[:, 1], mask, mask[:, 0, :1], surface), pair, there)
    still = vid2vid._motion_losses(VolumeMotion(motions[:, 0], mask, mask[:, 0, :1], surface), pair, there)
    assert float(right["flow"]) < 0.7 * float(still["flow"])


def test_folders_are_joined_and_people_counted_on(frames: Frames) -> None:
    both = vid2vid._all([frames, frames])
    assert len(both) == 2 * len(frames)
    assert both.person.max() == 2 * frames.person.max() + 1


def test_the_built_in_network_fits_the_recipe() -> None:
    assert (COMPACT.num_keypoints, COMPACT.rigid, COMPACT.blend, COMPACT.resolution) == (COUNT, True, True, 128)


def test_sizes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"depth": 8, "generator_max": 64}')
    assert vid2vid.read_config(path) == replace(COMPACT, depth=8, generator_max=64)
    path.write_text('{"num_keypoints": 15}')
    with pytest.raises(UsageError, match="num_keypoints=20"):
        vid2vid.read_config(path)
    for text in ('{"layers": 3}', "[1, 2", "[]", '{"depth": 5}'):
        path.write_text(text)
        with pytest.raises(LatentfaceError):
            vid2vid.read_config(path)
