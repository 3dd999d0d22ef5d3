"""Commands whose help is divided into sections, and whose options say which modes they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from latentface.modes import Condition, Either, Spell, check_effect, spell_value

F = TypeVar("F", bound=Callable[..., Any])

GENERAL, FACES, PROJECTION = "Options", "Faces", "Projection"
CLIPS = "Clips"
ROWS, PASTING, LIVE = "Choice of rows (--layers auto)", "Pasting (--place paste)", "Live (--driving camera:...)"
ORIGIN, NETWORKS, MESSAGES = "Origin", "Networks and machine", "Messages"
#: The sections of a command's help, in this order.
SECTIONS = (GENERAL, CLIPS, FACES, ROWS, PASTING, LIVE, PROJECTION, ORIGIN, NETWORKS, MESSAGES)


class Flag(click.Option):
    """An option with its section of the help, and the modes in which it has an effect."""

    def __init__(
        self,
        param_decls: Sequence[str] | None = None,
        *,
        section: str = GENERAL,
        applies_to: Sequence[Condition | Either] = (),
        **attributes: Any,
    ) -> None:
        super().__init__(param_decls, **attributes)
        assert section in SECTIONS, section
        self.section, self.applies_to = section, tuple(applies_to)

    def spelled(self, value: Any = None) -> str:
        """The option as the user types it for a value: `--strip`, or `--no-strip` for False."""
        names = self.secondary_opts if value is False and self.secondary_opts else self.opts
        return max(names, key=len)


def flag(*names: str, **attributes: Any) -> Callable[[F], F]:
    """`click.option` for a `Flag`, which also accepts `section` and `applies_to`."""
    return click.option(*names, cls=Flag, **attributes)


class Command(click.Command):
    """A command whose help lists its options by section."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help, with a heading for each section that is not empty."""
        for section, records in options_by_section(ctx).items():
            with formatter.section(section):
                formatter.write_dl(records)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


def walk(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """Yield a context for a command, or for every command of a group and its subgroups, in the order of the help."""
    if not isinstance(command, click.Group):
        yield context
        return
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        if child is not None:
            yield from walk(child, click.Context(child, context, info_name=name))


def options_by_section(context: click.Context) -> dict[str, list[tuple[str, str]]]:
    """The options of a command, as names and help, by section of the help."""
    records: dict[str, list[tuple[str, str]]] = {section: [] for section in SECTIONS}
    for param in context.command.get_params(context):
        record = param.get_help_record(context)
        if record is not None and isinstance(param, click.Option):
            records[param.section if isinstance(param, Flag) else MESSAGES].append(record)
    return {section: found for section, found in records.items() if found}


def was_given(name: str) -> bool:
    """Whether the user wrote this option, by its parameter's name, on the command line."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def check_flags(facts: Mapping[str, Any] | None = None) -> None:
    """Raise UsageError for an option that was given but has no effect in the mode chosen by the others and the facts.

    Args:
        facts: facts in addition to the values of the options, which they override, see `modes`. None is not known yet.
    """
    context = click.get_current_context()
    known = {**context.params, **(facts or {})}
    spell = _speller(context.command)
    for param in context.command.params:
        if isinstance(param, Flag) and param.applies_to and param.name is not None and was_given(param.name):
            check_effect(param.spelled(context.params[param.name]), param.applies_to, known, spell)


def _speller(command: click.Command) -> Spell:
    """How facts are spelled for this command: with --place paste, without --crop."""
    flags = {param.name: param for param in command.params if isinstance(param, Flag)}

    def spell(name: str, value: Any) -> str:
        if name not in flags or name.startswith("the "):
            return spell_value(name, value)
        word = flags[name].spelled()
        if isinstance(value, bool):
            return f"with {word}" if value else f"without {word}"
        return f"with {word} {value}"

    return spell
