"""Labelled latents for `directions.fit`, from photos in folders or in a table, samples, or rendered scenes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from latentface import api
from latentface.arrays import Float64Array, Int64Array, Pixels
from latentface.editing.inverted_face import begin, choose_projection
from latentface.emotion import Emotion
from latentface.errors import InputError, LatentfaceError, UsageError
from latentface.faces.crop import FaceCrop, pick_face
from latentface.io.colour import srgb
from latentface.io.images import is_photo_file, read_photo
from latentface.io.paths import reason
from latentface.options.projection import ProjectOptions

if TYPE_CHECKING:
    from latentface.networks.generator import Generator

LATENT = ".safetensors"
_BATCH = 16
Note = Callable[[str], None]
Step = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Latents ws [N, num_ws, w_dim] with labels (texts; numbers in a column of scores) and conditions [N, K]."""

    ws: torch.Tensor
    labels: list[str]
    conditions: Float64Array | None = None

    @property
    def scores(self) -> Float64Array:
        """The labels as numbers [N]; InputError if one is not a number."""
        return _numbers(self.labels, "the scores")


@dataclass(frozen=True)
class Reader:
    """Reads latents from files: latent files directly, photos by the network's encoder or by projection.

    Attributes:
        project: how photos are projected; by default by `choose_projection`.
        note: called for files that cannot be used and are skipped. on_step: called with the number of finished files.
    """

    generator: Generator
    project: ProjectOptions | None = None
    landmarks: str = "builtin"
    note: Note = lambda text: None
    on_step: Step = lambda done: None

    def read(self, files: Sequence[Path]) -> tuple[torch.Tensor, list[int]]:
        """Latents [M, num_ws, w_dim] of the usable files, and their indices."""
        made, kept, waiting = [], [], list[tuple[int, FaceCrop]]()
        found: dict[int, torch.Tensor] = {}
        for number, path in enumerate(files):
            try:
                if path.suffix.lower() == LATENT:
                    found[number] = api.load_latent(path, self.generator).ws
                else:
                    crops = api.align(srgb(read_photo(path)).rgb, self.generator.config.resolution, self.landmarks)
                    waiting.append((number, pick_face(crops, None)))
            except LatentfaceError as error:
                self.note(f"{path} is left out: {error}")
            if len(waiting) == _BATCH or (waiting and number == len(files) - 1):
                found |= zip((at for at, _ in waiting), self._invert([crop for _, crop in waiting]), strict=True)
                waiting = []
            self.on_step(number + 1)
        for number in sorted(found):
            kept.append(number)
            made.append(found[number])
        if not made:
            raise InputError(
                f"none of {len(files)} files can be used; give photos of faces, or latents of this network"
            )
        return torch.stack(made), kept

    def _invert(self, crops: list[FaceCrop]) -> Iterable[torch.Tensor]:
        project = self.project or choose_projection(self.generator)
        if not project.steps:
            return begin(crops, self.generator, project)
        return [each.latent.ws for each in api.project(crops, self.generator, project)]


def from_folders(folders: Sequence[Path], reader: Reader) -> Labelled:
    """One class for each folder, named after it; InputError for a folder without photos or latents."""
    files, labels = [], []
    for folder in folders:
        inside = sorted(path for path in _listed(folder) if path.suffix.lower() == LATENT or is_photo_file(path))
        if not inside:
            raise InputError(f"{folder} contains no photos and no latents; give a folder for each class")
        files += inside
        labels += [folder.resolve().name] * len(inside)
    ws, kept = reader.read(files)
    return Labelled(ws, [labels[k] for k in kept])


def from_table(path: Path, label: str, reader: Reader, conditions: Sequence[str] = ()) -> Labelled:
    """A CSV file with a column `file` (relative to it), a column of labels or scores, and columns of conditions.

    A column of conditions that is not numeric becomes one column for each word.
    Raises InputError for a table that cannot be read, lacks a column or has no rows.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a table: {reason(error)}; give a CSV file in UTF-8") from None
    if not rows:
        raise InputError(f"{path} has no rows; expected a header with file and {label}, and a line for each photo")
    for column in ("file", label, *conditions):
        if any(row.get(column) is None for row in rows):
            raise InputError(f"{path} has no column {column!r} in every row; there are {', '.join(map(str, rows[0]))}")
    ws, kept = reader.read([path.parent / row["file"] for row in rows])
    rows = [rows[k] for k in kept]
    held = [_encoded([row[column] for row in rows]) for column in conditions]
    return Labelled(ws, [row[label].strip() for row in rows], np.concatenate(held, axis=1) if held else None)


def from_samples(
    generator: Generator,
    count: int,
    recognise: Callable[[torch.Tensor], torch.Tensor],
    names: Sequence[str],
    *,
    seed: int = 0,
    surest: float = 0.5,
    least: int = 1,
    on_step: Step = lambda done: None,
    note: Note = lambda text: None,
) -> Labelled:
    """Sampled latents, labelled by a classifier of their pictures; the most confident share of each class is kept.

    Args:
        generator: the network to sample.
        count: the number of samples.
        recognise: pictures [N, 3, R, R] in [-1, 1] -> a score for each of `names` [N, C].
        names: the classes, in the classifier's order.
        seed: seed of the first sample; the following samples use the next seeds.
        surest: share of each class that is kept, with the highest scores.
        least: classes with fewer remaining samples are left out.
        on_step: called with the number of finished samples.
        note: called for classes that are left out.

    Raises:
        UsageError: the classifier has a different number of classes.
    """
    ws, scores = [], []
    for first in range(0, count, _BATCH):
        seeds = range(seed + first, seed + min(first + _BATCH, count))
        part = torch.cat([api.sample_ws(generator, each, psi=1.0) for each in seeds])
        with torch.no_grad():
            answer = recognise(generator.synthesis(part, noise_mode="const").clamp(-1, 1)).cpu()
        if answer.shape != (len(part), len(names)):
            raise UsageError(f"the classifier returned {list(answer.shape)}: expected [{len(part)}, {len(names)}]")
        ws.append(part.cpu())
        scores.append(answer)
        on_step(first + len(part))
    margins, found = torch.cat(scores).max(1)
    kept: list[int] = []
    for number in range(len(names)):
        members = (found == number).nonzero()[:, 0]
        best = margins[members].argsort(descending=True, stable=True)[: max(1, round(surest * len(members)))]
        if 0 < len(best) < least:
            note(f"{names[number]} is left out: {len(members)} of {count} samples show it; take more samples")
        elif len(best):
            kept += members[best].tolist()
    return Labelled(torch.cat(ws)[kept], [names[int(found[k])] for k in kept])


def from_renders(folders: Sequence[Path], generator: Generator, on_step: Step = lambda done: None) -> Labelled:
    """Renders of `latentface.synthface.dataset`, encoded, with their true emotions.

    Raises InputError for folders without shards.
    """
    ws, labels = [], list[str]()
    for number, (images, emotions) in enumerate(_shards(folders), 1):
        for first in range(0, len(images), _BATCH):
            ws.append(api.encode(list(images[first : first + _BATCH]), generator).cpu())
        labels += [list(Emotion)[index].value for index in emotions]
        on_step(number)
    return Labelled(torch.cat(ws), labels)


def emotion_recogniser(name: str, device: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The emotion classifier with this name or file: pictures [N, 3, R, R] in [-1, 1] -> probabilities [N, 7]."""
    from latentface.pretrained import load_emotion

    network = load_emotion(name, device)
    return lambda pictures: network(pictures).softmax(1)


def _shards(folders: Sequence[Path]) -> Iterator[tuple[Pixels, Int64Array]]:
    for folder in folders:
        paths = sorted(folder.glob("shard-*.npz"))
        if not paths:
            raise InputError(f"{folder} contains no shard-*.npz; render some with latentface.synthface.dataset")
        for path in paths:
            try:
                with np.load(path, allow_pickle=False) as shard:
                    yield shard["images"], shard["emotion"]
            except (OSError, KeyError, ValueError) as error:
                raise InputError(f"{path} is not a shard of renders: {error}") from None


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read as a folder: {error.strerror}; give a folder for each class"
        ) from None


def _encoded(words: list[str]) -> Float64Array:
    """A column of numbers [N, 1], or one column for each word [N, W]."""
    try:
        return _numbers(words, "")[:, None]
    except InputError:
        return np.stack([[float(word == known) for word in words] for known in sorted(set(words))], axis=1)


def _numbers(words: Sequence[str], what: str) -> Float64Array:
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError as error:
        raise InputError(f"{what} must be numbers: {error}") from None
    if not np.isfinite(numbers).all():
        raise InputError(f"{what} contain NaN or infinity; expected finite numbers")
    return numbers
