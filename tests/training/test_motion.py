"""Training the motion model: its losses, its pairs, its trainer, rendered clips and the user's own."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface.errors import InputError, WeightsError
from latentface.faces.crop import MIRROR
from latentface.io.video import write_clip
from latentface.networks.motion import Keypoints, MotionModel
from latentface.networks.motion.geometry import grid, invert, multiply
from latentface.synthface import clips as rendered
from latentface.synthface.renderer import Renderer
from latentface.training import motion_losses as losses
from latentface.training.motion import MotionTrainer, held_out_psnr
from latentface.training.motion_clips import check_clip, find_clips, gather, person_of
from latentface.training.motion_data import GUIDES, Clips, load_rendered, sample_pairs
from latentface.training.motion_recipe import Recipe, Stage, grow, staged, start_from
from tests.helpers.films import film, moving
from tests.helpers.motion_models import CONFIG
from tests.helpers.tiny_head import tiny_library


class Pixels(torch.nn.Module):
    """A perceptual network's stand-in."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).square().mean()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ------------------------------------------------------------------------------------------------- losses


def test_the_derivative_of_a_bend_is_that_of_autograd() -> None:
    bend = losses.RandomBend.sample(2, torch.zeros(1), seeded())
    z = torch.rand(2, 7, 2, generator=seeded(1)) * 2 - 1
    wanted = torch.autograd.functional.jacobian(lambda points: bend(points).sum((0, 1)), z)  # [2, N, M, 2]
    assert torch.allclose(bend.derivative(z), wanted.permute(1, 2, 0, 3), atol=1e-4)


def test_keypoints_that_follow_the_bend_cost_nothing() -> None:
    bend = losses.RandomBend.sample(1, torch.zeros(1), seeded())
    at = torch.rand(1, 4, 2, generator=seeded(2)) - 0.5
    jacobian = torch.eye(2) + 0.1 * torch.randn(1, 4, 2, 2, generator=seeded(3))
    driving = Keypoints(bend(at), multiply(bend.derivative(at), jacobian))
    value, matrix = losses.equivariance(driving, Keypoints(at, jacobian), bend)
    assert float(value) < 1e-6
    assert float(matrix) < 1e-4
    value, matrix = losses.equivariance(Keypoints(at, jacobian), Keypoints(at, jacobian), bend)
    assert float(value) > 1e-3
    assert float(matrix) > 1e-3


def test_a_bent_picture_shows_at_z_what_was_at_t_of_z() -> None:
    bend = losses.RandomBend.sample(1, torch.zeros(1), seeded())
    z = grid(65, 65, torch.zeros(1))
    ramp = z.permute(2, 0, 1)[None]  # a picture whose colours are its positions
    bent = bend.bend(torch.cat([ramp, ramp[:, :1]], 1))[0, :2].permute(1, 2, 0)
    wanted = bend(z.view(1, -1, 2)).view(65, 65, 2)
    inside = (wanted.abs() < 0.95).all(-1)
    assert torch.allclose(bent[inside], wanted[inside], atol=1e-4)


def test_the_field_that_brings_landmarks_together_costs_nothing() -> None:
    driving = torch.rand(1, 51, 2, generator=seeded()) - 0.5
    shift = torch.tensor([0.2, -0.1])
    field = grid(33, 33, driving)[None] + shift
    assert float(losses.flow_error(field, driving, driving + shift)) < 1e-5
    assert float(losses.flow_error(field, driving, driving)) == pytest.approx(0.15, abs=1e-4)


def test_a_mask_costs_least_where_every_place_follows_its_own_keypoint() -> None:
    points = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.0, 0.5]]])
    places = points + 0.01
    nearest = torch.cdist(points, grid(17, 17, points).view(1, -1, 2)).argmin(1).view(1, 17, 17)
    own, first, ground = (torch.nn.functional.one_hot(each, 4).permute(0, 3, 1, 2).float()
                          for each in (nearest + 1, torch.ones_like(nearest), torch.zeros_like(nearest)))  # fmt: skip
    costs = [float(losses.mask_error(mask, places, points)) for mask in (own, first, ground)]
    assert costs[0] < 0.01 < 1 < costs[1] < costs[2]


def test_a_pyramid_keeps_colours_and_leaves_out_what_is_too_small() -> None:
    levels = losses.Pyramid()(torch.full((1, 3, 128, 128), 0.5))
    assert {scale: level.shape[-1] for scale, level in levels.items()} == {1.0: 128, 0.5: 64, 0.25: 32}
    assert torch.allclose(levels[0.25][..., 8:-8, 8:-8], torch.tensor(0.5), atol=1e-5)


def test_least_squares_adversarial_terms() -> None:
    def maps(value: float, feature: float) -> dict[str, losses.Maps]:
        return {"1": ([torch.full((1, 2, 3, 3), feature)] * 4, torch.full((1, 1, 3, 3), value))}

    assert float(losses.generator_gan(maps(1.0, 0))) == 0
    assert float(losses.generator_gan(maps(0.0, 0))) == 1
    assert float(losses.discriminator_gan(maps(1.0, 0), maps(0.0, 0))) == 0
    assert float(losses.discriminator_gan(maps(0.5, 0), maps(0.5, 0))) == 0.5
    assert float(losses.feature_matching(maps(1, 2.0), maps(1, 1.5))) == 2.0


def test_vgg19_is_read_from_torchvision_s_file(tmp_path: Path) -> None:
    state, inputs, index = {}, 3, 0
    for widths in ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4):
        for width in widths:
            state[f"features.{index}.weight"] = torch.full((1,), 1e-3).expand(width, inputs, 3, 3)
            state[f"features.{index}.bias"] = torch.zeros(1).expand(width)
            inputs, index = width, index + 2
        index += 1
    torch.save(state, tmp_path / "vgg19.pth")
    network = losses.Vgg19(tmp_path / "vgg19.pth")
    picture = torch.rand(1, 3, 32, 32, generator=seeded())
    assert [level.shape[1:] for level in network.features(picture)] == [
        (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4), (512, 2, 2),
    ]  # fmt: skip
    assert float(network(picture, picture)) == 0
    assert float(network(picture, 1 - picture)) > 0
    torch.save({"features.0.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="VGG-19"):
        losses.Vgg19(tmp_path / "other.pth")


# ------------------------------------------------------------------------------------------------- pairs


def dotted(count: int = 6, frames: int = 3, side: int = 64) -> Clips:
    """Black pictures with a white dot at landmark 30, the others scattered."""
    rng = np.random.default_rng(0)
    pictures, landmarks = [], []
    for _ in range(count):
        points = rng.uniform(12, side - 13, (frames, 68, 2)).astype(np.float32)
        points[:, 30] = points[:, 30].round()
        clip = np.zeros((frames, side, side, 3), np.uint8)
        for k in range(frames):
            x, y = points[k, 30].astype(int)
            clip[k, y - 1 : y + 2, x - 1 : x + 2] = 255
        pictures.append(clip)
        landmarks.append(points)
    return Clips(tuple(pictures), tuple(map(str, range(count))), tuple(landmarks))


def test_landmarks_move_with_their_pictures() -> None:
    assert MIRROR[30] == 30
    batch = sample_pairs(dotted(), 8, 64, np.random.default_rng(1))
    assert batch.source.shape == (8, 3, 64, 64)
    assert batch.source_landmarks is not None
    z = grid(64, 64, batch.source)
    for picture, landmarks in zip(batch.source, batch.source_landmarks, strict=True):
        weight = (picture.mean(0) - picture.mean(0).median()).clamp(min=0)
        centre = (z * weight[..., None]).sum((0, 1)) / weight.sum()
        if landmarks[30].abs().max() < 0.9:
            assert torch.allclose(centre, landmarks[30], atol=0.02)


def test_smaller_pictures_are_averaged_not_sampled() -> None:
    batch = sample_pairs(dotted(), 2, 32, np.random.default_rng(1))
    assert batch.driving.shape == (2, 3, 32, 32)


def test_pairs_are_of_one_person_and_without_landmarks_where_none_are_known() -> None:
    flat = tuple(np.full((4, 16, 16, 3), value, np.uint8) for value in (20, 120, 220))
    clips = Clips(flat, ("a", "b", "b"))
    batch = sample_pairs(clips, 40, 16, np.random.default_rng(0))
    assert batch.source_landmarks is None
    assert torch.allclose(batch.source, batch.driving)  # frames of one clip, recoloured alike
    assert len(batch.source.mean((1, 2, 3)).unique()) > 20


# ------------------------------------------------------------------------------------------------- trainer

TINY = Recipe(
    network=replace(CONFIG, num_keypoints=len(GUIDES), scale=0.5), stages=(Stage(16, 8, 4), Stage(32, 8, 4)), pixel=1.0,
    guide_weight=1.0, learning_rate=1e-3, warm_up=4,
)  # fmt: skip


def trainer(out: Path, recipe: Recipe = TINY) -> MotionTrainer:
    out.mkdir(exist_ok=True)
    return MotionTrainer(recipe, dotted(side=32), dotted(2, side=32), Pixels(), out, bfloat16=False)


def weights_of(model: MotionModel) -> list[torch.Tensor]:
    return [value.clone() for value in model.state_dict().values()]


def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = weights_of(trainer(tmp_path / "whole").run())
    assert trainer(tmp_path / "parts").run(minutes=0).config.resolution == 16  # one step
    parts = trainer(tmp_path / "parts")
    assert parts.steps == 1
    again = parts.run()
    assert again.config == TINY.network
    assert all(torch.equal(a, b) for a, b in zip(whole, weights_of(again), strict=True))


def test_where_the_generator_rests_the_motion_alone_is_trained(tmp_path: Path) -> None:
    stages = (Stage(32, 8, 4, motion_only=True), Stage(32, 8, 4))
    run = trainer(tmp_path / "whole", replace(TINY, stages=stages))
    before = {name: value.clone() for name, value in run.model.named_parameters()}
    run.run(minutes=0)  # one step
    changed = {name for name, value in run.model.named_parameters() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith(("kp_detector.", "generator.dense_motion_network.")) for name in changed)
    assert {"places", "flow", "mask", "warped"} == set(run._recent[0])
    whole = weights_of(run.run())
    assert "perceptual" in run._recent[-1]
    trainer(tmp_path / "parts", replace(TINY, stages=stages)).run(minutes=0)
    again = weights_of(trainer(tmp_path / "parts", replace(TINY, stages=stages)).run())
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_a_training_starts_from_what_fits_of_another_network(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        other = MotionModel(replace(CONFIG, num_keypoints=3, scale=0.25))
    (tmp_path / "run").mkdir()
    run = MotionTrainer(TINY, dotted(side=32), dotted(2, side=32), Pixels(), tmp_path / "run", start=other)
    for model in (run.model, run.average):
        ours, theirs = model.state_dict(), other.state_dict()
        assert torch.equal(ours["generator.first.conv.weight"], theirs["generator.first.conv.weight"])
        assert ours["kp_detector.kp.weight"].shape != theirs["kp_detector.kp.weight"].shape
    fresh = MotionModel(staged(TINY.network, 16)).state_dict()
    start_from(run.model, other.state_dict())
    for name in fresh:
        if name.endswith("down.weight"):  # these low passes are no knowledge
            assert torch.equal(run.model.state_dict()[name], fresh[name])


def test_training_brings_the_losses_down(tmp_path: Path) -> None:
    clips = dotted(side=32)
    alike = replace(clips, landmarks=clips.landmarks[:1] * 6)
    recipe = replace(TINY, stages=(Stage(32, 196, 4),), guide_weight=10.0, learning_rate=5e-3)
    run = MotionTrainer(recipe, alike, clips[:2], Pixels(), tmp_path, bfloat16=False)
    run.run()
    first, last = run._recent[:8], run._recent[-8:]
    for part in ("places", "flow"):
        assert np.mean([row[part] for row in last]) < 0.9 * np.mean([row[part] for row in first])


def test_curves_and_sheets_are_written(tmp_path: Path) -> None:
    run = trainer(tmp_path, replace(TINY, stages=(Stage(16, 400, 2),)))
    run.run()
    with open(tmp_path / "curves.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["seen"]) for row in rows] == [100, 200, 300, 400]
    assert {"perceptual", "pixel", "equivariance", "places", "flow", "mask"} <= set(rows[0])
    assert float(rows[-1]["psnr"]) > 0
    assert (tmp_path / "sheet.png").exists()


def test_a_discriminator_is_trained_only_when_it_is_asked_for(tmp_path: Path) -> None:
    assert trainer(tmp_path / "without").discriminator is None
    recipe = replace(TINY, network=replace(CONFIG, num_keypoints=len(GUIDES), resolution=64), stages=(Stage(64, 4, 2),))
    run = MotionTrainer(
        replace(recipe, generator_gan=1.0), dotted(side=64), dotted(1, side=64), Pixels(), tmp_path, bfloat16=False
    )
    assert run.discriminator is not None
    before = [value.clone() for value in run.discriminator.parameters()]
    run.run()
    assert {"gan", "feature_matching", "discriminator"} <= set(run._recent[0])
    assert not all(torch.equal(a, b) for a, b in zip(before, run.discriminator.parameters(), strict=True))


def test_a_grown_network_finds_the_same_keypoints_in_a_larger_picture() -> None:
    config = replace(CONFIG, resolution=64, scale=0.25)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        small, large, other = (MotionModel(size).eval() for size in (staged(config, 32), config, config))
    grow(large, small.state_dict())
    x = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    smooth = torch.sin(3 * x) * torch.cos(2 * x.transpose(2, 3))
    halved = torch.nn.functional.avg_pool2d(smooth, 2)
    with torch.no_grad():
        wanted = small.keypoints(halved).value
        assert float((large.keypoints(smooth).value - wanted).abs().max()) < 0.06
        assert float((other.keypoints(smooth).value - wanted).abs().max()) > 0.2


def test_held_out_psnr_is_that_of_the_rebuilt_frames() -> None:
    model = MotionModel(CONFIG).eval()
    assert 0 < held_out_psnr(model, dotted(3, side=32), 32) < 40


# ------------------------------------------------------------------------------------------------- clips


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
    clips = load_rendered(tmp_path)
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


def test_a_folder_without_rendered_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no clips-\*\.npz"):
        load_rendered(tmp_path)


def test_bad_clips_are_left_out_with_the_reason(tmp_path: Path) -> None:
    good = film(tmp_path / "anna#1.mp4", [0, 40, 80, 120])
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "cut.mp4").write_bytes(good.read_bytes()[:-600])
    write_clip(tmp_path / "one.mp4", moving(1))
    still = [next(iter(moving(1))).pixels] * 5
    write_clip(tmp_path / "still", moving(1).of(still, 25, (64, 48)))
    write_clip(tmp_path / "frames", moving(3))
    locked = good.read_bytes().replace(b"mp4v", b"encv")
    (tmp_path / "locked.mp4").write_bytes(locked)
    heard: list[str] = []
    clips, checked = gather(find_clips([tmp_path]), 32, lambda clip: heard.append(clip.path.name))
    reasons = {clip.path.name: clip.reason for clip in checked}
    assert heard == sorted(reasons)
    assert {name for name, reason in reasons.items() if not reason} == {"anna#1.mp4", "frames"}
    for name, reason in {
        "empty.mp4": "empty", "noise.mp4": "not a clip", "cut.mp4": "", "one.mp4": "a single frame",
        "still": "identical", "locked.mp4": "encrypted",
    }.items():  # fmt: skip
        assert reasons[name], name
        assert reason in reasons[name], reasons[name]
    assert clips.people == ("anna", "frames")
    assert [len(clip) for clip in clips.pictures] == [4, 3]
    assert clips.pictures[0].shape[1:] == (32, 32, 3)


def test_long_clips_keep_frames_spread_over_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.mp4"
    write_clip(path, moving(150))
    checked, frames = check_clip(path, 16)
    assert checked.frames == 150
    assert frames is not None
    assert len(frames) == 32
    assert person_of(Path("id1#v#2#3.mp4")) == "id1"


def test_clips_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        find_clips([tmp_path / "nothing"])
    with pytest.raises(InputError, match="no video and no folder of frames"):
        find_clips([tmp_path])


def test_inverse_jacobians_survive_a_training_step() -> None:
    flat = torch.zeros(1, 1, 2, 2, requires_grad=True)
    invert(flat).sum().backward()
    assert flat.grad is not None
    assert bool(torch.isfinite(flat.grad).all())
