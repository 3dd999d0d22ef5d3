"""The recipes of the emotion classifier and the identity embedding, on drawn faces."""

import csv
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from latentface import pretrained
from latentface.errors import InputError, UsageError, WeightsError
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet
from latentface.networks.trunk import FaceTrunk, TrunkConfig
from latentface.pretrained.native import read_network, write_network
from latentface.training import emotion, identity
from latentface.training.emotion import EmotionTask
from latentface.training.faces import FaceData, load_faces
from latentface.training.identity import IdentityTask, contrastive_loss, cosines, discriminant, join, settle
from latentface.training.landmark_augmentation import AugmentOptions
from latentface.training.loop import Loop, LoopOptions, begin_from

SMALL = TrunkConfig(input_size=32, widths=(8, 16, 16, 16), summary=8, features=16)
OPTIONS = LoopOptions(
    steps=100, measure_every=50, warm_up=4, learning_rate=5e-3, average=0.9, bfloat16=False, minutes=None
)
VIEWS = 3


def draw_face(rng, mouth, skin, nose):
    """A face of a skin and a length of nose whose mouth is a line, open or bent, somewhere on a plain ground."""
    picture = Image.new("RGB", (96, 96), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    draw.ellipse([18, 10, 78, 94], fill=skin)
    for x in (36, 60):
        draw.ellipse([x - 5, 42, x + 5, 50], fill=(20, 20, 20))
    draw.line([48, 50, 48, 50 + nose], fill=(60, 30, 20), width=4)
    if mouth == 1:
        draw.ellipse([36, 72, 60, 88], fill=(80, 10, 10))
    else:
        draw.line([34, 78, 62, 78], fill=(80, 10, 10), width=3)
    return np.asarray(picture)


def write_shards(folder, people=40):
    """Persons 2k and 2k + 1 share the skin and differ by the nose; emotions 0 and 1 differ by the mouth."""
    rng = np.random.default_rng(0)
    emotions = rng.integers(0, 2, people * VIEWS)
    heads = np.repeat(np.arange(people), VIEWS)
    skins = rng.integers(90, 250, (people // 2, 3))
    faces = [
        draw_face(rng, mouth, tuple(skins[head // 2].tolist()), 4 + 16 * (head % 2))
        for mouth, head in zip(emotions, heads, strict=True)
    ]
    points = np.full((len(faces), 68, 2), 48.0, np.float32)
    points[:, 36:42], points[:, 42:48] = (36, 46), (60, 46)
    folder.mkdir(exist_ok=True)
    np.savez(folder / "shard-00000.npz", images=np.stack(faces), landmarks=points, emotion=emotions, head=heads)
    return folder


@pytest.fixture
def gently(monkeypatch):
    """Few changes, so that a small network learns in seconds."""
    none = {f"{name}_share": 0.0 for name in ("background", "glasses", "occluder", "grey", "soften", "compress")}
    changes = AugmentOptions(rotation=2.0, log_scale=0.02, shift=0.01, **none)
    monkeypatch.setattr(emotion, "CHANGES", changes)
    monkeypatch.setattr(identity, "CHANGES", changes)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> FaceData:
    return load_faces([write_shards(tmp_path_factory.mktemp("shards"))], ("emotion", "head"))


def curve(folder):
    with open(folder / "curves.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def landmark_network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LandmarkNet(LandmarkConfig(input_size=32, widths=(8, 16, 16, 16), decoder=8)).eval()


def test_emotions_are_learnt(data, tmp_path, gently):
    task = EmotionTask(data, landmark_network(), held_out=20, copies=3, batch=32)
    path = Loop(task, tmp_path, OPTIONS).run()
    rows = curve(tmp_path)
    assert [row["step"] for row in rows] == [50, 100]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"] and rows[-1]["held_out_accuracy"] > 0.5
    network = pretrained.load_emotion(path)
    answers = network(data.crops(torch.arange(len(data)), torch.device("cpu"))).argmax(1)
    assert (answers == data.labels["emotion"]).float().mean() > 0.65


def test_people_are_learnt(data, tmp_path, gently):
    task = IdentityTask(data, SMALL, held_out=4, pairs=6)
    loop = Loop(task, tmp_path, OPTIONS)
    loop.run()
    rows = curve(tmp_path)
    assert rows[-1]["loss"] < rows[0]["loss"]
    network = join(loop.averaged, landmark_network())
    assert torch.equal(network.trunk.stem.weight, loop.averaged.stem.weight)
    settle(network, task, torch.Generator().manual_seed(0))
    figures = task.compare(network)
    assert figures["same"] > figures["different"] + 0.2 and abs(figures["different"]) < 0.2


def test_batches_hold_all_views_of_pairs(data):
    task = IdentityTask(data, SMALL, held_out=4, pairs=3)
    pictures, persons = task.sample_batch(torch.Generator().manual_seed(0))
    assert pictures.shape == (3 * 2 * VIEWS, 3, 32, 32) and pictures.min() >= -1 and pictures.max() <= 1
    people, counts = persons.unique(return_counts=True)
    assert counts.tolist() == [VIEWS] * 6 and (people[::2] + 1 == people[1::2]).all() and people.max() < 32
    assert set(data.labels["head"][task.held].tolist()) == set(range(32, 40))


def test_emotions_stand_on_the_landmark_network_as_it_is(data, tmp_path):
    landmarks = landmark_network()
    task = EmotionTask(data, landmarks, held_out=100, copies=2)
    assert len(task.seen) == len(task.emotions) == 3 * (len(data) - 100) and len(task.held) == 100
    plain, first, second = task.seen.float().chunk(3)
    assert not torch.equal(plain, first) and not torch.equal(first, second)  # augmented anew
    loop = Loop(task, tmp_path, OPTIONS)
    loop.run(stop_after=2)
    for name, value in landmarks.state_dict().items():
        assert torch.equal(loop.network.landmarks.state_dict()[name], value)
    torch.testing.assert_close(loop.averaged.mean, plain.mean(0))


def test_what_is_seen_keeps_its_emotion(data, gently):
    marked = replace(data, labels={"emotion": torch.arange(len(data))})
    task = EmotionTask(marked, landmark_network(), held_out=100, copies=1, batch=32)
    task.deviation = torch.zeros_like(task.deviation)  # not shaken
    for row, number in zip(*task.sample_batch(torch.Generator().manual_seed(0)), strict=True):
        places = (task.seen.float() == row).all(1).nonzero()[:, 0]
        assert int(number) in (places % 20).tolist() and number < 20


def test_contrastive_loss_is_least_when_persons_keep_together():
    persons = torch.tensor([0, 0, 1, 1])
    axes = torch.eye(2)
    right, wrong = axes[[0, 0, 1, 1]], axes[[0, 1, 0, 1]]
    # together: log of e^10 + 2 over e^10; apart: log of 2 + e^10
    assert float(contrastive_loss(right, persons)) == pytest.approx(np.log1p(2 * np.exp(-10)), abs=1e-6)
    assert float(contrastive_loss(wrong, persons)) == pytest.approx(np.log(2 + np.exp(10)), abs=1e-3)


def test_contrastive_loss_gradient():
    vectors = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    persons = torch.tensor([0, 0, 0, 1, 1, 2, 2][:6])
    persons[5] = 1
    assert torch.autograd.gradcheck(lambda v: contrastive_loss(v, persons), (vectors,))


def test_discriminant_finds_what_tells_people_apart():
    generator = torch.Generator().manual_seed(0)
    persons = torch.arange(60).repeat_interleave(5)
    vectors = 7 + 2 * torch.randn(300, 6, generator=generator, dtype=torch.float64)  # a common part, loud noise
    vectors[:, 2] = 7 + torch.randn(60, generator=generator).double()[persons] + 0.1 * vectors[:, 2]
    vectors[:, 4] = torch.randn(60, generator=generator).double()[persons] + 0.1 * vectors[:, 4]
    vectors[:, 5] += 5 * vectors[:, 2]
    weight, bias = discriminant(vectors, persons, 2)
    found = vectors @ weight.T + bias
    torch.testing.assert_close(found.mean(0), torch.zeros(2).double(), atol=1e-9, rtol=0)
    figures = cosines(torch.nn.functional.normalize(found, dim=1), persons)
    plain = cosines(torch.nn.functional.normalize(vectors, dim=1), persons)
    assert figures["same"] - figures["different"] > 0.3 > plain["same"] - plain["different"]


def test_cosines_by_relation():
    vectors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    figures = cosines(vectors, torch.tensor([4, 4, 5, 9]))
    assert figures["same"] == pytest.approx(0.8)
    assert figures["look_alike"] == pytest.approx((0.0 + 0.6) / 2)
    assert figures["different"] == pytest.approx((0.0 + 0.6 - 1.0 - 0.8 + 0.0) / 5)


def test_data_that_cannot_serve_is_refused(data):
    with pytest.raises(UsageError, match="too few"):
        EmotionTask(data, landmark_network(), held_out=120)
    with pytest.raises(InputError, match="--views"):
        IdentityTask(data, SMALL, held_out=19)
    single = replace(data, labels={"head": torch.arange(len(data))})
    with pytest.raises(InputError, match="--views"):
        IdentityTask(single, SMALL, held_out=4)


@pytest.mark.parametrize(
    ("recipe", "name"), [(emotion, "emotion"), (identity, "identity")], ids=["emotion", "identity"]
)
def test_command_lines(recipe, name, tmp_path, capsys, monkeypatch):
    folder = write_shards(tmp_path / "data", people=200)
    out = tmp_path / "out"
    recipe.main(["--data", str(folder), "--out", str(out), "--steps", "1", "--device", "cpu", "--float32"])
    assert str(out / f"{name}.safetensors") in capsys.readouterr().out
    network = getattr(pretrained, f"load_{name}")(out / f"{name}.safetensors")
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7 if name == "emotion" else 32)


def test_a_trunk_begins_from_the_encoder_of_a_landmark_network(tmp_path):
    widths = SMALL.widths
    config = LandmarkConfig(input_size=32, widths=widths, decoder=8)
    write_network(tmp_path / "a", "landmarks", asdict(config), LandmarkNet(config).state_dict(), dtype=torch.float32)
    theirs, network = read_network(tmp_path / "a").state, FaceTrunk(SMALL)
    last = network.out.weight.clone()
    begin_from(network, tmp_path / "a")
    assert torch.equal(network.deep.conv1.weight, theirs["deep.conv1.weight"])
    assert torch.equal(network.stem.weight, theirs["stem.weight"]) and torch.equal(network.out.weight, last)
    write_network(tmp_path / "b", "other", {}, {"scale": torch.ones(1)})
    landmarks = LandmarkNet(config)
    landmarks.offsets.fill_(0.5)
    begin_from(landmarks, tmp_path / "a")
    assert torch.equal(landmarks.stem.weight, theirs["stem.weight"])
    assert float(landmarks.offsets.min()) == 0.5  # a buffer is the task's own
    with pytest.raises(WeightsError, match="no tensor fits"):
        begin_from(network, tmp_path / "b")
