"""The options about the origin of results, and what writes results by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from latentface.cli.command import ORIGIN, was_given
from latentface.cli.flags import Conditions, build_options, options_flags
from latentface.cli.report import Report
from latentface.errors import UsageError
from latentface.options.results import ProvenanceOptions

if TYPE_CHECKING:
    from latentface.provenance.publish import Publisher

F = TypeVar("F", bound=Callable[..., Any])


def provenance_flags(applies_to: Conditions = (), without: Sequence[str] = ()) -> Callable[[F], F]:
    """Add --mark and --sign, which `build_publisher` takes."""
    return options_flags(ProvenanceOptions, ORIGIN, also=applies_to, without=without)


def build_publisher(
    report: Report, verb: str, flags: dict[str, Any], sources: Sequence[Path], settings: Mapping[str, object]
) -> Publisher:
    """Remove the options of `provenance_flags` from a command's keyword arguments; what writes its results by them.

    Args:
        report: of the command.
        verb: its name.
        flags: its keyword arguments.
        sources: the files that the results are made from, the edited one first.
        settings: what the credentials say of its options; names of files are left out.
    """
    options: ProvenanceOptions = build_options(ProvenanceOptions, {"mark": True, **flags})
    flags.pop("mark", None), flags.pop("sign")

    from latentface.provenance import credentials
    from latentface.provenance.publish import Publisher

    if options.sign and was_given("sign") and not credentials.is_available():
        raise UsageError(f"--sign needs c2pa-python: {credentials.INSTALL}; without --sign, files stay unsigned")
    story = credentials.Story(verb, _plain(settings), tuple(sources))
    return Publisher(story, options, report.note)


def _plain(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings without names of files, and without what has no value."""
    found: dict[str, object] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found[name] = _plain(value)
        elif isinstance(value, (bool, int, float)) or (isinstance(value, str) and not {"/", "\\", "."} & set(value)):
            found[name] = value
    return found
