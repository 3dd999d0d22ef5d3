"""Renders for the reader of heads: expressions that faces can make, and shards that hold what their scenes say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from latentface.faces.crop import ffhq_quad
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import sample_scene
from latentface.training import head_reader_data as renders
from tests.helpers.tiny_head import tiny_library


def test_random_expressions_are_ones_that_faces_can_make() -> None:
    rng, odds = np.random.default_rng(0), renders.ExpressionOdds(units=(3, 8))
    names = tuple(f"{n}{side}" for n in ("mouthSmile", "mouthFrown", "browDown", "eyeBlink") for side in ("_L", "_R"))
    names = (*names, "jawOpen", "mouthClose", "jawLeft", "jawRight", "eyeLookUp_L")
    units = renders.unit_names(names)
    assert units == ["mouthSmile", "mouthFrown", "browDown", "eyeBlink", "jawOpen", "mouthClose", "jawLeft", "jawRight"]
    sided = 0
    for _ in range(200):
        made = renders.random_expression(rng, units, odds)
        assert all(0 <= weight <= 1 for weight in made.values()) and set(made) <= set(names)
        for first, second in (("jawLeft", "jawRight"), ("mouthSmile_L", "mouthFrown_L")):
            assert not (made.get(first, 0) > 0 and made.get(second, 0) > 0)
        assert "mouthClose" not in made or made["jawOpen"] > 0
        sided += made.get("browDown_L", 0) > 0.2 and made.get("browDown_R", 0) == 0
    assert sided > 3


def test_a_shard_holds_what_its_scenes_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renders, "SHARD", 3)
    renderer = Renderer(tiny_library(), size=64)
    path = renders.render_shard(renderer, tmp_path, 2, renders.ExpressionOdds())
    with np.load(path) as shard:
        assert shard["images"].shape == (3, 64, 64, 3) and shard["images"].std() > 5
        names = renderer.library.head.expression_names
        assert list(shard["expression_names"]) == [renders.arkit_name(name) for name in names]
        scene = renders.reader_scene(7, renderer.library.sizes, 3, names, renders.ExpressionOdds())
        assert np.allclose(shard["expression"][1], renders.shown_expression(scene, names))
        assert np.allclose(shard["gaze"][1], scene.gaze) and shard["pose"][1, 0] == pytest.approx(scene.yaw)
        quad = ffhq_quad(shard["landmarks"][1])
    assert np.allclose(quad, [[-0.5, -0.5], [-0.5, 63.5], [63.5, 63.5], [63.5, -0.5]], atol=0.6)
    before = path.stat().st_mtime_ns
    assert renders.render_shard(renderer, tmp_path, 2, renders.ExpressionOdds()) == path
    assert path.stat().st_mtime_ns == before


def test_scenes_look_further_aside_than_the_generators() -> None:
    names = tuple(f"{n}{side}" for n in ("mouthSmile", "browDown", "eyeWide", "noseSneer") for side in ("_L", "_R"))
    names, sizes = (*names, "jawOpen", "mouthPucker", "mouthFunnel"), tiny_library().sizes
    scenes = [renders.reader_scene(seed, sizes, 3, names, renders.ExpressionOdds()) for seed in range(80)]
    usual = [sample_scene(seed, sizes, 3) for seed in range(80)]
    assert np.std([s.gaze[0] for s in scenes]) > 1.3 * np.std([s.gaze[0] for s in usual])
    assert max(abs(s.yaw) for s in scenes) <= 50 and 0.3 < np.mean([s.emotion == -1 for s in scenes]) < 0.8
