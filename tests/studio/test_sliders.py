"""The sliders' table and the presets."""

from __future__ import annotations

from latentface.emotion import Emotion
from latentface.head.control_names import CONTROLS
from latentface.studio.sliders import PRESETS, SLIDERS


def test_every_control_and_emotion_has_a_slider() -> None:
    assert {slider.name for slider in SLIDERS} == {*CONTROLS, *(each.value for each in Emotion)} - {"neutral"}
    assert len({slider.key for slider in SLIDERS}) == len(SLIDERS)
    assert len({slider.title for slider in SLIDERS}) == len(SLIDERS)


def test_nought_changes_nothing_and_lies_within_every_range() -> None:
    assert all(slider.low <= 0 < slider.high for slider in SLIDERS)
    assert all(round((slider.high - slider.low) / slider.step, 6) % 1 == 0 for slider in SLIDERS)


def test_presets_are_values_of_sliders() -> None:
    by_key = {slider.key: slider for slider in SLIDERS}
    for changes in PRESETS.values():
        for key, value in changes.items():
            assert by_key[key].low <= value <= by_key[key].high
