"""Modes, to which options belong: an option without effect in the chosen mode is an error.

An option declares conditions, such as `when("place", "paste")`. They are checked against facts: the values of other
options by name, and what is known about the input, under names that begin with "the", such as {"the source": "a
latent"}. A fact that is None is not known yet and violates no condition.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from latentface.errors import UsageError

#: Puts a fact into words that begin with "with" or "without": "with place='warp'", "without --crop".
Spell = Callable[[str, Any], str]


@dataclass(frozen=True)
class Condition:
    """Holds if the fact `name` has one of the values or, if `negated`, none of them."""

    name: str
    values: tuple[Any, ...]
    negated: bool = False

    def violated(self, facts: Mapping[str, Any]) -> bool:
        """Whether the facts contradict the condition; an unknown fact does not."""
        value = facts.get(self.name)
        return value is not None and (value in self.values) == self.negated

    def spelled(self, spell: Spell) -> str:
        """The mode that the condition asks for, in words."""
        words = [spell(self.name, value) for value in self.values]
        if self.negated:
            words = [each.replace("with ", "without ", 1) for each in words]
        return " or ".join(words)


@dataclass(frozen=True)
class Either:
    """At least one of the conditions holds."""

    conditions: tuple[Condition, ...]

    def violated(self, facts: Mapping[str, Any]) -> bool:
        """Whether the facts contradict every one of the conditions."""
        return all(condition.violated(facts) for condition in self.conditions)

    def spelled(self, spell: Spell) -> str:
        """The modes that satisfy it, in words."""
        return " or ".join(condition.spelled(spell) for condition in self.conditions)


def when(name: str, *values: Any) -> Condition:
    """The option has an effect where the fact has one of these values."""
    return Condition(name, values)


def unless(name: str, *values: Any) -> Condition:
    """The option has an effect where the fact has none of these values."""
    return Condition(name, values, negated=True)


def either(*conditions: Condition) -> Either:
    """The option has an effect where one of the conditions holds."""
    return Either(conditions)


def check_effect(option: str, conditions: Sequence[Condition | Either], facts: Mapping[str, Any], spell: Spell) -> None:
    """Raise UsageError if an option that was given has no effect; the message names the mode it belongs to."""
    for condition in conditions:
        if condition.violated(facts):
            parts = condition.conditions if isinstance(condition, Either) else (condition,)
            now = " and ".join(spell(part.name, facts[part.name]) for part in parts)
            raise UsageError(f"{option} has no effect {now}; it applies {condition.spelled(spell)}")


def check_modes(options: Any, facts: Mapping[str, Any] | None = None) -> None:
    """Raise UsageError if a field of an options dataclass has no effect in its mode but differs from its default.

    Args:
        options: a dataclass whose fields carry `applies_to` in their metadata.
        facts: facts in addition to the options' own values.
    """
    known = {spec.name: getattr(options, spec.name) for spec in fields(options)} | dict(facts or {})
    for spec in fields(options):
        if known[spec.name] != spec.default:
            check_effect(spec.name, spec.metadata.get("applies_to", ()), known, spell_value)


def spell_value(name: str, value: Any) -> str:
    """A fact in Python's spelling: with place='warp'; with a latent as the source."""
    return f"with {value} as {name}" if name.startswith("the ") else f"with {name}={value!r}"
