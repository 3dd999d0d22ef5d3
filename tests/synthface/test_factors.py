"""Factors: what they say of a scene, and their spread."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from latentface.synthface.factors import FactorCode
from latentface.synthface.library import Library
from latentface.synthface.scene import sample_scene


def test_factors_say_what_the_scene_holds(dressed_library: Library) -> None:
    code = FactorCode.of(dressed_library)
    scene = sample_scene(7, dressed_library.sizes, 3)
    factors = code.encode(scene)
    assert factors.shape == (code.length,) and factors.dtype == np.float32 and np.isfinite(factors).all()
    at = code.slices
    assert [s.start for s in at.values()] == [0, *(s.stop for s in at.values())][:-1]  # one after another, no gap
    np.testing.assert_array_equal(factors[at["identity"]], scene.identity)
    changes = {
        "gaze": replace(scene, gaze=(20.0, 3.0)), "head": replace(scene, yaw=scene.yaw + 9.0),
        "glasses": replace(scene, glasses=2), "beard": replace(scene, beard=1),
        "expression": replace(scene, expression=scene.expression | {"jawOpen": 0.77}),
        "exposure": replace(scene, exposure=2.0), "backdrop": replace(scene, backdrop=scene.backdrop * 0.5),
    }  # fmt: skip
    for name, other in changes.items():
        moved = np.flatnonzero(code.encode(other) != factors)
        allowed = np.arange(code.length)[at[name]]
        if name == "glasses":  # a frame's colour counts only when it is worn
            allowed = np.concatenate([allowed, np.arange(code.length)[at["glasses_colour"]]])
        assert len(moved) and set(moved) <= set(allowed), name


def test_factors_of_scenes_are_near_unit_spread(dressed_library: Library) -> None:
    code = FactorCode.of(dressed_library)
    cloud = np.stack([code.encode(sample_scene(seed, dressed_library.sizes, 3)) for seed in range(300)])
    for name, part in code.slices.items():
        if name not in ("skin", "brow", "lash"):  # the tiny dressed_library has one choice there
            assert 0.05 < cloud[:, part].std(0).mean() < 2, name
        assert np.abs(cloud[:, part]).max() < 12, name
