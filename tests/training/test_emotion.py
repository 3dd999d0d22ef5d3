"""The recipe of the emotion classifier, on drawn people."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from latentface import pretrained
from latentface.errors import UsageError, WeightsError
from latentface.io.tensors import read_tensors
from latentface.training import emotion
from latentface.training.emotion import EmotionTask, gather
from latentface.training.loop import Loop, LoopOptions
from tests.helpers.curves import read_curve
from tests.helpers.drawn_people import landmark_network
from tests.helpers.portrait_folder import write_driven, write_fits, write_folder

OPTIONS = LoopOptions(
    steps=100, measure_every=50, warm_up=4, learning_rate=5e-3, average=0.9, bfloat16=False, minutes=None
)


def test_emotions_are_learnt(people, tmp_path, gently):
    task = EmotionTask(people, landmark_network(), held_out=20, copies=3, batch=32)
    path = Loop(task, tmp_path, OPTIONS).run()
    rows = read_curve(tmp_path)
    assert [row["step"] for row in rows] == [50, 100]
    assert rows[-1]["loss"] < 0.8 * rows[0]["loss"] and rows[-1]["held_out_accuracy"] > 0.5
    network = pretrained.load_emotion(path)
    answers = network(people.crops(torch.arange(len(people)), torch.device("cpu"))).argmax(1)
    assert (answers == people.labels["emotion"]).float().mean() > 0.65


def test_emotions_stand_on_the_landmark_network_as_it_is(people, tmp_path):
    landmarks = landmark_network()
    task = EmotionTask(people, landmarks, held_out=100, copies=2)
    assert len(task.seen) == len(task.emotions) == 3 * (len(people) - 100) and len(task.held) == 100
    plain, first, second = task.seen.float().chunk(3)
    assert not torch.equal(plain, first) and not torch.equal(first, second)  # augmented anew
    loop = Loop(task, tmp_path, OPTIONS)
    loop.run(stop_after=2)
    for name, value in landmarks.state_dict().items():
        assert torch.equal(loop.network.landmarks.state_dict()[name], value)
    torch.testing.assert_close(loop.averaged.mean, plain.mean(0))


def test_what_is_seen_keeps_its_emotion(people, gently):
    marked = replace(people, labels={"emotion": torch.arange(len(people))})
    task = EmotionTask(marked, landmark_network(), held_out=100, copies=1, batch=32)
    task.deviation = torch.zeros_like(task.deviation)  # not shaken
    for row, number in zip(*task.sample_batch(torch.Generator().manual_seed(0)), strict=True):
        places = (task.seen.float() == row).all(1).nonzero()[:, 0]
        assert int(number) in (places % 20).tolist() and number < 20


def test_too_few_pictures_are_refused(people):
    with pytest.raises(UsageError, match="too few"):
        EmotionTask(people, landmark_network(), held_out=120)


def test_command_line(tmp_path, capsys):
    faces, driven = write_folder(tmp_path / "faces", 14), write_driven(tmp_path / "driven", 14)
    write_fits(driven / "fits.jsonl", faces, smiling=range(7))
    out = tmp_path / "out"
    words = ["--faces", str(faces), "--rigged", str(driven), "--out", str(out)]
    emotion.main([*words, "--steps", "1", "--device", "cpu", "--float32"])
    assert str(out / "emotion.safetensors") in capsys.readouterr().out
    stored = read_tensors(out / "emotion.safetensors", WeightsError, "")[0]
    assert stored and not any(name.startswith("landmarks.") for name in stored)  # that network is built in
    network = pretrained.load_emotion(out / "emotion.safetensors")
    assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 7)


def test_who_is_held_out_comes_last(tmp_path):
    faces, driven = write_folder(tmp_path / "faces", 14), write_driven(tmp_path / "driven", 14)
    write_fits(driven / "fits.jsonl", faces, smiling=range(7))
    data, held_out = gather(faces, driven)
    assert held_out == 2 and data.labels["emotion"][-2:].tolist() == [1, 1]
    assert len(data) == 14 + 2 * min((data.labels["emotion"] == 0).sum().item(), 7)
