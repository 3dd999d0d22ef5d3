"""Synthetic faces: geometry against its definitions, pictures against their scenes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from latentface.errors import InputError
from latentface.faces.crop import ffhq_quad
from latentface.synthface.bake import fibonacci_sphere, harmonics, visibility
from latentface.synthface.camera import crop_camera, rotation
from latentface.synthface.dataset import SHARD, render_shard
from latentface.synthface.head import HeadModel, load_arrays, load_ict_folder, prepare, vertex_normals
from latentface.synthface.library import Library, load_library
from latentface.synthface.pose import Pose, eyeballs, lid_shapes, shape
from latentface.synthface.renderer import Renderer, create_context
from latentface.synthface.scene import EMFACS, EMOTIONS, Scene, emotion_shapes, sample_scene
from latentface.synthface.wavefront import read_fitting, read_obj
from latentface.training.data import load_shards
from tests.helpers.tiny_head import ellipsoid, tiny_head, tiny_library


@pytest.fixture(scope="module")
def library() -> Library:
    return tiny_library()


@pytest.fixture(scope="module")
def renderer(library: Library) -> Renderer:
    return Renderer(library, size=64)


def plain_scene(library: Library, seed: int = 3, **changes: object) -> Scene:
    scene = sample_scene(seed, library.sizes, 3)
    calm = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "gaze": (0.0, 0.0), "noise": 0.0, "hair": None, "expression": {}}
    return dataclasses.replace(scene, **(calm | changes))


# Head model


def test_morph_is_linear_in_identity_and_expression() -> None:
    head = tiny_head()
    a = np.array([0.5, -1.0, 0.25], np.float32)
    weights = {"jawOpen": 0.7, "mouthSmile_L": 0.2}
    expected = head.vertices.astype(np.float64) + np.tensordot(a, head.identity_deltas, 1)
    for name, weight in weights.items():
        expected += weight * head.expression_deltas[head.expression_names.index(name)]
    np.testing.assert_allclose(head.morph(a, weights), expected, atol=1e-4)
    np.testing.assert_array_equal(head.morph(np.zeros(0, np.float32), {}), head.vertices)


def test_vertex_normals_of_an_ellipsoid_are_its_gradient() -> None:
    radii = np.array([8, 11, 9.5])
    points, triangles, uv = ellipsoid((0, 0, 0), tuple(radii), 48, 96)
    model = dataclasses.replace(tiny_head(), vertices=points, triangles=triangles, uv=uv)
    normals = vertex_normals(model, points)
    truth = points / radii**2
    truth /= np.linalg.norm(truth, axis=1, keepdims=True)
    assert ((normals * truth).sum(1) > 0.99).all()  # the seam column included: doubled places share a normal


def test_triangles_over_a_tile_edge_are_given_corners_of_one_tile() -> None:
    head = tiny_head()
    uv = head.uv.copy()
    back = head.vertices[:, 2] < 0
    uv[back, 0] += 1
    split = prepare(dataclasses.replace(head, uv=uv))
    tiles = np.floor(split.uv[:, 0])[split.triangles]
    assert (np.ptp(tiles, axis=1) == 0).all()
    assert len(split.vertices) > len(head.vertices)
    np.testing.assert_array_equal(split.vertices[split.triangles], head.vertices[head.triangles])
    np.testing.assert_array_equal(split.vertices[split.landmarks68], head.vertices[head.landmarks68])


def test_head_arrays_and_ict_folder_read_the_same_head(tmp_path: Path) -> None:
    head = tiny_head()
    arrays = {f.name: np.asarray(getattr(head, f.name)) for f in dataclasses.fields(HeadModel)}
    np.savez(tmp_path / "head.npz", **arrays)
    write_ict_folder(tmp_path / "FaceXModel", head)
    plain, folder = load_arrays(tmp_path / "head.npz"), load_ict_folder(tmp_path / "FaceXModel")
    for f in dataclasses.fields(HeadModel):
        one, two = getattr(plain, f.name), getattr(folder, f.name)
        if isinstance(one, tuple):
            assert one == two
        else:
            np.testing.assert_allclose(one, two, atol=2e-5)


def write_ict_folder(folder: Path, head: HeadModel) -> None:
    """The head as ICT-FaceKit spells it: one OBJ a shape."""
    import json

    folder.mkdir()

    def obj(name: str, vertices: np.ndarray) -> None:
        lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in vertices] + [f"vt {u:.6f} {v:.6f}" for u, v in head.uv]
        for i, material in enumerate(head.material_names):
            lines.append(f"usemtl {material}")
            lines += [
                "f " + " ".join(f"{v + 1}/{v + 1}" for v in t) for t in head.triangles[head.triangle_material == i]
            ]
        (folder / name).write_text("\n".join(lines))

    obj("generic_neutral_mesh.obj", head.vertices)
    for i, delta in enumerate(head.identity_deltas):
        obj(f"identity{i:03d}.obj", head.vertices + delta)
    for name, delta in zip(head.expression_names, head.expression_deltas, strict=True):
        obj(f"{name}.obj", head.vertices + delta)
    indices = {"idx_to_landmark_verts": head.landmarks68.tolist()}
    (folder / "vertex_indices.json").write_text(json.dumps(indices))


def test_files_that_are_no_head_say_so(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="lacks vertices"):
        load_arrays(tmp_path / "other.npz")
    with pytest.raises(InputError, match=r"generic_neutral_mesh\.obj"):
        load_ict_folder(tmp_path)
    with pytest.raises(InputError, match=r"synthface\.build"):
        load_library(tmp_path / "none.npz")
    with pytest.raises(InputError, match="not a head library"):
        load_library(tmp_path / "other.npz")


def test_library_round_trip(library: Library, tmp_path: Path) -> None:
    library.save(tmp_path / "heads.npz")
    again = load_library(tmp_path / "heads.npz")
    assert again.sizes == library.sizes == {"hair": 1, "brow": 0, "lash": 0, "glasses": 0, "beard": 0, "skin": 1}
    assert again.head.expression_names == library.head.expression_names
    np.testing.assert_array_equal(again.wardrobe.garments[0].rest, library.wardrobe.garments[0].rest)
    np.testing.assert_allclose(again.visibility, library.visibility, atol=2e-3)


# Wavefront and fitting files


def test_obj_polygons_become_fans(tmp_path: Path) -> None:
    (tmp_path / "m.obj").write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\ng body\nf 1/1 2/2 3/3 4/4\n"
    )
    mesh = read_obj(tmp_path / "m.obj")
    assert mesh.triangles.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert mesh.groups == ("body", "body")
    (tmp_path / "empty.obj").write_text("# nothing\n")
    with pytest.raises(InputError, match="no vertices"):
        read_obj(tmp_path / "empty.obj")


def test_fitting_follows_its_base(tmp_path: Path) -> None:
    (tmp_path / "g.mhclo").write_text(
        "name g\nx_scale 0 1 2.0\ny_scale 0 2 4.0\nz_scale 0 3 1.0\nverts 0\nmaterial g.mhmat\n"
        "0 1 2 0.5 0.25 0.25 1 2 3\n2\ndelete_verts\n5 6 7\n"
    )
    base = np.array([[0, 0, 0], [4, 0, 0], [0, 4, 0], [0, 0, 5]], np.float32)
    fitted = read_fitting(tmp_path / "g.mhclo").apply(base)
    # 0.5 * v0 + 0.25 * v1 + 0.25 * v2 + offset * (4 / 2, 4 / 4, 5 / 1); then the vertex that sits on v2
    np.testing.assert_allclose(fitted, [[1 + 2, 1 + 2, 15], [0, 4, 0]], atol=1e-6)
    (tmp_path / "bad.mhclo").write_text("name x\n")
    with pytest.raises(InputError, match="fitting"):
        read_fitting(tmp_path / "bad.mhclo")


# Camera, pose, light


@pytest.mark.parametrize("distance", [45.0, 200.0])
def test_the_crop_camera_sees_exactly_the_ffhq_crop(distance: float) -> None:
    head = tiny_head()
    points = head.vertices[head.landmarks68] @ rotation(20, -8, 11).T
    camera = crop_camera(points, distance)
    quad = ffhq_quad(camera.pixels(points, 100))
    np.testing.assert_allclose(quad, [[-0.5, -0.5], [-0.5, 99.5], [99.5, 99.5], [99.5, -0.5]], atol=1e-2)


def test_rotation_turns_the_way_it_says() -> None:
    nose = np.array([0, 0, 1.0])
    assert (rotation(30, 0, 0) @ nose)[0] == pytest.approx(0.5)  # to its left, which is +x
    assert (rotation(0, 30, 0) @ nose)[1] == pytest.approx(-0.5)  # down
    assert (rotation(0, 0, 30) @ np.array([0, 1.0, 0]))[0] == pytest.approx(0.5)  # crown to its left
    turn = rotation(12, 34, 56)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)


def test_shoulders_follow_a_share_of_the_turn() -> None:
    pose = Pose(rotation(40, 0, 0), rotation(16, 0, 0))
    points = np.array([[0, 5, 8], [0, -18, 8]], np.float32)
    moved = pose.apply(points, points)
    np.testing.assert_allclose(moved[0], pose.head @ points[0], atol=1e-5)
    np.testing.assert_allclose(moved[1], pose.body @ points[1], atol=1e-5)


def test_gaze_turns_the_eyes_and_lowers_the_lids() -> None:
    head = tiny_head()
    eyes = eyeballs(head)
    assert [eye.side for eye in eyes] == [1, -1]
    scene = sample_scene(0, {"skin": 1, "hair": 0, "brow": 0, "lash": 0}, 3)
    scene = dataclasses.replace(scene, identity=np.zeros(3, np.float32), expression={}, gaze=(20.0, 0.0))
    iris = np.unique(head.triangles_of("M_IrisLeft"))
    assert shape(head, eyes, scene)[iris, 0].max() > head.vertices[iris, 0].max() + 0.1
    assert lid_shapes(0, 15) == {"eyeLookOut_R": 0.0, "eyeLookIn_L": 0.0, "eyeLookDown_L": 0.5, "eyeLookDown_R": 0.5}


def test_harmonics_are_orthonormal_and_a_lone_ball_sees_its_sky() -> None:
    sky = fibonacci_sphere(20_000)
    basis = harmonics(sky)
    np.testing.assert_allclose(4 * np.pi * basis.T @ basis / len(sky), np.eye(9), atol=5e-3)
    ball, triangles, _ = ellipsoid((0, 0, 0), (5, 5, 5), 20, 40)
    shade, more, _ = ellipsoid((0, 9, 0), (3, 1, 3), 10, 20)
    both = np.concatenate([ball, shade])
    context = create_context()
    normals = np.concatenate([ball / 5, np.tile(np.float32([0, 1, 0]), (len(shade), 1))]).astype(np.float32)
    seen = visibility(
        context, both, normals, np.concatenate([triangles, more + len(ball)]).astype(np.int32), directions=96
    )
    context.release()
    toward = (seen * harmonics(normals)).sum(1)[: len(ball)]
    bottom, top = ball[:, 1] < -2, ball[:, 1] > 4.9
    assert toward[bottom].min() > 0.8  # open sky
    assert toward[top].max() < 0.4  # under the lid


# Scenes


def test_scenes_come_from_their_seed() -> None:
    sizes = {"skin": 4, "hair": 3, "brow": 2, "lash": 2}
    one, again, other = sample_scene(5, sizes), sample_scene(5, sizes), sample_scene(6, sizes)
    assert one.expression == again.expression and one.yaw == again.yaw
    np.testing.assert_array_equal(one.identity, again.identity)
    assert not np.array_equal(one.identity, other.identity)
    many = [sample_scene(s, sizes) for s in range(300)]
    assert {s.emotion for s in many} == set(range(len(EMOTIONS)))
    assert {s.hair for s in many} == {None, 0, 1, 2}
    assert np.std([s.yaw for s in many]) > 8
    assert all(0 <= w <= 1.2 for s in many for w in s.expression.values())


def test_emotions_scale_with_strength_and_keep_the_person(library: Library) -> None:
    full, half = emotion_shapes("anger", 1.0), emotion_shapes("anger", 0.5)
    assert full.keys() == half.keys()
    assert all(half[k] == pytest.approx(full[k] / 2) for k in full)
    assert set(EMFACS) == set(EMOTIONS)
    scene = sample_scene(1, library.sizes, 3)
    angry = scene.with_expression("anger", 0.8)
    assert angry.emotion == EMOTIONS.index("anger") and angry.strength == 0.8
    assert angry.identity is scene.identity and angry.backdrop is scene.backdrop


# Renderer


def test_render_is_deterministic_and_framed(renderer: Renderer) -> None:
    one, again = renderer.sample(11), renderer.sample(11)
    assert one.image.shape == (64, 64, 3) and one.mask.shape == (64, 64) and one.landmarks.shape == (68, 2)
    np.testing.assert_array_equal(one.image, again.image)
    np.testing.assert_array_equal(one.landmarks, again.landmarks)
    np.testing.assert_allclose(
        ffhq_quad(one.landmarks), [[-0.5, -0.5], [-0.5, 63.5], [63.5, 63.5], [63.5, -0.5]], atol=2e-2
    )


def test_expression_and_pose_change_what_they_should(renderer: Renderer, library: Library) -> None:
    rest = renderer.render(plain_scene(library))
    smile = renderer.render(plain_scene(library, expression={"jawOpen": 1.0}))
    outside = (rest.mask == 0) & (smile.mask == 0)
    # The crop is set by eyes and mouth corners, so a still backdrop stays where those do.
    assert np.abs(rest.landmarks[57] - smile.landmarks[57]).max() > 1
    assert np.abs(rest.landmarks[27] - smile.landmarks[27]).max() < 1
    assert outside.any() and (rest.mask > 0).mean() > 0.2
    np.testing.assert_array_equal(rest.image[outside], smile.image[outside])
    turned = renderer.render(plain_scene(library, yaw=25.0))
    eyes = turned.landmarks[36:48].mean(0)
    # Turned to its left, the picture's right: that side of the jaw is foreshortened.
    assert turned.landmarks[16, 0] - eyes[0] < 0.8 * (eyes[0] - turned.landmarks[0, 0])


def test_landmarks_lie_on_what_is_drawn(renderer: Renderer, library: Library) -> None:
    """Irises drawn pure red are found where the eye landmarks say."""
    scene = plain_scene(library, iris=np.array([40.0, 0, 0], np.float32))
    drawn = renderer.render(scene)
    red = (drawn.image[..., 0].astype(int) - drawn.image[..., 1]) > 80
    rows, columns = np.nonzero(red)
    for eye, side in ((slice(36, 42), columns < 32), (slice(42, 48), columns >= 32)):
        centre = np.array([columns[side].mean(), rows[side].mean()])
        assert np.linalg.norm(centre - drawn.landmarks[eye].mean(0)) < 2.5


def test_skin_tone_light_and_hair_show(renderer: Renderer, library: Library) -> None:
    light = renderer.render(plain_scene(library, skin_tint=np.full(3, 1.0, np.float32))).image
    dark = renderer.render(plain_scene(library, skin_tint=np.full(3, 0.2, np.float32))).image
    assert light[30:40, 30:34].mean() > dark[30:40, 30:34].mean() + 20
    bald = renderer.render(plain_scene(library))
    red = renderer.render(plain_scene(library, hair=0, hair_colour=np.array([0.6, 0.02, 0.02], np.float32)))
    assert (np.abs(bald.image.astype(int) - red.image).max(-1) > 30).sum() > 50


def test_dataset_shards_are_whole_and_not_drawn_twice(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.save(tmp_path / "heads.npz")
    monkeypatch.setattr("latentface.synthface.dataset.SHARD", 6)
    path = render_shard(tmp_path / "heads.npz", tmp_path, 1, 32)
    written = path.stat().st_mtime_ns
    assert render_shard(tmp_path / "heads.npz", tmp_path, 1, 32) == path and path.stat().st_mtime_ns == written
    shard = load_shards(tmp_path, ("images", "landmarks", "mask", "emotion", "seed"))
    assert shard["images"].shape == (6, 32, 32, 3) and shard["seed"].tolist() == list(range(6, 12))
    assert SHARD == 500
    with pytest.raises(InputError, match="no shard"):
        load_shards(tmp_path / "nothing")
    with pytest.raises(InputError, match="lacks gaze"):
        load_shards(tmp_path, ("gaze",))
