"""The job behind `latentface project`: photos are read one after another, and their faces projected in batches."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentface.cli.outputs import (
    OWN_SUFFIXES,
    Files,
    Naming,
    changed,
    check_outputs,
    face_name,
    hash_file,
    prepared_folder,
    read_made,
    unique,
)
from latentface.cli.panels import compare_panels
from latentface.cli.report import Bar, Report
from latentface.errors import InputError, LatentfaceError, NoFaceFound, OutputError, WeightsError
from latentface.faces.crop import FaceCrop, WhichFace, face_number, largest_face
from latentface.io import images
from latentface.io.atomic import check_name
from latentface.io.colour import srgb
from latentface.io.paths import printable
from latentface.io.provenance import COMPOSITE, GENERATED
from latentface.options.projection import ProjectOptions

if TYPE_CHECKING:
    from latentface.editor import FaceEditor
    from latentface.inversion.projector import Projection
    from latentface.provenance.publish import Publisher

INTERNAL = "internal error (--traceback shows where)"


@dataclass(frozen=True)
class Settings:
    """The settings from the command line."""

    options: ProjectOptions
    folder: Path
    network: str
    device: str
    landmarks: str
    face: WhichFace
    all_faces: bool
    batch: int
    overwrite: bool
    publisher: Publisher


@dataclass(frozen=True)
class Task:
    """One face waiting for projection."""

    entry: dict[str, Any]
    photo: Path
    photo_sha256: str
    photo_size: tuple[int, int]  # width, height
    face: int
    largest: bool
    crop: FaceCrop
    files: Files


class ProjectJob:
    """One run of the command; `run` returns the exit code."""

    def __init__(self, settings: Settings, report: Report) -> None:
        self.settings = settings
        self.report = report
        self.naming = Naming(settings.folder, settings.overwrite)
        self.entries: list[dict[str, Any]] = []
        self.waiting: list[Task] = []
        self.inputs: list[Path] = []
        self.stopped = False
        self.editor: FaceEditor

    def run(self, inputs: Sequence[Path]) -> int:
        """Run the job: report each photo, and the whole as JSON if requested."""
        began = time.monotonic()
        photos = self.inputs = self._expand(inputs)
        if photos:
            from latentface.editor import FaceEditor

            settings = self.settings
            self.editor = FaceEditor(settings.network, settings.device, settings.options.seed, settings.landmarks)
            with prepared_folder(settings.folder), self.report.progress() as bar:
                self._work(photos, bar)
        code = next((entry["error"]["exit_code"] for entry in self.entries if entry["status"] == "failed"), 0)
        self._summarise(code, time.monotonic() - began)
        return int(code)

    def _expand(self, inputs: Sequence[Path]) -> list[Path]:
        """Expand folders to the photos in them; a path that is neither file nor folder becomes a failure."""
        photos: list[Path] = []
        for path in inputs:
            try:
                if path.is_dir():
                    inside = [p for p in images.list_photos(path) if not p.name.endswith(OWN_SUFFIXES)]
                    if not inside:
                        raise InputError(f"{path}: this folder contains only results of earlier runs; give photos")
                    photos += inside
                elif path.exists():
                    photos.append(path)
                else:
                    raise InputError(f"no such file: {path}; check the path")
            except InputError as error:
                self._fail(self._entry(path), error)
            except OSError as error:
                self._fail(self._entry(path), InputError(f"{path}: cannot be read ({error.strerror})"))
        return unique(photos)

    def _work(self, photos: list[Path], bar: Bar) -> None:
        for number, photo in enumerate(photos, 1):
            label = photo.name if len(photos) == 1 else f"{number}/{len(photos)} {photo.name}"
            entry = self._entry(photo)
            try:
                self._take(photo, entry)
            except Exception as error:
                self._fail(entry, error)
            while len(self.waiting) >= self.settings.batch or (self.waiting and number == len(photos)):
                batch, self.waiting = self.waiting[: self.settings.batch], self.waiting[self.settings.batch :]
                self._project(batch, label, bar)
            if self.stopped:
                return

    def _take(self, photo: Path, entry: dict[str, Any]) -> None:
        """Read a photo, find the requested faces, and queue those that are not done yet."""
        photo_sha256 = hash_file(photo)
        check_name(self._files(photo.stem, 1).latent)
        name = self.naming.find(photo.stem, photo_sha256)
        settings = self.settings
        face = settings.face
        known = None if settings.all_faces or face is not None else self.naming.largest(name, photo_sha256)
        known = face if isinstance(face, int) else known
        if known:
            name = self.naming.find(photo.stem, photo_sha256, (known,))
            if self._done(entry, self._files(name, known), photo_sha256, known):
                return self._take_name(photo, name, (known,))
        read = srgb(images.read_photo(photo))
        self.report.notes(f"{photo}: {text}" for text in read.notes)
        pixels = read.rgb
        crops = self.editor.align(pixels)
        largest = largest_face(crops)
        wanted = self._choose(photo, crops, largest)
        self.report.notes(f"{photo}: {text}" for text in dict.fromkeys(crop.turn_note for crop in crops) if text)
        name = self.naming.find(photo.stem, photo_sha256, wanted)
        self._take_name(photo, name, wanted)
        for face in wanted:
            entry = entry if face == wanted[0] else self._entry(photo)
            entry.update(face=face, faces=len(crops))
            files = self._files(name, face)
            check_outputs(files.all, self.inputs)
            if not self._done(entry, files, photo_sha256, face):
                size = (pixels.shape[1], pixels.shape[0])
                task = Task(entry, photo, photo_sha256, size, face, face == largest, crops[face - 1], files)
                self.waiting.append(task)

    def _take_name(self, photo: Path, name: str, faces: Sequence[int]) -> None:
        """Reserve the name for these faces of a photo, and report it if it differs from the file's name."""
        self.naming.take(name, faces)
        if name != photo.stem:
            self.report.note(f"{photo}: the name {photo.stem} belongs to another result; this one is called {name}")

    def _choose(self, photo: Path, crops: Sequence[FaceCrop], largest: int) -> list[int]:
        """The numbers of the requested faces: all, one by its number, or the largest, with a note."""
        if self.settings.all_faces:
            return list(range(1, len(crops) + 1))
        if self.settings.face is not None:
            return [face_number(crops, self.settings.face, str(photo))]
        if len(crops) > 1:
            here = f"{photo}: {len(crops)} faces, taking the largest (face {largest})"
            self.report.note(f"{here}; see --face and --all-faces")
        return [largest]

    def _files(self, name: str, face: int) -> Files:
        return Files(self.settings.folder, face_name(name, face))

    def _done(self, entry: dict[str, Any], files: Files, photo_sha256: str, face: int) -> bool:
        """Whether an earlier run made this; if so, report it, and how this run would have differed."""
        if self.settings.overwrite or not (files.projected.exists() and files.compare.exists()):
            return False
        made = read_made(files.latent) if files.latent.exists() else None
        if made is None or (made.photo_sha256, made.face) != (photo_sha256, face):
            return False
        other = changed(made, self.settings.options, self.editor.fingerprint, self.settings.landmarks)
        how = f" (made with {', '.join(other)})" if other else ""
        self.report.note(f"{entry['photo']}: already done{how}, skipped; use --overwrite to repeat it")
        tuned = str(files.tuned) if files.tuned.exists() else None
        entry.update(status="skipped", face=face, distance=made.distance, verdict=made.verdict, differs=other)
        entry.update(self._paths(files), tuned=tuned)
        return True

    def _project(self, batch: list[Task], label: str, bar: Bar) -> None:
        began = time.monotonic()
        options = self.settings.options
        bar.start(label, options.steps + options.tune_steps)
        try:
            found = self.editor.project_crops(
                [task.crop for task in batch], options, on_step=lambda step, state: bar.step(step + 1)
            )
        except Exception as error:
            for task in batch:
                self._fail(task.entry, error)
            return
        seconds = (time.monotonic() - began) / len(batch)
        for task, projection in zip(batch, found, strict=True):
            try:
                self._write(task, projection, seconds)
            except Exception as error:
                self._fail(task.entry, error)

    def _write(self, task: Task, projection: Projection, seconds: float) -> None:
        """Write the files of one face; the latent is written last, because it marks the face as done."""
        files, distance = task.files, projection.distance
        publisher = self.settings.publisher.of(task.photo)
        publisher.photo(files.projected, images.Photo(projection.image, source_type=GENERATED))
        photo = printable(task.photo.name)
        title = photo if task.face == 1 else f"{photo}, face {task.face}"
        losses = [float(value) for value in (*projection.losses, *projection.tune_losses)]
        summary = f"distance {distance:.3f}, {projection.verdict}"
        panels = compare_panels(task.crop.image, projection.image, losses, title=title, summary=summary)
        publisher.sheet(files.compare, images.Photo(panels, source_type=COMPOSITE))
        if projection.tuned is not None:
            projection.tuned.save(files.tuned)
        elif files.tuned.exists():
            files.tuned.unlink()  # it belongs to the latent that is being replaced
        from latentface.editor import describe

        describe(projection, self._facts(task, projection)).save(files.latent)
        task.entry.update(self._paths(files), tuned=str(files.tuned) if projection.tuned is not None else None)
        task.entry.update(status="done", distance=float(distance), verdict=projection.verdict, seconds=seconds)
        first, last = (losses[0], losses[-1]) if losses else (None, None)
        task.entry.update(steps=len(losses), first_loss=first, last_loss=last)
        self.report.say(f"{title}: {summary} -> {files.compare}")

    def _facts(self, task: Task, projection: Projection) -> dict[str, str]:
        """The origin recorded in the latent file, which is sufficient to put an edit back into the photo."""
        from latentface._version import __version__

        return {
            "software": f"latentface {__version__}",
            "photo": printable(task.photo.name),
            "photo_sha256": task.photo_sha256,
            "photo_size": json.dumps(task.photo_size),
            "face": str(task.face),
            "largest": str(task.largest),
            "quad": json.dumps(task.crop.quad.tolist()),
            "landmarks": json.dumps(task.crop.landmarks.round(3).tolist()),
            "landmarks_from": self.settings.landmarks,
            "network": self.settings.network,
            "options": json.dumps(asdict(self.settings.options)),
            "distance": repr(float(projection.distance)),
            "verdict": projection.verdict,
        }

    def _entry(self, photo: Path) -> dict[str, Any]:
        entry: dict[str, Any] = {"photo": str(photo), "status": "pending"}
        self.entries.append(entry)
        return entry

    @staticmethod
    def _paths(files: Files) -> dict[str, str]:
        return {"latent": str(files.latent), "image": str(files.projected), "compare": str(files.compare)}

    def _fail(self, entry: dict[str, Any], error: Exception) -> None:
        """Report a photo that failed; an error that would affect every further photo ends the run."""
        known = isinstance(error, LatentfaceError)
        code = error.exit_code if isinstance(error, LatentfaceError) else 1
        message = " ".join(str(error).split()) if known else f"{INTERNAL}: {type(error).__name__}: {error}"
        if isinstance(error, NoFaceFound) or not known:
            message = f"{entry['photo']}: {message}"
        entry.update(status="failed", error={"kind": type(error).__name__, "message": message, "exit_code": code})
        self.report.problem(message, error)
        self.stopped = self.stopped or isinstance(error, (OutputError, WeightsError))

    def _summarise(self, code: int, seconds: float) -> None:
        for entry in self.entries:
            if entry["status"] == "pending":
                entry["status"] = "left"
        count = {status: sum(e["status"] == status for e in self.entries) for status in ("done", "skipped", "failed")}
        if len(self.entries) > 1:
            self.report.say(", ".join(f"{number} {status}" for status, number in count.items() if number))
        if self.report.as_json:
            settings = self.settings
            editor = getattr(self, "editor", None)
            self.report.result(
                {
                    "command": "project",
                    "network": settings.network,
                    "fingerprint": editor.fingerprint if editor else None,
                    "device": editor.device if editor else settings.device,
                    "options": asdict(settings.options),
                    "results": self.entries,
                    **count,
                    "seconds": seconds,
                    "exit_code": code,
                }
            )
