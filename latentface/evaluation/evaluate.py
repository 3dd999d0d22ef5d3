"""The verb `evaluate`: what is given decides what is measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from latentface import api, hub, pretrained
from latentface.arrays import Pixels
from latentface.errors import InputError, NoFaceFound, UsageError
from latentface.evaluation.clips import ClipMeter
from latentface.evaluation.figures import Evaluation, mean_figure
from latentface.evaluation.pairs import PairMeter
from latentface.evaluation.sets import (
    SET_MEASURES,
    Extractor,
    compare_sets,
    pooled_extractor,
    scripted_extractor,
    set_features,
)
from latentface.faces.crop import FaceCrop, pick_face
from latentface.io.atomic import sha256
from latentface.io.clip import Clip
from latentface.io.images import list_photos, read_image
from latentface.io.kinds import picture_kind_of
from latentface.io.video import read_clip
from latentface.io.video_reader import is_animation
from latentface.networks.generator import Generator
from latentface.options.results import EvaluateOptions
from latentface.pretrained.scripted import is_script, load_script

Source = str | os.PathLike[str] | Generator
OnStep = Callable[[int], None]
CROP = 256  # side of the crops in which faces are compared
AT_ONCE = 8  # samples that a generator makes together


def evaluate(
    result: Source,
    reference: str | os.PathLike[str] | None = None,
    options: EvaluateOptions | None = None,
    on_step: OnStep | None = None,
) -> Evaluation:
    """Measure results against references, or a clip by itself.

    Two pictures, or two clips frame by frame, are compared as pairs; so are the pictures of two folders if every result
    has a reference of its name. Otherwise two folders are compared as sets, and so are a generator's samples with a
    folder. A clip of its own has only the measures of clips.

    Args:
        result: a picture, a clip, a folder of pictures, or a generator.
        reference: a picture, a clip or a folder.
        options: which measures, where, and by which networks.
        on_step: called with the number of pictures that are done.

    Raises:
        InputError: a file cannot be read, or the two cannot be compared; the message says why.
        UsageError: measures or a region that this comparison does not have.
        WeightsError: a network cannot be used.
    """
    options = options or EvaluateOptions()
    step = on_step or (lambda done: None)
    if isinstance(result, Generator):
        return _sets(_samples(result, options), _pictures(_folder(reference), options), options, step)
    kind, other = _kind(Path(result)), None if reference is None else _kind(Path(reference))
    if kind == "clip" and other in ("clip", None):
        return _clips(Path(result), None if reference is None else Path(reference), options, step)
    if reference is None:
        raise UsageError("a picture or a folder is measured against another; give a reference")
    if kind != other:
        raise InputError(f"{result} is a {kind} and {reference} a {other}; give two of a kind")
    if kind == "picture":
        meter, judges = _pair_meter(options)
        row = meter(read_image(result), read_image(reference))
        return _of_rows("pair", {Path(result).name: row}, judges, options)
    matched = _match(list_photos(result), list_photos(reference))
    if options.sets or matched is None:
        return _sets(_pictures(Path(result), options), _pictures(_folder(reference), options), options, step)
    return _pairs(matched, options, step)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "folder"
    if not path.exists():
        raise InputError(f"no such file: {path}; check the path")
    return "picture" if picture_kind_of(path) is not None and not is_animation(path) else "clip"


def _folder(reference: str | os.PathLike[str] | None) -> Path:
    if reference is None or not Path(reference).is_dir():
        raise UsageError("a generator is measured against a folder of pictures; give one")
    return Path(reference)


def _match(results: Sequence[Path], references: Sequence[Path]) -> list[tuple[Path, Path]] | None:
    """Every result with the reference of its name, whatever the suffix; None if one has none."""
    by_name = {path.stem: path for path in references}
    if any(path.stem not in by_name for path in results):
        return None
    return [(path, by_name[path.stem]) for path in results]


def _pairs(matched: Sequence[tuple[Path, Path]], options: EvaluateOptions, step: OnStep) -> Evaluation:
    meter, judges = _pair_meter(options)
    rows = {}
    for number, (result, reference) in enumerate(matched, 1):
        try:
            rows[result.name] = meter(read_image(result), read_image(reference))
        except InputError as error:
            raise InputError(f"{result} and {reference}: {error}") from None
        step(number)
    return _of_rows("pairs", rows, judges, options)


def _of_rows(
    kind: str, rows: dict[str, dict[str, float]], judges: dict[str, str], options: EvaluateOptions
) -> Evaluation:
    names = next(iter(rows.values()))
    figures = {name: mean_figure([row[name] for row in rows.values()], options.seed) for name in names}
    missing = max(len(rows) - figure.count for figure in figures.values())
    notes = (f"{missing} of {len(rows)} are left out of some measures: too small, or no face was found",)
    return Evaluation(kind, figures, judges, rows, notes if missing else ())


def _clips(result: Path, reference: Path | None, options: EvaluateOptions, step: OnStep) -> Evaluation:
    clip = read_clip(result)
    meter, judges = _pair_meter(options)
    alone = ClipMeter(meter.identity, meter.find_face, float(clip.rate))
    frames = alone.watch(_frames(clip))
    if reference is None:
        for number, _ in enumerate(frames, 1):
            step(number)
        return Evaluation("clip", alone.figures(), {"identity": judges["identity"]})
    rows = {}
    for number, pair in enumerate(_side_by_side(frames, _frames(read_clip(reference)), result, reference)):
        rows[f"frame {number}"] = meter(*pair)
        step(number + 1)
    paired = _of_rows("clips", rows, judges, options)
    return Evaluation("clips", {**paired.figures, **alone.figures()}, judges, rows, paired.notes)


def _side_by_side(
    results: Iterator[Pixels], references: Iterator[Pixels], *names: Path
) -> Iterator[tuple[Pixels, Pixels]]:
    for result in results:
        other = next(references, None)
        if other is None:
            break
        yield result, other
    else:
        if next(references, None) is None:
            return
    raise InputError(f"{names[0]} and {names[1]} have different numbers of frames; bring them to one length")


def _frames(clip: Clip) -> Iterator[Pixels]:
    return (np.ascontiguousarray(frame.pixels[..., :3]) for frame in clip)


def _sets(made: Iterator[Pixels], real: Iterator[Pixels], options: EvaluateOptions, step: OnStep) -> Evaluation:
    wanted = options.chosen or SET_MEASURES
    unknown = [name for name in wanted if name not in SET_MEASURES]
    if unknown:
        raise UsageError(f"no measure {unknown[0]!r} of sets; expected {', '.join(SET_MEASURES)}")
    extract = _extractor(options.features)
    done = 0

    def counted(pictures: Iterator[Pixels]) -> Iterator[Pixels]:
        nonlocal done
        for picture in pictures:
            yield picture
            done += 1
            step(done)

    ours, theirs = (set_features(extract, counted(pictures)) for pictures in (made, real))
    figures = compare_sets(ours, theirs, wanted, options.seed)
    scripted = is_script(options.features)
    judge = _checked(options.features) if scripted else _named(options.features, "perceptual")
    note = f"{len(ours)} pictures against {len(theirs)}; figures depend on the features and on the counts"
    return Evaluation("sets", figures, {"features": judge}, {}, (note,))


def _extractor(features: str) -> Extractor:
    """The features of a file of TorchScript, or of a perceptual network."""
    if is_script(features):
        return scripted_extractor(load_script(features), features)
    return pooled_extractor(pretrained.load_perceptual(features))


def _pictures(folder: Path, options: EvaluateOptions) -> Iterator[Pixels]:
    """The pictures of a folder, or the largest face of each."""
    for path in list_photos(folder):
        picture = read_image(path)
        if not options.crop:
            yield picture
            continue
        face = _largest(picture)
        if face is not None:
            yield face.image


def _samples(generator: Generator, options: EvaluateOptions) -> Iterator[Pixels]:
    for first in range(0, options.samples, AT_ONCE):
        seeds = range(options.seed + first, options.seed + min(first + AT_ONCE, options.samples))
        yield from api.sample(generator, seeds, options.psi)


def _pair_meter(options: EvaluateOptions) -> tuple[PairMeter, dict[str, str]]:
    perceptual = pretrained.load_perceptual(options.perceptual)
    meter = PairMeter(perceptual, hub.face_networks().identity, _largest, options.chosen, options.region)
    judges = {"perceptual": _named(options.perceptual, "perceptual")}
    judges |= {role: _named(role, role) for role in ("identity", "landmarks")}
    return meter, judges


def _largest(picture: Pixels) -> FaceCrop | None:
    try:
        return pick_face(api.align(picture, CROP), None)
    except NoFaceFound:
        return None


def _named(network: str, kind: str) -> str:
    """A network's name and the beginning of its file's checksum."""
    return _checked(network, pretrained.resolve(network, kind=kind))


def _checked(name: str, path: Path | None = None) -> str:
    return f"{name} ({sha256(path or Path(name))[:12]})"
