"""Spectacles and beards: they sit where they should, move as they should, and show in the picture."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from latentface.synthface.accessories import BEARDS, GLASSES, SHELLS, make_beards, make_glasses
from latentface.synthface.head import HeadModel, vertex_normals
from latentface.synthface.library import Library
from latentface.synthface.renderer import Renderer
from latentface.synthface.scene import sample_scene
from tests.helpers.tiny_head import beard_masks


def test_lenses_surround_the_eyes_and_are_symmetric(tiny: HeadModel) -> None:
    points = tiny.vertices[tiny.landmarks68]
    for pair in make_glasses(tiny):
        front = pair.rest[pair.rest[:, 2] > points[36:48, 2].mean()]
        for eye in (points[36:42], points[42:48]):
            side = front[np.sign(front[:, 0]) == np.sign(eye[:, 0].mean())]
            assert side[:, 0].min() < eye[:, 0].min() < eye[:, 0].max() < side[:, 0].max()
            assert side[:, 1].min() < eye[:, 1].min() < eye[:, 1].max() < side[:, 1].max()
            assert side[:, 2].max() > eye[:, 2].max()  # in front of the lids
        assert abs(front[:, 0].min() + front[:, 0].max()) < 0.3
    assert len({pair.name for pair in make_glasses(tiny)}) == len(GLASSES)


def test_glasses_go_with_the_nose_in_one_piece(tiny: HeadModel) -> None:
    pair = make_glasses(tiny)[0]
    moved = np.zeros_like(tiny.vertices)
    moved[tiny.landmarks68[27]] = (0, 0, 1)
    shift = pair.follow(moved) - pair.rest
    front = pair.rest[:, 2] > pair.rest[:, 2].max() - 0.5
    np.testing.assert_allclose(shift[front, 2], 1, atol=0.2)
    ears = pair.rest[:, 2] < pair.rest[:, 2].min() + 0.5
    np.testing.assert_allclose(shift[ears, 2], 0, atol=0.15)


def test_beards_grow_outward_in_thinning_shells(tiny: HeadModel) -> None:
    for beard in make_beards(tiny, beard_masks(tiny)):
        count = len(beard.rest) // SHELLS
        normals = vertex_normals(tiny, tiny.vertices)[beard.anchors[:, 0]]
        height = ((beard.rest - tiny.vertices[beard.anchors[:, 0]]) * normals).sum(1).reshape(SHELLS, count)
        assert (np.diff(height, axis=0) >= -1e-5).mean() > 0.9 and height[0].min() > 0 and height[-1].max() > 0.2
        bands = np.split(beard.texture[..., 3] > 0, SHELLS)[::-1]  # the outermost is on top
        share = [band.mean() for band in bands]
        assert share[0] > 2 * share[-1] and all(a > b for a, b in pairwise(share))
        assert (tiny.vertices[beard.anchors[:, 0], 1] < 2).all()
    assert len(make_beards(tiny, beard_masks(tiny))) == len(BEARDS)


def test_they_show_and_are_sampled(dressed_library: Library) -> None:
    renderer = Renderer(dressed_library, size=64)
    scene = replace(
        sample_scene(3, dressed_library.sizes, 3), hair=None, glasses=None, beard=None, stubble=0.0, noise=0.0
    )
    bare = renderer.render(scene).image.astype(int)
    red = np.array([0.9, 0.0, 0.0], np.float32)
    worn = renderer.render(replace(scene, glasses=0, glasses_colour=red)).image.astype(int)
    changed = np.abs(worn - bare).max(-1) > 30
    assert 20 < changed.sum() < 600
    rows = np.nonzero(changed)[0]
    eyes = renderer.render(scene).landmarks[36:48, 1].mean()
    assert abs(rows.mean() - eyes) < 6
    bearded = renderer.render(replace(scene, beard=1)).image.astype(int)
    grown = np.nonzero(np.abs(bearded - bare).max(-1) > 15)[0]
    assert len(grown) > 40 and grown.mean() > eyes + 8
    many = [sample_scene(seed, dressed_library.sizes, 3) for seed in range(200)]
    assert {s.glasses for s in many} == {None, *range(len(GLASSES))}
    assert {s.beard for s in many} == {None, *range(len(BEARDS))}
    assert all(s.stubble == 0.9 for s in many if s.beard is not None)


def test_they_change_nothing_else_of_a_seed(dressed_library: Library) -> None:
    plain = {kind: count for kind, count in dressed_library.sizes.items() if kind not in ("glasses", "beard")}
    for seed in range(30):
        with_them, without = sample_scene(seed, dressed_library.sizes, 3), sample_scene(seed, plain, 3)
        assert without.glasses is None and without.beard is None
        assert (with_them.yaw, with_them.skin, with_them.expression) == (without.yaw, without.skin, without.expression)
