"""The main job with the built-in networks: a photo in, a latent code, its picture and a comparison out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from latentface import FaceEditor, Latent, read_image

PORTRAIT = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def run(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "latentface", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=dict(os.environ))


@pytest.fixture(scope="module")
def projected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    folder = tmp_path_factory.mktemp("projected")
    done = run("project", PORTRAIT, "--steps", 40, "--no-mark", "-o", folder / "out", "--json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "out", json.loads(done.stdout)


def test_the_portrait_becomes_a_latent(projected: tuple[Path, dict[str, object]]) -> None:
    out, result = projected
    assert sorted(path.name for path in out.iterdir()) == [
        "astronaut.compare.png",
        "astronaut.latent.safetensors",
        "astronaut.projected.png",
    ]
    entry = result["results"][0]
    assert entry["faces"] == 1 and entry["status"] == "done"
    assert entry["last_loss"] < 0.6 * entry["first_loss"]  # the encoder starts near


def test_the_reconstruction_is_nearer_to_the_photo_than_the_mean_face(
    projected: tuple[Path, dict[str, object]],
) -> None:
    out, _ = projected
    editor = FaceEditor()
    photo = editor.align(PORTRAIT)[0].image.astype(float)
    mean = editor.sample(0, psi=0.0)[0]
    found = read_image(out / "astronaut.projected.png")
    assert np.square(photo - found).mean() < 0.5 * np.square(photo - mean).mean()


def test_the_latent_draws_the_reconstruction(projected: tuple[Path, dict[str, object]]) -> None:
    out, _ = projected
    latent = Latent.load(out / "astronaut.latent.safetensors")
    assert np.abs(FaceEditor().synthesise(latent).astype(int) - read_image(out / "astronaut.projected.png")).max() <= 1
