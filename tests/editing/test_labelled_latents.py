"""Labelled latents: of folders, tables, samples and renders; what is left out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api
from latentface.editing.labelled_latents import Labelled, Reader, from_folders, from_renders, from_samples, from_table
from latentface.errors import InputError, UsageError
from latentface.io.images import read_image
from latentface.latents.latent import Latent
from latentface.networks.generator import Generator
from latentface.options.projection import ProjectOptions
from tests.helpers.cli_desk import Desk


def keep(path: Path, generator: Generator, value: float) -> Path:
    """A latent file whose numbers are all that value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Latent(torch.full((6, 8), value), generator.fingerprint).save(path)
    return path


def values(labelled: Labelled) -> list[float]:
    return labelled.ws[:, 0, 0].tolist()


def test_folders_are_classes_and_their_files_are_sorted(tmp_path: Path, generator: Generator) -> None:
    for name, value in (("joy/b", 2.0), ("joy/a", 1.0), ("calm/c", 3.0)):
        keep(tmp_path / f"{name}.safetensors", generator, value)
    (tmp_path / "joy" / "notes.txt").write_text("neither a photo nor a latent")
    done: list[int] = []
    found = from_folders([tmp_path / "joy", tmp_path / "calm"], Reader(generator, on_step=done.append))
    assert found.labels == ["joy", "joy", "calm"] and found.conditions is None
    assert found.ws.shape == (3, 6, 8) and values(found) == [1.0, 2.0, 3.0]
    assert done == [1, 2, 3]


def test_a_folder_without_anything_is_refused(tmp_path: Path, generator: Generator) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="none contains no photos and no latents"):
        from_folders([tmp_path / "none"], Reader(generator))
    with pytest.raises(InputError, match="cannot be read as a folder"):
        from_folders([tmp_path / "missing"], Reader(generator))


def test_files_that_cannot_be_used_are_left_out_with_their_labels(tmp_path: Path, generator: Generator) -> None:
    keep(tmp_path / "a" / "0.safetensors", generator, 1.0)
    latent = Latent(torch.zeros(6, 8), "another network")
    latent.save(tmp_path / "a" / "1.safetensors")
    (tmp_path / "a" / "2.png").write_bytes(b"no picture")
    keep(tmp_path / "b" / "3.safetensors", generator, 4.0)
    notes: list[str] = []
    found = from_folders([tmp_path / "a", tmp_path / "b"], Reader(generator, note=notes.append))
    assert found.labels == ["a", "b"] and values(found) == [1.0, 4.0]
    assert ["1.safetensors is left out" in notes[0], "2.png is left out" in notes[1]] == [True, True]
    with pytest.raises(InputError, match="none of 1 files can be used"):
        Reader(generator).read([tmp_path / "a" / "2.png"])


def test_photos_are_projected_and_take_their_place_among_latents(desk: Desk, generator: Generator) -> None:
    one, three = (keep(desk.folder / f"{k}.safetensors", generator, float(k)) for k in (1, 3))
    photo = desk.photo()
    project = ProjectOptions(steps=1)
    ws, kept = Reader(generator, project).read([one, photo, three])
    assert kept == [0, 1, 2] and ws.shape == (3, 6, 8)
    crop = max(api.align(read_image(photo), 16), key=lambda each: each.side)
    (alone,) = api.project([crop], generator, project)
    assert torch.allclose(ws[1], alone.latent.ws, atol=1e-5)
    assert float(ws[0].mean()) == 1.0 and float(ws[2].mean()) == 3.0


def table(tmp_path: Path, generator: Generator, text: str, encoding: str = "utf-8") -> Path:
    for k in range(3):
        keep(tmp_path / "latents" / f"{k}.safetensors", generator, float(k))
    (tmp_path / "table.csv").write_text(text, encoding=encoding)
    return tmp_path / "table.csv"


ROWS = (
    "file,smile,age,hair\n"
    "latents/2.safetensors, 0.5 ,30,dark\nlatents/0.safetensors,1.5,41,fair\nlatents/1.safetensors,-2,52,dark\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_has_labels_and_conditions(tmp_path: Path, generator: Generator, encoding: str) -> None:
    path = table(tmp_path, generator, ROWS, encoding)
    found = from_table(path, "smile", Reader(generator), ["age", "hair"])
    assert values(found) == [2.0, 0.0, 1.0]
    assert found.labels == ["0.5", "1.5", "-2"] and found.scores.tolist() == [0.5, 1.5, -2.0]
    assert found.conditions is not None
    assert found.conditions.tolist() == [[30, 1, 0], [41, 0, 1], [52, 1, 0]]  # a number; dark, fair


def test_rows_that_cannot_be_used_take_their_conditions_along(tmp_path: Path, generator: Generator) -> None:
    path = table(tmp_path, generator, ROWS.replace("latents/0", "latents/9"))
    found = from_table(path, "smile", Reader(generator), ["age"])
    assert found.labels == ["0.5", "-2"]
    assert found.conditions is not None and found.conditions.tolist() == [[30], [52]]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        (ROWS, "joy", "no column 'joy' in every row; there are file, smile, age, hair"),
        ("photo,smile\na.png,1\n", "smile", "no column 'file'"),
        ("file,smile\nlatents/0.safetensors\n", "smile", "no column 'smile' in every row"),
        ("file,smile\n", "smile", "has no rows"),
    ],
)
def test_tables_that_lack_something_are_refused(
    tmp_path: Path, generator: Generator, text: str, column: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        from_table(table(tmp_path, generator, text), column, Reader(generator))


def test_a_table_that_cannot_be_read(tmp_path: Path, generator: Generator) -> None:
    (tmp_path / "table.csv").write_bytes(b"file,smile\n\xff\xfe,1\n")
    for path in (tmp_path / "table.csv", tmp_path / "missing.csv"):
        with pytest.raises(InputError, match="cannot be read as a table"):
            from_table(path, "smile", Reader(generator))


@pytest.mark.parametrize(("label", "words"), [("much", "must be numbers"), ("nan", "NaN or infinity")])
def test_scores_are_finite_numbers(label: str, words: str) -> None:
    assert Labelled(torch.zeros(2, 6, 8), ["1", "-0.5"]).scores.tolist() == [1.0, -0.5]
    with pytest.raises(InputError, match=words):
        _ = Labelled(torch.zeros(2, 6, 8), ["1", label]).scores


@pytest.mark.parametrize(("surest", "kept"), [(1.0, 20), (0.5, 10), (0.01, 2)])
def test_of_each_class_the_surest_samples_are_kept(generator: Generator, surest: float, kept: int) -> None:
    """Pictures 0 to 9 are one class, 10 to 19 the other; the later in its class, the surer."""
    count = iter(range(20))

    def recognise(pictures: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros(len(pictures), 2)
        for row in scores:
            k = next(count)
            row[k // 10] = 1 + k % 10
        return scores

    steps: list[int] = []
    found = from_samples(generator, 20, recognise, ["first", "second"], seed=100, surest=surest, on_step=steps.append)
    assert steps == [16, 20]
    half = kept // 2
    assert found.labels == ["first"] * half + ["second"] * half
    seeds = [100 + 9 - k for k in range(half)] + [100 + 19 - k for k in range(half)]
    wanted = torch.cat([api.sample_ws(generator, seed, psi=1.0) for seed in seeds])
    assert torch.allclose(found.ws, wanted)


def test_a_class_that_is_never_seen_gives_no_samples(generator: Generator) -> None:
    found = from_samples(generator, 4, lambda pictures: torch.eye(3)[[1] * len(pictures)], ["a", "b", "c"])
    assert found.labels == ["b", "b"]


def test_a_classifier_of_other_classes_is_refused(generator: Generator) -> None:
    with pytest.raises(UsageError, match=r"returned \[2, 3\]: expected \[2, 2\]"):
        from_samples(generator, 2, lambda pictures: torch.zeros(len(pictures), 3), ["a", "b"])


def test_shards_of_renders_that_are_none(tmp_path: Path, generator: Generator) -> None:
    with pytest.raises(InputError, match="contains no shard"):
        from_renders([tmp_path], generator)
    (tmp_path / "shard-0.npz").write_bytes(b"damaged")
    with pytest.raises(InputError, match="is not a shard of renders"):
        from_renders([tmp_path], generator)
    np.savez(tmp_path / "shard-0.npz", images=np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(InputError, match="is not a shard of renders"):
        from_renders([tmp_path], generator)


def test_renders_are_labelled_with_their_true_emotions(
    tmp_path: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((16, 16, 3), np.uint8)
    np.savez(tmp_path / "shard-0.npz", images=images, emotion=np.arange(20) % 7)

    def encode(crops: list[np.ndarray], network: Generator) -> torch.Tensor:
        return torch.tensor([float(crop[0, 0, 0]) for crop in crops])[:, None, None].expand(-1, 6, 8)

    monkeypatch.setattr(api, "encode", encode)
    found = from_renders([tmp_path], generator)
    assert values(found) == [float(k) for k in range(20)]
    assert found.labels[:8] == ["neutral", "happiness", "sadness", "surprise", "anger", "disgust", "fear", "neutral"]


def test_classes_that_too_few_samples_show_are_left_out_and_told(generator: Generator) -> None:
    notes: list[str] = []

    def recognise(pictures: torch.Tensor) -> torch.Tensor:
        first = torch.zeros(len(pictures), dtype=torch.long)
        first[0] = 1  # one of each batch of 16
        return torch.nn.functional.one_hot(first, 3).float()

    data = from_samples(generator, 32, recognise, ["calm", "joy", "awe"], surest=1.0, least=3, note=notes.append)
    assert set(data.labels) == {"calm"} and len(data.ws) == 30
    assert notes == ["joy is left out: 2 of 32 samples show it; take more samples"]
