"""The recipes of the emotion classifier and the identity embedding, on drawn faces."""

import csv
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from latentface import pretrained
from latentface.errors import InputError, UsageError, WeightsError
from latentface.networks.classifier import EmotionNet
from latentface.networks.landmarks import LandmarkConfig, LandmarkNet
from latentface.networks.trunk import TrunkConfig
from latentface.pretrained.native import read_network, write_network
from latentface.training import emotion, identity
from latentface.training.emotion import EmotionTask
from latentface.training.faces import FaceData, load_faces
from latentface.training.identity import IdentityTask, contrastive_loss, cosines, discriminant
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


def test_emotions_are_learnt(data, tmp_path, gently):
    path = Loop(EmotionTask(data, SMALL, held_out=20, batch=16), tmp_path, OPTIONS).run()
    rows = curve(tmp_path)
    assert [row["step"] for row in rows] == [50, 100]
    assert rows[-1]["loss"] < 1.2 and rows[-1]["held_out_accuracy"] >= 0.8
    network = pretrained.load_emotion(path)
    answers = network(data.crops(torch.arange(len(data)), torch.device("cpu"))).argmax(1)
    assert (answers == data.labels["emotion"]).float().mean() > 0.8


def test_people_are_learnt(data, tmp_path, gently):
    path = Loop(IdentityTask(data, SMALL, held_out=4, pairs=6), tmp_path, replace(OPTIONS, steps=100)).run()
    first, last = curve(tmp_path)[0], curve(tmp_path)[-1]
    assert last["loss"] < first["loss"]
    assert last["same"] > last["different"] + 0.2
    assert pretrained.load_identity(path).config == SMALL


def test_batches_hold_all_views_of_pairs(data):
    task = IdentityTask(data, SMALL, held_out=4, pairs=3)
    pictures, persons = task.draw(torch.Generator().manual_seed(0))
    assert pictures.shape == (3 * 2 * VIEWS, 3, 32, 32) and pictures.min() >= -1 and pictures.max() <= 1
    people, counts = persons.unique(return_counts=True)
    assert counts.tolist() == [VIEWS] * 6 and (people[::2] + 1 == people[1::2]).all() and people.max() < 32
    assert set(data.labels["head"][task.held].tolist()) == set(range(32, 40))


def test_emotion_batches_leave_out_what_is_held(data):
    task = EmotionTask(replace(data, images=data.images.clone()), SMALL, held_out=100, batch=64)
    task.data.images[:20], task.data.images[20:] = 0, 255
    flat = task.draw(torch.Generator().manual_seed(0))[0].mean((1, 2, 3))
    assert flat.mean() < 0


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
        EmotionTask(data, SMALL, held_out=120)
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
    load = pretrained.load_emotion if name == "emotion" else pretrained.load_identity
    assert load(out / f"{name}.safetensors").config == TrunkConfig()


def test_a_trunk_begins_from_the_encoder_of_a_landmark_network(tmp_path):
    widths = SMALL.widths
    config = LandmarkConfig(input_size=32, widths=widths, decoder=8)
    write_network(tmp_path / "a", "landmarks", asdict(config), LandmarkNet(config).state_dict(), dtype=torch.float32)
    theirs, network = read_network(tmp_path / "a").state, EmotionNet(SMALL)
    head = network.head.weight.clone()
    begin_from(network, tmp_path / "a")
    assert torch.equal(network.trunk.deep.conv1.weight, theirs["deep.conv1.weight"])
    assert torch.equal(network.trunk.stem.weight, theirs["stem.weight"]) and torch.equal(network.head.weight, head)
    write_network(tmp_path / "b", "other", {}, {"scale": torch.ones(1)})
    with pytest.raises(WeightsError, match="no tensor fits"):
        begin_from(network, tmp_path / "b")
