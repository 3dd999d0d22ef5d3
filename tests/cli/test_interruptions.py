"""Ctrl-C, a full disk and a folder that takes no files, at every stage of writing of every verb: no half file is left
under any name, what is finished is whole, and the next run works."""

from __future__ import annotations

import errno
import importlib
import os
import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api, hub
from latentface.completion import complete
from latentface.editing import stylisation
from latentface.faces import alignment
from latentface.io.clip import Sound
from latentface.io.video import write_clip
from latentface.latents.latent import Direction, Latent
from latentface.motion.head_stream import pack_clip, to_bytes
from latentface.networks.translation import TranslationConfig, TranslationNet
from latentface.pretrained.directions import write_directions
from latentface.training import motion
from latentface.training.stories import stories
from latentface.training.translation import save
from tests.helpers.cli_desk import Desk, Outcome, place_points
from tests.helpers.films import film
from tests.helpers.motion_models import CONFIG, Wander, best_skin, write_motion_model
from tests.helpers.stand_in_networks import stand_in_networks
from tests.helpers.talking_heads import talking_head, write_talking_head
from tests.helpers.tiny_cast import write_tiny_network

NAMES = ("happiness", "joy", "neutral")  # the last may be learnt like any other, and no emotion is led there
QUICK = ("--steps", 2)  # of a projection, which only the first run needs
OWN = """
import latentface
teller = latentface.Recogniser(lambda crops: [[0.2, 0.8]] * len(crops), ("neutral", "surprised"), 64)
"""

#: Verb -> its words but for the network and the output.
VERBS: dict[str, tuple[object, ...]] = {
    "sample": ("--seeds", "0-3"),
    "project": ("in/anna.png", "in/ben.png", "--steps", 2, "--batch", 1),
    "edit": ("in/anna.png", "--set", "joy=1", "--strip", "joy", "--grid", "joy", "happiness", "--save-latent", *QUICK),
    "transfer": ("--identity", "in/anna.png", "--expression", "in/ben.png", *QUICK),
    "video": ("in/anna.png", "--emotions", "happiness", "--seconds", 0.4, "--place", "warp", *QUICK),
    "animate": ("--source", "in/anna.png", "--driving", "in/driver.mp4", "--engine", "motion"),
    "directions import": ("in/axis.npy",),
    "directions show": ("joy",),
    "directions fit": ("in/calm", "in/glad", "--folds", 2),
    "sequence predict": ("--seconds", 5),
    "sequence read": ("in/driver.mp4", "--recogniser", "in/own.py:teller"),
    "sequence fit": (*(f"in/story-{k}.json" for k in range(12)), "--steps", 1),
    "weights export": ("--format", "rosinality"),
    "train motion": ("in/driver.mp4", "--pairs", 2, "--batch", 2),
    "check": ("in/driver.mp4",),
    "composite": ("in/anna.png", "in/ben.png", "--split", "right"),
    "faces": ("in/driver.mp4",),
    "complete": ("in/anna.png", "--box", "40,40,60,60", "--save-mask", "out/mask.png"),
    "stylise": (
        "in/anna.png", "--style", "in/ben.png", "--save-style", "out/b.style.safetensors", "--learning-steps", 1, *QUICK
    ),
    "evaluate": ("in/anna.png", "in/anna.png", "--measures", "psnr"),
    "weights import": ("in/tiny.safetensors", "--as", "mine", "--overwrite"),
    "translate": ("in", "--model", "in/pictures.safetensors", "--attention", "out/maps"),
    "retarget": ("in/anna.png", "--to", "in/ben.png", "--fit-steps", 1, "--save-person", "out/ben.person.safetensors"),
    "stream pack": ("in/driver.mp4",),
    "stream unpack": ("in/call.heads",),
}  # fmt: skip
WITHOUT_NETWORK = (
    "sequence predict", "sequence read", "sequence fit", "train motion", "check", "composite", "faces", "complete",
    "evaluate", "weights import", "translate",
)  # fmt: skip
WITHOUT_DEVICE = (
    "composite", "faces", "directions import", "weights export", "sequence predict", "sequence fit", "check",
    "evaluate", "weights import",
)  # fmt: skip
#: Verbs whose network is no generator.
NETWORKS = {
    "animate": "motion.safetensors", "retarget": "people.safetensors", "stream pack": "head.safetensors",
    "stream unpack": "head.safetensors",
}  # fmt: skip
#: What a run that goes on later leaves of its state, beside the results or under their folder.
STATE = re.compile(r"\.run/|/checkpoint\.pt|/curves\.csv|\.looks\.jsonl|\.part\.safetensors")
#: Where each verb writes to, its suffix included; a second way where clips can be folders of frames.
OUTPUTS = [
    ("sample", "out/s.png"), ("project", "out"), ("edit", "out/e.jpg"), ("transfer", "out/t.webp"),
    ("video", "out/v.mp4"), ("video", "out/frames"), ("animate", "out/a.webm"),
    ("directions import", "out/d.safetensors"), ("directions show", "out/d.png"),
    ("directions fit", "out/f.safetensors"), ("sequence predict", "out/p.json"), ("sequence read", "out/r.json"),
    ("sequence fit", "out/m.safetensors"), ("weights export", "out/w.pt"), ("train motion", "out/run"),
    ("check", "out/c.csv"), ("composite", "out/j.png"), ("faces", "out/who.png"), ("complete", "out/c.png"),
    ("stylise", "out/d.png"), ("evaluate", "out/e.csv"), ("weights import", "out"), ("translate", "out"),
    ("retarget", "out/r.png"), ("stream pack", "out/c.heads"), ("stream unpack", "out/u.mp4"),
]  # fmt: skip


@pytest.fixture
def bench(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The desk with two photos, a driver with sound, directions, a motion model and a folder for results."""
    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))
    for module in (api, hub):
        monkeypatch.setattr(module, "face_networks", stand_in_networks)
    monkeypatch.setattr(stylisation, "FACES", 1)
    for name, small in (("SIDE", 48), ("GRID", (-1, 1))):
        monkeypatch.setattr(importlib.import_module("latentface.cli.edit"), name, small)
    monkeypatch.setattr(hub, "encoder", lambda generator: lambda crops: torch.zeros(len(crops), 6, 8))
    monkeypatch.setattr(alignment, "best_score", best_skin)
    monkeypatch.setattr(complete, "complete_face", lambda rgb, hole, *_, **__: np.where(hole[..., None], 0, rgb))
    source, fingerprint = torch.Generator().manual_seed(0), api.load_generator(desk.network).fingerprint
    (desk.folder / "cache" / "directions").mkdir(parents=True)
    made = [Direction(torch.randn(6, 8, generator=source), fingerprint, name) for name in NAMES]
    write_directions(desk.folder / "cache" / "directions" / "made.safetensors", made)
    desk.photo("in/anna.png")
    desk.photo("in/ben.png", faces=(80,))
    gather_networks(desk)
    spoken = film(desk.folder / "spoken.mkv", [0, 40, 80], sound="flac")
    write_clip(desk.folder / "in" / "driver.mp4", Wander(3).clip(Sound(spoken)))
    (desk.folder / "in" / "call.heads").write_bytes(call())
    gather_examples(desk.folder / "in", fingerprint)
    monkeypatch.setattr(motion, "COMPACT", replace(CONFIG, resolution=64))
    monkeypatch.setattr(motion, "perceptual_distance", lambda vgg19: torch.nn.MSELoss())
    return desk


def call() -> bytes:
    """A keypoint stream of three frames."""
    return to_bytes(pack_clip(Wander(3).clip(), talking_head(), place_points))


def gather_networks(desk: Desk) -> None:
    """Networks of every kind but detectors, as small as they can be."""
    write_motion_model(desk.folder / "motion.safetensors")
    write_talking_head(desk.folder / "head.safetensors")
    write_tiny_network(desk.folder / "people.safetensors")
    shutil.copy(desk.network, desk.folder / "in" / "tiny.safetensors")
    translation = TranslationNet(TranslationConfig(fine=4, coarse=8, dilations=(1,)))
    save(translation, desk.folder / "in" / "pictures.safetensors")


def gather_examples(folder: Path, fingerprint: str) -> None:
    """What directions, orders of emotions and readings of them are learnt from."""
    np.save(folder / "axis.npy", np.ones(8, np.float32))
    (folder / "own.py").write_text(OWN)
    for k, story in enumerate(stories(12, 0)):
        story.save(folder / f"story-{k}.json")
    for name, centre in (("calm", 0.0), ("glad", 1.0)):
        for k in range(4):
            (folder / name).mkdir(exist_ok=True)
            Latent(torch.full((6, 8), centre + 0.1 * k), fingerprint).save(folder / name / f"{k}.latent.safetensors")


def start(bench: Desk, verb: str, output: str) -> Outcome:
    chosen = () if verb in WITHOUT_NETWORK else ("--network", NETWORKS.get(verb, bench.network))
    device = () if verb in WITHOUT_DEVICE else ("--device", "cpu")
    words = (*verb.split(), *VERBS[verb], *chosen, *device)
    if verb == "weights import":  # into the user's cache
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LATENTFACE_CACHE", output)
            return bench.run(*words)
    return bench.run(*words, "--csv" if verb == "evaluate" else "-o", output)


def written(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too, and what it holds; without the state of runs that go on later."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in files.items() if not STATE.search(f"/{name}")}


def failing(stage: int, fault: BaseException | None) -> tuple[Callable[..., object], list[str]]:
    """A wrapper for the functions that begin and end the writing of a file; with the fault at that stage."""
    seen: list[str] = []

    def wrap(real: Callable[..., object]) -> Callable[..., object]:
        def call(*given: object) -> object:
            seen.append(real.__name__)
            if fault is not None and len(seen) == stage:
                raise fault
            return real(*given)

        return call

    return wrap, seen


def run_with(bench: Desk, verb: str, output: str, stage: int, fault: BaseException | None) -> tuple[Outcome, list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        wrap, seen = failing(stage, fault)
        patch.setattr(os, "replace", wrap(os.replace))
        patch.setattr(secrets, "token_hex", wrap(secrets.token_hex))
        return start(bench, verb, output), seen


@pytest.mark.parametrize(("verb", "output"), OUTPUTS)
def test_whatever_ends_a_run_leaves_whole_files_only(verb: str, output: str, bench: Desk) -> None:
    assert start(bench, verb, output).code == 0  # once, so that what is remembered is so in every run below
    shutil.rmtree(bench.out)
    done, stages = run_with(bench, verb, output, 0, None)
    assert done.code == 0, done.err
    whole, inputs = written(bench.out), written(bench.folder / "in")
    faults = (
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 5, "No space left"),
    )
    for stage in sorted({1, len(stages) // 2, len(stages)}):
        for fault, code, words in faults if stages[stage - 1] == "replace" else faults[:1]:
            shutil.rmtree(bench.out, ignore_errors=True)
            stopped, _ = run_with(bench, verb, output, stage, fault)
            assert stopped.code == code and words in stopped.err, (stage, stages, stopped)
            left = written(bench.out)
            assert left.items() < whole.items(), (stage, stages, sorted(left))
            assert written(bench.folder / "in") == inputs
    again = start(bench, verb, output)
    assert again.code == 0, again.err
    assert written(bench.out) == whole


@pytest.mark.parametrize(("verb", "output"), OUTPUTS)
def test_a_folder_that_takes_no_files_is_told_before_the_work(verb: str, output: str, bench: Desk) -> None:
    shut = "/proc/self" + output.removeprefix("out")
    done = start(bench, verb, shut)
    assert done.code == 5 and "/proc/self" in done.err and len(done.err.splitlines()) == 1, done.err
