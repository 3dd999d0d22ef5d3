"""The landmark recipe on drawn faces: augmentation keeps points on their features, training learns and resumes."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from latentface.errors import InputError, UsageError
from latentface.faces.crop import MIRROR
from latentface.networks.landmarks import LandmarkConfig
from latentface.pretrained import load_landmarks
from latentface.training import landmark_augmentation as changes
from latentface.training.faces import load_faces
from latentface.training.landmark_augmentation import AugmentOptions, augment, brow_shift, frame, mirror
from latentface.training.landmark_definition import (
    LOWER_LIP,
    UPPER_LIP,
    measure_brow_drop,
    move_brows,
    on_contour,
    redefine,
    space_lids,
    space_lips,
)
from latentface.training.landmarks import (
    LandmarkLoss,
    LandmarkTask,
    framed,
    landmark_loss,
    load_annotated,
    main,
    measure,
)
from latentface.training.loop import Loop, LoopOptions

SMALL = LandmarkConfig(input_size=32, widths=(8, 8, 16, 16), decoder=8)
OPTIONS = LoopOptions(steps=6, measure_every=3, warm_up=2, learning_rate=5e-3, bfloat16=False, minutes=None)


def mean_shape():
    """68 points of a plain face: eye centres at (-0.5, 0) and (0.5, 0), y down."""
    points = np.zeros((68, 2))
    turn = np.linspace(0, np.pi, 17)
    points[:17] = np.stack([-1.15 * np.cos(turn), 0.1 + 1.55 * np.sin(turn)], axis=1)
    part = np.linspace(0, 1, 5)
    arch = -0.35 - 0.12 * np.sin(np.pi * part)
    points[17:22] = np.stack([-0.9 + 0.65 * part, arch], axis=1)
    points[22:27] = np.stack([0.25 + 0.65 * part, arch], axis=1)
    points[27:31, 1] = np.linspace(0, 0.5, 4)
    points[31:36] = np.stack([np.linspace(-0.25, 0.25, 5), np.full(5, 0.65)], axis=1)
    eye = np.array([[-0.22, 0], [-0.08, -0.09], [0.08, -0.09], [0.22, 0], [0.08, 0.09], [-0.08, 0.09]])
    points[36:42], points[42:48] = eye - np.array([0.5, 0]), eye + np.array([0.5, 0])
    for start, count, width, height in ((48, 12, 0.4, 0.18), (60, 8, 0.3, 0.07)):
        angle = np.pi - np.arange(count) * 2 * np.pi / count
        points[start : start + count] = np.stack([width * np.cos(angle), 1 - height * np.sin(angle)], axis=1)
    return points


def draw_face(rng, brow_drop=0.0):
    angle = rng.normal(0, 0.05)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (mean_shape() * (1 + rng.normal(0, 0.04, 2))) @ turn.T * 32 + rng.normal([63.5, 58], 1.5)
    picture = Image.new("RGB", (128, 128), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    skin = tuple(rng.integers(130, 240, 3).tolist())

    def polygon(part, colour):
        draw.polygon([tuple(p) for p in points[part]], fill=colour)

    polygon(slice(0, 17), skin)
    draw.ellipse([points[0, 0], points[0, 1] - 45, points[16, 0], points[16, 1] + 40], fill=skin)
    for brow in (slice(17, 22), slice(22, 27)):
        draw.line([(x, y + brow_drop) for x, y in points[brow]], fill=(30, 20, 10), width=3)
    polygon(slice(36, 42), (250, 250, 250))
    polygon(slice(42, 48), (250, 250, 250))
    draw.line([tuple(p) for p in points[31:36]], fill=(90, 50, 40), width=2)
    polygon(slice(48, 60), (190, 60, 60))
    polygon(slice(60, 68), (90, 20, 20))
    return np.asarray(picture), points


def write_shards(folder, count=40, shards=2, seed=0, with_mask=True):
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    for index in range(shards):
        faces = [draw_face(rng) for _ in range(count // shards)]
        arrays = {
            "images": np.stack([f[0] for f in faces]),
            "landmarks": np.stack([f[1] for f in faces]).astype(np.float32),
            "emotion": np.zeros(len(faces), np.int64),
        }
        if with_mask:
            arrays["mask"] = np.full((len(faces), 128, 128), 255, np.uint8)
        np.savez(folder / f"shard-{index:05d}.npz", **arrays)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return load_annotated([write_shards(tmp_path_factory.mktemp("shards"))])


# ---------------------------------------------------------------------------------------------- data


def test_shards_are_read_in_order(tmp_path):
    folder = write_shards(tmp_path / "a", count=6, shards=2)
    faces = load_faces([folder], ("emotion",))
    assert faces.images.shape == (6, 3, 128, 128) and faces.points.shape == (6, 68, 2)
    assert faces.masks is not None and faces.masks.shape == (6, 1, 128, 128)
    first = np.load(folder / "shard-00000.npz")["images"][1]
    np.testing.assert_array_equal(faces.images[1].permute(1, 2, 0), first)
    assert faces.labels["emotion"].tolist() == [0] * 6 and len(faces.part(1, 3).labels["emotion"]) == 2
    assert len(load_faces([folder, folder])) == 12
    assert load_faces([write_shards(tmp_path / "b", count=4, with_mask=False)]).masks is None


def test_folders_without_shards_are_refused(tmp_path):
    with pytest.raises(InputError, match="no shard"):
        load_faces([tmp_path])
    np.savez(tmp_path / "shard-00000.npz", images=np.zeros((1, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="landmarks"):
        load_faces([tmp_path])
    with pytest.raises(InputError, match="head"):
        load_faces([write_shards(tmp_path / "b", count=2, shards=1)], ("head",))


def drawn(count, **how):
    rng = np.random.default_rng(0)
    faces = [draw_face(rng, **how) for _ in range(count)]
    images = torch.from_numpy(np.stack([f[0] for f in faces]).transpose(0, 3, 1, 2).copy())
    return images, torch.from_numpy(np.stack([f[1] for f in faces]).astype(np.float32))


def test_brow_labels_move_onto_the_drawn_brows():
    images, points = drawn(30, brow_drop=4.0)
    drop = measure_brow_drop(images, points)
    upper, middle = 2.5 / 32, 4.0 / 32  # the line is 3 pixels wide, the eyes 32 pixels apart
    np.testing.assert_allclose(drop[[1, 2, 3, 6, 7, 8]], upper, atol=0.035)
    np.testing.assert_allclose(drop[[0, 9]], middle, atol=0.05)  # the tips: on the hair line
    assert torch.equal(drop, drop.flip(0))
    moved = move_brows(points, drop)
    assert torch.equal(moved[:, :17], points[:, :17]) and torch.equal(moved[:, 27:], points[:, 27:])
    np.testing.assert_allclose((moved - points)[:, 17:27, 1].mean(0), drop * 32, atol=0.2)
    np.testing.assert_array_equal(measure_brow_drop(images[:3], points[:3]), 0)  # too few to measure on


def test_lid_points_stand_at_thirds_of_the_eye():
    _, points = drawn(4)
    moved = space_lids(points)
    for outer, first, second, inner in ((36, 37, 38, 39), (36, 41, 40, 39), (45, 44, 43, 42), (45, 46, 47, 42)):
        chord = points[:, inner] - points[:, outer]
        for index, share in ((first, 1 / 3), (second, 2 / 3)):
            along = ((moved[:, index] - points[:, outer]) * chord).sum(1) / chord.square().sum(1)
            torch.testing.assert_close(along, torch.full((4,), share))
    kept = [*range(37), 39, 42, 45, *range(48, 68)]
    assert torch.equal(moved[:, kept], points[:, kept])


def test_lip_points_stand_under_the_peaks_and_on_the_red():
    points = torch.from_numpy(mean_shape() * 100).float()[None]
    moved = space_lips(points)[0]
    before = points[0]
    for column in ((50, 61, 67, 58), (52, 63, 65, 56)):
        torch.testing.assert_close(moved[list(column), 0], before[column[0], 0].expand(4))
    for middle, left, right in ((49, 48, 50), (53, 52, 54), (55, 54, 56), (59, 58, 48)):
        torch.testing.assert_close(moved[middle, 0], (moved[left, 0] + moved[right, 0]) / 2)
    for outer, inner, share in ((51, 62, UPPER_LIP), (57, 66, LOWER_LIP)):
        torch.testing.assert_close(moved[outer], torch.lerp(before[inner], before[outer], share))
    kept = [*range(48), 48, 54, 60, 62, 64, 66]
    assert torch.equal(moved[kept], before[kept])


def test_redefined_labels_turn_and_grow_with_the_face():
    _, points = drawn(3)
    turn = 1.5 * torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    blank = torch.zeros(3, 3, 128, 128, dtype=torch.uint8)
    torch.testing.assert_close(redefine(blank, points @ turn.T), redefine(blank, points) @ turn.T, atol=1e-3, rtol=0)


def test_on_contour_walks_a_polyline():
    contour = torch.tensor([[[0.0, 0.0], [1.0, 2.0], [4.0, 0.0]]])
    for share, expected in ((0.125, (0.5, 1.0)), (0.25, (1.0, 2.0)), (0.625, (2.5, 1.0)), (0.0, (0, 0)), (1.0, (4, 0))):
        torch.testing.assert_close(on_contour(contour, torch.tensor([share])), torch.tensor([expected]).float())


# ---------------------------------------------------------------------------------------------- augmentation


def spots(points, size=128):
    """Pictures with three bright spots, one a colour, at landmarks 30, 48 and 54."""
    x, y = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="xy")
    pictures = torch.zeros(len(points), 3, size, size)
    for channel, index in enumerate((30, 48, 54)):
        gap = (x - points[:, index, 0, None, None]) ** 2 + (y - points[:, index, 1, None, None]) ** 2
        pictures[:, channel] = torch.exp(-gap / 8.0)
    return pictures


def centres(pictures):
    """Centre of brightness [N, 3, 2] of each channel, in crop units."""
    size = pictures.shape[-1]
    line = (torch.arange(size) + 0.5) / size
    total = pictures.sum((2, 3))
    return torch.stack([(pictures.sum(2) * line).sum(2) / total, (pictures.sum(3) * line).sum(2) / total], dim=2)


def test_points_follow_framing(monkeypatch):
    rng = np.random.default_rng(1)
    points = torch.from_numpy(np.stack([draw_face(rng)[1] for _ in range(12)]).astype(np.float32))
    config = replace(SMALL, input_size=96)
    monkeypatch.setattr(torch, "randint", lambda *given, **named: torch.tensor([2]))  # nothing outside the picture
    generator = torch.Generator().manual_seed(0)
    pictures, moved = frame(spots(points), points, config, AugmentOptions(), generator)
    assert pictures.shape == (12, 3, 96, 96)
    gap = (centres(pictures) - moved[:, [30, 48, 54]]).norm(dim=2) * 96
    assert gap.max() < 0.6
    spread = moved[:, 30].std(0)
    assert (spread > 0.01).all()  # it did move


def test_points_follow_mirroring():
    rng = np.random.default_rng(2)
    points = torch.from_numpy(np.stack([draw_face(rng)[1] for _ in range(16)]).astype(np.float32))
    units = (points + 0.5) / 128
    pictures, moved = mirror(spots(points), units, torch.Generator().manual_seed(0))
    flipped = (moved[:, 0, 0] != units[:, 0, 0]).nonzero()[:, 0]
    kept = (moved[:, 0, 0] == units[:, 0, 0]).nonzero()[:, 0]
    assert len(flipped) > 3 and len(kept) > 3
    torch.testing.assert_close(centres(pictures)[kept], moved[kept][:, [30, 48, 54]], atol=1e-3, rtol=0)
    # the spot at the left mouth corner is at the right one after mirroring
    torch.testing.assert_close(centres(pictures)[flipped], moved[flipped][:, [30, 54, 48]], atol=1e-3, rtol=0)
    assert MIRROR[48] == 54


def test_brows_rise_and_eyes_stay():
    points = torch.from_numpy((mean_shape() * 32 + [63.5, 58]) / 128).float()[None]
    lift = torch.tensor([0.03])
    shift = brow_shift(points, points, lift)
    assert shift[0, 36:].abs().max() < 5e-4 and shift[0, :3].abs().max() < 1e-6
    assert (shift[0, 18:26, 1] > 0.02).all() and shift[0, :, 0].abs().max() < 1e-6


@pytest.mark.parametrize(
    "change",
    [
        lambda x, g: changes.shade(x, g),
        lambda x, g: changes.recolour(x, 0.5, g),
        lambda x, g: changes.soften(x, 1.0, g),
        lambda x, g: changes.compress(x, 1.0, g),
        lambda x, g: changes.add_noise(x, g),
        lambda x, g: changes.occlude(x, 1.0, g),
        lambda x, g: changes.replace_background(x, torch.zeros(len(x), 1, 32, 32), 1.0, g),
    ],
    ids=["shade", "recolour", "soften", "compress", "add_noise", "occlude", "replace_background"],
)
def test_changes_keep_the_form_and_follow_the_generator(change):
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    before = images.clone()
    results = [change(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert results[0].shape == images.shape and torch.isfinite(results[0]).all()
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])
    assert torch.equal(images, before)  # inputs stay as they are


def test_shares_of_none_change_nothing(data):
    generator = torch.Generator().manual_seed(0)
    images = data.images[:4].float() / 255
    for change in (changes.occlude, changes.soften, changes.compress):
        assert torch.equal(change(images, 0.0, generator), images)
    assert torch.equal(changes.add_glasses(images, data.points[:4], 0.0, generator), images)
    assert torch.equal(changes.replace_background(images, torch.zeros(4, 1, 128, 128), 0.0, generator), images)


def test_background_keeps_the_head(data):
    images = data.images[:8].float() / 255
    mask = torch.zeros(8, 1, 128, 128)
    mask[..., 30:100, 30:100] = 1
    result = changes.replace_background(images, mask, 1.0, torch.Generator().manual_seed(0))
    head = mask.expand_as(images) == 1
    assert torch.equal(result[head], images[head])
    assert (result - images)[~head].abs().mean() > 0.05


def test_glasses_lie_around_the_eyes(data):
    images = data.images[:16].float() / 255
    result = changes.add_glasses(images, data.points[:16], 1.0, torch.Generator().manual_seed(0))
    changed = (result - images).abs().amax(1) > 0.02
    assert (changed.flatten(1).float().mean(1) > 0.005).all()
    rows = torch.arange(128)[None, :, None].expand_as(changed)
    eye_rows = data.points[:16, 36:48, 1].mean(1)
    assert (rows[changed] - eye_rows.repeat_interleave(changed.flatten(1).sum(1))).abs().max() < 32


def test_augmented_pictures_are_ready_for_the_network(data):
    pictures, points = augment(
        data.images[:8],
        data.points[:8],
        data.masks[:8] / 255,
        SMALL,
        AugmentOptions(),
        torch.Generator().manual_seed(0),
    )
    assert pictures.shape == (8, 3, 32, 32) and pictures.min() >= -1 and pictures.max() <= 1
    assert points.shape == (8, 68, 2)
    assert ((points[:, 17:] > 0) & (points[:, 17:] < 1)).float().mean() > 0.97


# ---------------------------------------------------------------------------------------------- loss and measure


def test_loss_is_least_at_the_truth():
    truth = torch.rand(2, 68, 2, generator=torch.Generator().manual_seed(0)) * 0.6 + 0.2
    truth[:, 36:42], truth[:, 42:48] = torch.tensor([0.3, 0.4]), torch.tensor([0.7, 0.4])

    def maps(points, sharpness=6.0):
        line = (torch.arange(24) + 0.5) / 24
        gap = (line - points[..., :1])[..., None, :] ** 2 + (line - points[..., 1:])[..., :, None] ** 2
        return -gap * 24 * sharpness

    losses = [float(landmark_loss(maps(truth + shift), truth, LandmarkLoss())) for shift in (0.0, 0.02, 0.1)]
    assert losses[0] < losses[1] < losses[2]
    outside = truth.clone()
    outside[:, 5] = 1.5
    assert landmark_loss(maps(truth), outside, LandmarkLoss()) == pytest.approx(losses[0], rel=0.2)


def test_framed_pictures_show_the_points_where_they_say(data):
    part = data.part(0, 10)
    spotted = replace(part, images=(spots(part.points) * 255).to(torch.uint8))
    config = replace(SMALL, input_size=96)
    for pictures, truth in framed(spotted, config):
        gap = (centres((pictures + 1) / 2) - truth[:, [30, 48, 54]]).norm(dim=2) * 96
        assert gap.max() < 0.5


def test_measure_is_in_inter_ocular_distances(data):
    class Oracle(torch.nn.Module):
        def __init__(self, answers, shift):
            super().__init__()
            self.config, self.answers, self.shift = SMALL, answers, shift
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, images):
            return self.answers + self.shift

    part = data.part(0, 10)
    truth = next(framed(part, SMALL))[1]
    eyes = (truth[:, 42:48].mean(1) - truth[:, 36:42].mean(1)).norm(dim=1)
    assert measure(Oracle(truth, 0.0), part) == 0
    assert measure(Oracle(truth, torch.tensor([0.03, 0.04])), part) == pytest.approx(float((0.05 / eyes).mean()), 1e-4)


# ---------------------------------------------------------------------------------------------- training


def task(data, config=SMALL, batch=4):
    return LandmarkTask(data, config, held_out=8, batch=batch)


def test_resumed_training_ends_like_an_uninterrupted_one(data, tmp_path):
    whole = Loop(task(data), tmp_path / "whole", OPTIONS).run()
    Loop(task(data), tmp_path / "parts", OPTIONS).run(stop_after=4)
    parts = Loop(task(data), tmp_path / "parts", OPTIONS).run()
    assert whole.read_bytes() == parts.read_bytes()
    curves = []
    for name in ("whole", "parts"):
        with open(tmp_path / name / "curves.csv", newline="") as file:
            curves.append([(r["step"], r["loss"], r["held_out_error"]) for r in csv.DictReader(file)])
    assert [r[0] for r in curves[0]] == ["3", "6"]
    assert curves[0] == curves[1]
    assert load_landmarks(whole).config == SMALL


def test_training_learns(data, tmp_path):
    options = replace(OPTIONS, steps=120, measure_every=40, average=0.9)
    Loop(task(data, batch=8), tmp_path, options).run()
    with open(tmp_path / "curves.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[-1]["loss"]) < 0.6 * float(rows[0]["loss"])
    assert float(rows[-1]["held_out_error"]) < 0.6 * float(rows[0]["held_out_error"])


def test_a_run_may_be_measured_in_time(data, tmp_path):
    loop = Loop(task(data), tmp_path, replace(OPTIONS, steps=None, minutes=0.002))
    loop.run()
    assert loop.step >= 1 and loop.seconds >= 0.12


def test_a_checkpoint_of_another_network_is_refused(data, tmp_path):
    Loop(task(data), tmp_path, OPTIONS).run(stop_after=1)
    with pytest.raises(InputError, match="another network"):
        Loop(task(data, replace(SMALL, decoder=16)), tmp_path, OPTIONS).run()


def test_options_that_make_no_run_are_refused(data, tmp_path):
    with pytest.raises(UsageError, match="steps or minutes"):
        Loop(task(data), tmp_path, replace(OPTIONS, steps=None))
    with pytest.raises(UsageError, match="too few"):
        LandmarkTask(data, SMALL, held_out=40)


def test_the_global_random_state_is_left_alone(data, tmp_path):
    before = torch.random.get_rng_state()
    Loop(task(data), tmp_path, OPTIONS).run(stop_after=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_command_line(tmp_path, capsys):
    folder = write_shards(tmp_path / "data", count=510, shards=1)
    out = tmp_path / "out"
    main(["--data", str(folder), "--out", str(out), "--steps", "1", "--device", "cpu", "--float32"])
    assert str(out / "landmarks.safetensors") in capsys.readouterr().out
    assert load_landmarks(out / "landmarks.safetensors").config == LandmarkConfig()
