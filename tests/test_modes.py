"""Options that have an effect in some modes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from latentface.errors import UsageError
from latentface.modes import check_effect, check_modes, spell_value, unless, when
from latentface.options import TransferOptions, option


@dataclass(frozen=True)
class Tea:
    cup: str = "china"
    milk: float = option(0.0, "How much.", applies_to=(when("the tea", "black", "oolong"), unless("cup", "glass")))


@pytest.mark.parametrize(
    ("tea", "facts", "message"),
    [
        (Tea(milk=1.0), {"the tea": "green"}, "milk has no effect with green as the tea; it applies with black as the"),
        (Tea("glass", 1.0), {}, "milk has no effect with cup='glass'; it applies otherwise"),
        (Tea(milk=1.0), {"the tea": "black"}, None),
        (Tea(milk=1.0), {"the tea": None}, None),
        (Tea(milk=1.0), {}, None),
        (Tea("glass"), {"the tea": "green"}, None),
    ],
)
def test_what_does_nothing_says_where_it_belongs(tea: Tea, facts: dict[str, Any], message: str | None) -> None:
    if message is None:
        check_modes(tea, facts)
        return
    with pytest.raises(UsageError) as error:
        check_modes(tea, facts)
    assert message in str(error.value)


def test_the_words_are_the_callers() -> None:
    with pytest.raises(UsageError, match=r"^--milk has no effect in green; it applies in black or in oolong$"):
        check_effect("--milk", [when("tea", "black", "oolong")], {"tea": "green"}, lambda name, value: f"in {value}")
    assert spell_value("steps", 0) == "with steps=0"


CHOSEN = {
    "keep": "0-2", "most_layers": 3, "exact_layers": 2, "contiguous": True, "finest": 16, "solver": "exhaustive",
    "time_limit": 3.0, "rounds": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("layers", ["3-4", "paper"])
def test_rules_of_the_choice_contradict_layers_that_are_named(name: str, layers: str) -> None:
    with pytest.raises(UsageError, match=rf"{name} has no effect with layers='{layers}'; .* layers='auto'"):
        TransferOptions(layers=layers, **{name: CHOSEN[name]})
    TransferOptions(**{name: CHOSEN[name]})


@pytest.mark.parametrize("name", ["time_limit", "rounds"])
def test_an_exhaustive_search_has_no_rounds(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no effect with solver='exhaustive'"):
        TransferOptions(solver="exhaustive", **{name: CHOSEN[name]})
