"""Options that have an effect in some modes only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from latentface.errors import UsageError
from latentface.modes import check_effect, check_modes, either, spell_value, unless, when
from latentface.options.clips import AnimateOptions, VideoOptions
from latentface.options.fields import option
from latentface.options.photos import CompositeOptions, EditOptions, TransferOptions
from latentface.options.projection import ProjectOptions


@dataclass(frozen=True)
class Tea:
    cup: str = "china"
    milk: float = option(0.0, "How much.", applies_to=(when("the tea", "black", "oolong"), unless("cup", "glass")))


@pytest.mark.parametrize(
    ("tea", "facts", "message"),
    [
        (Tea(milk=1.0), {"the tea": "green"}, "milk has no effect with green as the tea; it applies with black as the"),
        (Tea("glass", 1.0), {}, "milk has no effect with cup='glass'; it applies without cup='glass'"),
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
    with pytest.raises(UsageError, match="with steps=0 and with cup=1; it applies without steps=0 or with cup=2"):
        check_effect("milk", [either(unless("steps", 0), when("cup", 2))], {"steps": 0, "cup": 1}, spell_value)
    check_effect("milk", [either(unless("steps", 0), when("cup", 2))], {"steps": 0, "cup": 2}, spell_value)
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


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ProjectOptions(steps=0, learning_rate=0.2), "learning_rate has no effect with steps=0"),
        (lambda: ProjectOptions(steps=0, pixel_weight=0.0), "pixel_weight has no effect with steps=0 and with tune_st"),
        (lambda: ProjectOptions(space="w", preconditioner="none"), "preconditioner has no effect with space='w'"),
        (lambda: ProjectOptions(noise_regularise=1.0), "noise_regularise has no effect with optimise_noise=False"),
        (lambda: ProjectOptions(start="encoder", w_noise=0.0), "w_noise has no effect with start='encoder'"),
        (lambda: ProjectOptions(tune_learning_rate=1.0), "tune_learning_rate has no effect with tune_steps=0"),
        (lambda: AnimateOptions(mode="absolute", adapt_scale=False), "adapt_scale has no effect with mode='absolute'"),
        (lambda: AnimateOptions(mode="absolute", best_frame=False), "best_frame has no effect with mode='absolute'"),
        (lambda: EditOptions(crop=True, place="paste"), "place has no effect with crop=True"),
        (lambda: VideoOptions(crop=True, place="paste"), "place has no effect with crop=True"),
    ],
)
def test_options_of_every_verb_declare_their_modes(build: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build()


def test_options_that_go_together() -> None:
    ProjectOptions(steps=0, tune_steps=5, pixel_weight=0.0, tune_learning_rate=1e-3)
    ProjectOptions(optimise_noise=True, noise_regularise=1.0, start="mean", w_noise=0.1)
    CompositeOptions(feather=0.2)  # whether a face is pasted is not known here
    check_modes(CompositeOptions(feather=0.2), {"place": "paste"})
    with pytest.raises(UsageError, match="feather has no effect with place='warp'"):
        check_modes(CompositeOptions(feather=0.2), {"place": "warp"})
