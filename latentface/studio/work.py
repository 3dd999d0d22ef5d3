"""The work of the queue: each verb as a function that reports its progress and writes into the folder of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latentface.arrays import BoolArray
from latentface.completion.holes import check_hole
from latentface.editing.keyframes import Keyframes
from latentface.emotion import EmotionSequence
from latentface.errors import OutputError, UsageError
from latentface.head.control_names import check_parts
from latentface.io.images import Photo, read_photo
from latentface.io.provenance import GENERATED
from latentface.io.video import read_clip, write_clip
from latentface.latents.rows import parse_rows
from latentface.options.clips import AnimateOptions, ClipOptions, SequenceOptions, VideoOptions
from latentface.options.photos import CompleteOptions, TransferOptions
from latentface.options.projection import ProjectOptions
from latentface.options.styles import StyleOptions, StyliseOptions
from latentface.provenance.credentials import Story
from latentface.provenance.publish import Publisher
from latentface.studio.jobs import Progress, Work
from latentface.studio.results import PICTURES, Results
from latentface.studio.session import Edited, Subject

if TYPE_CHECKING:
    from latentface.editor import FaceEditor
    from latentface.inversion.projector import StepState
    from latentface.io.clip import Clip, Frame

CLIPS = ("mp4", "webm", "gif")
SHOWN_EVERY = 8  # frames of a clip that is written
DRAWN_EVERY = 10  # steps of a projection
LONGEST = 600.0  # seconds of an expression video


@dataclass(frozen=True, eq=False)
class Workshop:
    """The verbs with one network. Every method checks its arguments immediately and returns the work as a function.

    Attributes:
        network: name or file of the generator, which is loaded when it is first needed.
        results: where files are written.
        seed: of every random draw.
        device: of the networks, as `FaceEditor` takes it.
    """

    network: str
    results: Results
    seed: int = 0
    device: str = "cpu"

    @cached_property
    def editor(self) -> FaceEditor:
        """The verbs themselves."""
        from latentface.editor import FaceEditor

        return FaceEditor(self.network, self.device, self.seed)

    def save(self, edited: Edited, kind: str = "png") -> Work:
        """An edited photo at its full size; kind: one of `PICTURES`."""
        _check_kind(kind, PICTURES)

        def work(progress: Progress) -> Sequence[Path]:
            progress(0.1, "editing the photo at its full size")
            subject = edited.subject
            photo = subject.render(edited.changes)
            progress(0.8, "writing")
            target = self.results.new(subject.name, f"edit.{kind}")
            sources = () if subject.path is None else (subject.path,)
            published = Publisher(Story("edit", {"set": dict(edited.changes)}, sources))
            published.photo(target, photo, None if edited.earlier else subject.photo, subject.face)
            return (target,)

        return work

    def edit(
        self, photo: str, changes: Mapping[str, float], face: int | None = None, name: str = "", kind: str = "png"
    ) -> Work:
        """Edit a photo's file, as `latentface edit` does.

        Args:
            photo: the file.
            changes: values by names of emotions and controls, see `directions.meaning.move_head`.
            face: which face of it, counted from 1 in order of confidence; the largest if None.
            name: what the result is named after; by default the file.
            kind: one of `PICTURES`.
        """
        _check_kind(kind, PICTURES)

        def work(progress: Progress) -> Sequence[Path]:
            progress(0.05, "finding the face")
            subject = Subject.read(photo, face)
            return self.save(Edited(replace(subject, name=name or subject.name), dict(changes)), kind)(progress)

        return work

    def transfer(
        self,
        identity: str,
        expression: str,
        strength: float = 1.0,
        only: Sequence[str] = (),
        face: int | None = None,
        expression_face: int | None = None,
        name: str = "",
    ) -> Work:
        """A photo with the expression of another photo; only: the parts of the face that change, all if empty."""
        check_parts(only)
        options = TransferOptions(strength=strength, only=",".join(only))

        def work(progress: Progress) -> Sequence[Path]:
            progress(0.1, "finding both faces")
            editor = self.editor
            progress(0.2, "giving the expression")
            made = editor.transfer(identity, expression, options, face=face, expression_face=expression_face)
            progress.show(made.photo.rgb)
            progress(0.9, "writing")
            target = self.results.new(name or identity, "transfer.png")
            story = Story("transfer", {"strength": strength, "only": options.only}, (Path(identity), Path(expression)))
            Publisher(story).photo(target, made.photo, made.identity.photo, made.identity.crop)
            return (target,)

        return work

    def video(
        self,
        photo: str,
        sequence: EmotionSequence,
        options: SequenceOptions | None = None,
        drawing: VideoOptions | None = None,
        face: int | None = None,
        name: str = "",
        kind: str = "mp4",
    ) -> Work:
        """A photo's face going through emotions; the sequence is written beside the clip."""
        _check_kind(kind, CLIPS)
        if sequence.duration > LONGEST:
            raise UsageError(f"the emotions last {sequence.duration:g} seconds; expected {LONGEST:g} at most")

        def work(progress: Progress) -> Sequence[Path]:
            progress(0.02, "finding the face")
            clip = self.editor.video(photo, sequence, options, drawing, face=face)
            story = Story("video", sources=(Path(photo),))
            written = self._write(progress, clip, self.results.new(name or photo, f"video.{kind}"), story)
            script = self.results.new(name or photo, "emotions.json")
            sequence.save(script)
            return *written, script

        return work

    def animate(
        self,
        photo: str,
        driving: str,
        only: Sequence[str] = (),
        face: int | None = None,
        name: str = "",
        kind: str = "mp4",
    ) -> Work:
        """A photo moved as the face of a clip moves, or the parts `only` of it; face: None for all of them."""
        _check_kind(kind, CLIPS)
        check_parts(only)
        options = AnimateOptions(only=",".join(only))

        def work(progress: Progress) -> Sequence[Path]:
            progress(0.02, "following the face of the clip")
            clip = self.editor.animate(photo, read_clip(driving), options, face=face).clip
            story = Story("animate", {"only": options.only}, (Path(photo), Path(driving)))
            return self._write(progress, clip, self.results.new(name or photo, f"animated.{kind}"), story)

        return work

    def edit_clip(
        self,
        clip: str,
        keyframes: Keyframes,
        options: ClipOptions | None = None,
        face: int | None = None,
        name: str = "",
        kind: str = "mp4",
    ) -> Work:
        """Change one face of a clip over time, as `latentface edit` does."""
        _check_kind(kind, CLIPS)
        if not keyframes.names:
            raise UsageError("nothing changes yet; add a row to the table")

        def work(progress: Progress) -> Sequence[Path]:
            progress(0.02, "following the face of the clip")
            made = self.editor.edit_clip(read_clip(clip), keyframes, options, face=face).clip
            story = Story("edit", {"set": dict(keyframes.constant)}, (Path(clip),))
            return self._write(progress, made, self.results.new(name or clip, f"edit.{kind}"), story)

        return work

    def project(self, photo: str, steps: int = 100, face: int | None = None, name: str = "") -> Work:
        """Invert the face of a photo to a latent and its picture; with 0 steps, the encoder's output is used."""
        options = ProjectOptions(steps=steps, seed=self.seed)

        def work(progress: Progress) -> Sequence[Path]:
            from latentface import api

            progress(0.0, "finding the face")
            editor = self.editor
            subject = Subject.read(photo, face)
            if api.has_encoder(editor.generator):
                progress.show(api.synthesise(editor.generator, api.encode(subject.face, editor.generator))[0])

            def on_step(step: int, state: StepState) -> None:
                progress.point(float(state.loss[0]))
                progress(step / max(steps, 1), f"step {step}")
                if step % DRAWN_EVERY == 0:
                    progress.show(api.synthesise(editor.generator, state.ws)[0])

            made = editor.project(subject.face, options, on_step=on_step)
            progress.show(made.image)
            latent, picture = (self.results.new(name or photo, end) for end in ("latent.safetensors", "projected.png"))
            made.latent.save(latent)
            story = Story("project", sources=(Path(photo),))
            Publisher(story).photo(picture, Photo(made.image, source_type=GENERATED))
            return picture, latent

        return work

    def mix(self, first: str, second: str, rows: str, share: float = 1.0, name: str = "") -> Work:
        """The face of one photo or latent with rows of another's latent (style mixing, Karras et al. 2019, 3.1).

        Args:
            first: a photo or latent file, whose other rows stay.
            second: likewise, whose rows are taken.
            rows: which, counted from 0, such as 0-3,8.
            share: how much of the way they go, 0..1.
            name: what the result is named after; by default the first file.
        """
        if not 0 <= share <= 1:
            raise UsageError(f"the share is {share:g}; expected a number from 0 to 1")

        def work(progress: Progress) -> Sequence[Path]:
            from latentface import api
            from latentface.editing.inverted_face import FaceFinder, choose_projection

            progress(0.05, "finding both faces")
            generator = self.editor.generator
            taken = list(parse_rows(rows, generator.config.num_ws))
            options = choose_projection(generator, likeness=True, seed=self.seed)

            def on_step(step: int, state: StepState) -> None:
                progress(0.05 + 0.9 * step / max(options.steps, 1), f"projecting, step {step}")

            finder = FaceFinder(generator, options, cache=api.projection_cache(), on_step=on_step)
            faces = finder.faces([(first, "the first", None), (second, "the second", None)])
            progress(0.95, "mixing")
            own, other = (face.latent for face in faces)
            ws = own.ws.clone()
            ws[taken] += share * (other.ws[taken] - ws[taken])
            latent = replace(own, ws=ws, noise=None)
            images = [api.synthesise(generator, each)[0] for each in (own, latent, other)]
            target, picture = (self.results.new(name or first, end) for end in ("mix.latent.safetensors", "mix.png"))
            latent.save(target)
            sheet = Photo(np.concatenate(images, axis=1), source_type=GENERATED)
            Publisher(Story("mix", sources=(Path(first), Path(second)))).sheet(picture, sheet)
            return picture, target

        return work

    def complete(
        self, photo: str, hole: BoolArray | None = None, *, remove: str | None = None, search: bool = False,
        harmonise: bool = False, name: str = "",
    ) -> Work:  # fmt: skip
        """Complete the face of a photo, as `latentface complete` does.

        Args:
            photo: the file.
            hole: bool [H, W], what is painted; or
            remove: what is found and removed.
            search: whether a search follows the network; never with harmonise.
            harmonise: whether what the hole shows stays, in colours that fit.
            name: what the result is named after; by default the file.
        """
        if (hole is None) == (remove is None):
            raise UsageError("give either what is painted over or what is to be removed")
        if hole is not None:
            check_hole(hole)
        options = CompleteOptions(method="optimise" if search and not harmonise else "network", harmonise=harmonise)

        def work(progress: Progress) -> Sequence[Path]:
            from latentface.completion.complete import complete

            def on_step(step: int, steps: int) -> None:
                progress(0.1 + 0.8 * step / steps, f"step {step}")

            progress(0.1, "completing the face")
            source = read_photo(photo)
            made = complete(source, hole, remove=remove, options=options, device=self.device, on_step=on_step)
            progress.show(made.photo.rgb)
            target = self.results.new(name or photo, "complete.png")
            Publisher(Story("complete", {"remove": remove}, (Path(photo),))).sheet(target, made.photo)
            return (target,)

        return work

    def stylise(
        self,
        photo: str,
        style: str,
        options: StyliseOptions | None = None,
        learning: StyleOptions | None = None,
        face: int | None = None,
        name: str = "",
    ) -> Work:
        """A photo's face in a style: of a style file, or learnt from a picture and written beside the result."""
        learning = learning or StyleOptions(seed=self.seed)

        def work(progress: Progress) -> Sequence[Path]:
            from latentface.editing.stylisation import is_style_file, learn_style, open_style, style_face

            progress(0.0, "opening the style")
            editor, files = self.editor, list[Path]()
            if is_style_file(style):
                known = open_style(style, editor.generator)
            else:

                def on_step(step: int, loss: float) -> None:
                    progress.point(loss)
                    progress(0.9 * step / learning.learning_steps, f"learning the style, step {step}")

                crop = style_face(style, editor.resolution, name=f"{Path(style).name}")
                known = learn_style(crop, editor.generator, learning, name=Path(style).stem, on_step=on_step)
                files.append(self.results.new(style, "style.safetensors"))
                known.save(files[0])
            progress(0.9, "drawing")
            made = editor.stylise(photo, known, options, face=face)
            progress.show(made.photo.rgb)
            target = self.results.new(name or photo, "stylise.png")
            Publisher(Story("stylise", sources=(Path(photo), Path(style)))).photo(target, made.photo)
            return target, *files

        return work

    def _write(self, progress: Progress, clip: Clip, target: Path, story: Story) -> Sequence[Path]:
        def on_frame(count: int, frame: Frame) -> None:
            if count % SHOWN_EVERY == 1:
                progress.show(frame.pixels[..., :3])
            progress(0.05 + 0.95 * count / (clip.count or 10 * count), f"frame {count} of {clip.count or 'the clip'}")

        published = Publisher(story)
        write_clip(target, published.clip(clip), on_frame=on_frame)
        published.sign(target, clip.source_type)
        return (target,)


def _check_kind(kind: str, kinds: Sequence[str]) -> None:
    if kind not in kinds:
        raise OutputError(f"cannot write {kind!r}; expected one of {', '.join(kinds)}")
