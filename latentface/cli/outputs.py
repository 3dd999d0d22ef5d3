"""Output files: results in the working folder that never replace an input, and unique names for projections."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentface.errors import InputError, OutputError, UsageError
from latentface.io.atomic import check_name, sha256
from latentface.options.projection import ProjectOptions

if TYPE_CHECKING:
    from latentface.cli.report import Bar
    from latentface.io.clip import Clip, Frame
    from latentface.io.video import Written
    from latentface.provenance.publish import Publisher

LATENT_SUFFIX = ".latent.safetensors"
#: Pictures written by `project`; in a folder of photos they are skipped as results.
OWN_SUFFIXES = (".projected.png", ".compare.png")


def write_film(
    bar: Bar, doing: str, target: Path, clip: Clip, publisher: Publisher, *, count: int = 0, keep_partial: bool = False
) -> Written:
    """Write, mark and sign a clip whose frames are computed on the way, with a progress bar.

    publisher: how it is marked and signed. count: the number of frames, if the clip does not know it.
    """
    from latentface.io.video import write_clip

    bar.start(doing, count or clip.count or 0)

    def on_frame(done: int, frame: Frame) -> None:
        bar.step(done)

    written = write_clip(target, publisher.clip(clip), keep_partial=keep_partial, on_frame=on_frame)
    publisher.sign(target, clip.source_type)
    return written


def default_output(source: Path, ending: str) -> Path:
    """The default output for a source: NAME.ENDING in the working folder."""
    return Path(f"{source.name.removesuffix(LATENT_SUFFIX).removesuffix(source.suffix)}.{ending}")


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | str | None]) -> None:
    """Raise UsageError if an output is one of the inputs, under whatever name.

    Raises OutputError for a file name that is too long.
    """
    written = [output for output in outputs if output is not None]
    for output in written:
        check_name(output)
    known = [Path(each) for each in inputs if each]
    for output, given in itertools.product(written, known):
        if _same(output, given):
            raise UsageError(f"{output} is an input, and inputs are never replaced; choose another name with -o")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist, or is not a path
        return False


@dataclass(frozen=True)
class Files:
    """The files of one projected face: NAME.latent.safetensors and its companions in a folder."""

    folder: Path
    name: str

    @property
    def latent(self) -> Path:
        """The latent code."""
        return self.folder / f"{self.name}{LATENT_SUFFIX}"

    @property
    def projected(self) -> Path:
        """The reconstruction alone."""
        return self.folder / f"{self.name}.projected.png"

    @property
    def compare(self) -> Path:
        """Photo, reconstruction, difference and loss side by side."""
        return self.folder / f"{self.name}.compare.png"

    @property
    def tuned(self) -> Path:
        """The weights changed by pivotal tuning."""
        return self.folder / f"{self.name}.tuned.safetensors"

    @property
    def all(self) -> tuple[Path, ...]:
        """All possible files."""
        return (self.latent, self.projected, self.compare, self.tuned)


@dataclass(frozen=True)
class Made:
    """The result of an earlier run: its photo, face and options."""

    photo_sha256: str
    face: int
    largest: bool
    options: dict[str, Any]  # as read from JSON
    fingerprint: str
    landmarks: str
    distance: float | None
    verdict: str


@dataclass
class Naming:
    """Gives every photo of a run a unique name that avoids the results of earlier runs for other photos.

    The name is the file's stem, or stem-2, stem-3 ... if that, or a name derived from it for another face, belongs to
    another photo. With `overwrite` only names from the same run are avoided.
    """

    folder: Path
    overwrite: bool
    taken: set[str] = field(default_factory=set)

    def find(self, stem: str, photo_sha256: str, faces: Iterable[int] = ()) -> str:
        """The name for a photo with this stem and content hash; the same photo gets the same name every time.

        faces: the numbers of the faces to write under it, see `face_name`.
        """
        for number in itertools.count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            free = self.taken.isdisjoint((name, *(face_name(name, face) for face in faces)))
            if free and (self.overwrite or self._free(name, photo_sha256)):
                break
        return name

    def take(self, name: str, faces: Iterable[int]) -> None:
        """Reserve the name, and the names of these faces, within this run."""
        self.taken.update((name, *(face_name(name, face) for face in faces)))

    def largest(self, name: str, photo_sha256: str) -> int | None:
        """The number of the photo's largest face, if an earlier run recorded it."""
        made = [found for path in self._latents(name) if (found := read_made(path)) is not None]
        return next((each.face for each in made if each.photo_sha256 == photo_sha256 and each.largest), None)

    def _free(self, name: str, photo_sha256: str) -> bool:
        holders = [read_made(path) for path in self._latents(name)]
        return all(made is not None and made.photo_sha256 == photo_sha256 for made in holders)

    def _latents(self, name: str) -> Iterator[Path]:
        """Latents under this name, for the first face or a further one."""
        for number in range(1, 10):
            path = Files(self.folder, face_name(name, number)).latent
            if os.path.exists(path):  # a name that is too long for a file is none
                yield path


def face_name(name: str, face: int) -> str:
    """NAME for a photo's first face, NAME.face2, NAME.face3 ... for the others."""
    return name if face == 1 else f"{name}.face{face}"


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; InputError if it cannot be read."""
    try:
        return sha256(path)
    except FileNotFoundError:
        raise InputError(f"no such file: {path}; check the path") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a readable file") from None


def read_made(path: Path) -> Made | None:
    """The origin recorded in a latent file, or None if there is none (not made by `project`, or damaged)."""
    from latentface.latents.latent import Latent

    try:
        latent = Latent.load(path)
        facts = latent.metadata or {}
        return Made(
            photo_sha256=facts["photo_sha256"],
            face=int(facts["face"]),
            largest=facts.get("largest") == "True",
            options=json.loads(facts["options"]),
            fingerprint=latent.fingerprint,
            landmarks=facts["landmarks_from"],
            distance=float(facts["distance"]),
            verdict=facts["verdict"],
        )
    except (InputError, KeyError, ValueError, RecursionError):
        return None


def changed(made: Made, options: ProjectOptions, fingerprint: str, landmarks: str) -> list[str]:
    """In words, how the options of this run differ from those that made the files; empty if they do not."""
    words = [] if made.fingerprint == fingerprint else ["another network"]
    if made.landmarks != landmarks:
        words.append(f"landmarks {made.landmarks}")
    wanted = asdict(options)
    for name in sorted(wanted.keys() & made.options.keys()):
        if made.options[name] != wanted[name]:
            words.append(f"{name.replace('_', '-')} {made.options[name]}")
    return words


@contextmanager
def prepared_folder(folder: Path | None) -> Iterator[None]:
    """Create the output folder and check that it is writable, before any work; remove it if it stays empty.

    None is for results that go elsewhere, such as into the cache. Raises OutputError if the folder cannot be created or
    written.
    """
    if folder is None:
        yield
        return
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"{folder} is a file, expected a folder for the results; choose another with -o") from None
    except OSError as error:
        raise OutputError(f"cannot create the folder {folder}: {error.strerror}; choose another with -o") from None
    try:
        try:
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise OutputError(f"cannot write into {folder}: {error.strerror}; choose another folder with -o") from None
        yield
    finally:
        with suppress(OSError):  # stop at the first folder that is not empty
            for path in made:
                path.rmdir()


@contextmanager
def naming(*paths: Path | None) -> Iterator[None]:
    """Put the names of these files before the message of an InputError that names none of them."""
    known = [str(path) for path in paths if path is not None]
    try:
        yield
    except InputError as error:
        if not known or any(name in str(error) for name in known):
            raise
        raise type(error)(f"{', '.join(known)}: {error}") from None


def unique(paths: Iterable[Path]) -> list[Path]:
    """The paths without repetitions of the same file, in order."""
    seen: dict[Path, Path] = {}
    for path in paths:
        seen.setdefault(path.resolve(), path)
    return list(seen.values())
