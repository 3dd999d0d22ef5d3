"""Flags that commands share, and flags made from an options dataclass."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any, TypeVar

import click

from latentface.cli.report import Bar, Report
from latentface.errors import UsageError
from latentface.options import ProjectOptions
from latentface.pretrained.catalogue import DEFAULT_GENERATOR

if TYPE_CHECKING:
    from latentface.editing.inverted_face import FaceFinder
    from latentface.networks.generator import Generator

F = TypeVar("F", bound=Callable[..., Any])

device_flag = click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N; auto takes a GPU when there is one."
)
seed_flag = click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of every random draw."
)
landmarks_flag = click.option(
    "--landmarks", default="builtin", show_default=True, help="builtin, dlib68 or a dlib .dat file."
)
rate_flag = click.option(
    "--rate", default=None, help="Frames a second of a folder of frames, such as 25 or 30000/1001."
)
keep_partial_flag = click.option(
    "--keep-partial", is_flag=True, help="When interrupted, keep what there is as a playable file."
)


def offline_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --offline; networks that the command looks up are downloaded only without it, under a progress bar."""

    @functools.wraps(command)
    def with_access(offline: bool, **values: Any) -> Any:
        from latentface.cli.downloads import access_with_progress

        quiet = bool(click.get_current_context().params.get("quiet"))
        with access_with_progress(Report(quiet=quiet), offline):
            return command(**values)

    return click.option("--offline", is_flag=True, help="Never download anything.")(with_access)


def ops_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --ops; and let the process keep its memory, as drawing layer after layer wants it."""

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

    text = "Native operations, plain torch, or native where they can be built."
    choices = click.Choice(["auto", "native", "reference"])
    return click.option("--ops", "ops_choice", default="auto", show_default=True, type=choices, help=text)(with_ops)


def network_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --network (a generator), --offline and --ops."""
    text = "Generator: built-in or published name, file or URL."
    return click.option("--network", default=DEFAULT_GENERATOR, show_default=True, help=text)(
        offline_flag(ops_flag(command))
    )


def finder_flags(unless: str = "the face is pasted") -> Callable[[F], F]:
    """Add --steps, --landmarks, --face and --cache, which `build_finder` takes.

    unless: when the encoder is not enough, in words.
    """
    steps = click.option(
        "--steps", type=click.IntRange(min=0), default=None,
        help="Steps of projection; more look more like the photo and move less freely, 0 is the network's encoder "
        f"alone.  [default: 0 where there is one, unless {unless}; else {ProjectOptions.steps}]",
    )  # fmt: skip
    face = click.option("--face", type=click.IntRange(min=1), default=None, help="Which face.  [default: the largest]")
    cache = click.option("--cache/--no-cache", default=True, show_default=True, help="Remember projections.")
    return lambda command: steps(landmarks_flag(face(cache(command))))


def report_flags(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json, --quiet and --traceback; the command gets them as one argument, `report`."""

    @functools.wraps(command)
    def with_report(as_json: bool, quiet: bool, show_traceback: bool, **values: Any) -> Any:
        return command(report=Report(as_json, quiet, show_traceback), **values)

    flags = (
        click.option("--traceback", "show_traceback", is_flag=True, help="Show the whole traceback of an error."),
        click.option("--quiet", "-q", is_flag=True, help="Say nothing but errors."),
        click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout, the rest on stderr."),
    )
    for add in flags:
        with_report = add(with_report)
    return with_report


def options_flags(options: type[Any]) -> Callable[[F], F]:
    """Add a flag for each field of an options dataclass: its name, type, default, bounds, choices and help."""
    hints = typing.get_type_hints(options)

    def decorate(command: F) -> F:
        for spec in reversed(fields(options)):
            command = _flag(spec, hints[spec.name])(command)
        return command

    return decorate


def build_options(options: type[Any], values: dict[str, Any]) -> Any:
    """Take the fields of `options` out of a command's keyword arguments and build the dataclass from them."""
    return options(**{spec.name: values.pop(spec.name) for spec in fields(options)})


def build_finder(
    report: Report, bar: Bar, generator: Generator, likeness: bool, seed: int, flags: dict[str, Any]
) -> FaceFinder:
    """What finds faces as --steps, --landmarks and --cache say; the bar shows how their projection goes.

    likeness: the drawn face is shown, see `choose_projection`.
    """
    from latentface import api
    from latentface.editing.inverted_face import FaceFinder, choose_projection

    project = choose_projection(generator, likeness, flags["steps"], seed)
    if project is not None:
        bar.start("projecting", project.steps)
    return FaceFinder(
        generator, project, landmarks=flags["landmarks"], cache=api.projection_cache() if flags["cache"] else None,
        note=report.note, on_step=lambda step, state: bar.step(step + 1),
    )  # fmt: skip


def _flag(spec: Field[Any], hint: Any) -> Callable[[F], F]:
    assert spec.default is not MISSING, f"{spec.name} needs a default to become a flag"
    name = spec.name.replace("_", "-")
    text = spec.metadata.get("help", "")
    if hint is bool:
        return click.option(f"--{name}/--no-{name}", spec.name, default=spec.default, show_default=True, help=text)
    kind = _kind(spec, hint)
    return click.option(
        f"--{name}", spec.name, default=spec.default, show_default=spec.default is not None, type=kind, help=text
    )


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
