"""Rendered clips: one head before a still ground, smooth motions that anybody can make."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentface.synthface import clips as rendered
from latentface.synthface.renderer import Renderer
from latentface.training.motion_data import load_clips
from tests.helpers.tiny_head import tiny_library


def test_rendered_clips_move_one_head_before_a_still_ground(tmp_path: Path) -> None:
    renderer = Renderer(tiny_library(), size=32)
    person = rendered.sample_person(renderer, 3)
    frames = rendered.render_clip(renderer, person, rendered.sample_motion(3, 5))
    pictures = np.stack([frame.image for frame in frames]).astype(int)
    still = np.stack([frame.mask for frame in frames]).max(0) == 0
    assert np.abs(np.diff(pictures, axis=0)).max((0, 3))[~still].max() > 30
    assert np.median(np.abs(np.diff(pictures, axis=0))[:, still]) <= 2 + 4 * 255 * person.noise
    again = rendered.render_clip(renderer, person, rendered.sample_motion(3, 5))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, again, strict=True))
    rendered.write_shard(tmp_path / "clips-00000.npz", [frames, again])
    clips = load_clips(tmp_path)
    assert len(clips) == 2
    assert clips.landmarks[0].shape == (5, 68, 2)


def test_a_motion_is_smooth_and_anybody_can_make_it() -> None:
    motion = rendered.sample_motion(1, 24)
    assert len(motion) == 24
    assert np.abs(motion.course).max(0)[0] <= rendered.BOUNDS[0]
    steps = np.abs(np.diff(motion.course[:, 0]))
    assert steps.max() < 20
    renderer = Renderer(tiny_library(), size=16)
    scenes = [rendered.clip_scenes(rendered.sample_person(renderer, seed), motion) for seed in (1, 2)]
    assert [a.expression == b.expression for a, b in zip(*scenes, strict=True)] == [True] * 24
    assert len({scene.seed for scene in scenes[0]}) == 24
