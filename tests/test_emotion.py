"""Emotions and sequences of them: names, order, limits, JSON in and out."""

import json
import math

import pytest

from latentface.emotion import FORMAT, Emotion, EmotionSegment, EmotionSequence
from latentface.errors import InputError, UsageError
from latentface.synthface.scene import EMOTIONS

SEQUENCE = EmotionSequence((EmotionSegment(Emotion.NEUTRAL, 0.0, 0.5), EmotionSegment(Emotion.SURPRISE, 0.8, 1.25)))


def test_the_order_is_that_of_the_renders_and_of_the_classifier():
    assert tuple(emotion.value for emotion in Emotion) == EMOTIONS
    assert [emotion.index for emotion in Emotion] == list(range(7))


def test_names_are_read_in_any_case():
    assert Emotion.of(" Happiness") is Emotion.HAPPINESS
    with pytest.raises(UsageError, match="neutral, happiness, sadness, surprise, anger, disgust, fear"):
        Emotion.of("joy")


@pytest.mark.parametrize(
    ("emotion", "strength", "duration", "word"),
    [
        ("fear", 1.0, 1.0, "Emotion.of"),
        (Emotion.FEAR, -0.1, 1.0, "from 0 to 2"),
        (Emotion.FEAR, 2.1, 1.0, "from 0 to 2"),
        (Emotion.FEAR, math.nan, 1.0, "from 0 to 2"),
        (Emotion.FEAR, True, 1.0, "from 0 to 2"),
        (Emotion.FEAR, "1", 1.0, "from 0 to 2"),
        (Emotion.FEAR, 1.0, 0.0, "more than 0"),
        (Emotion.FEAR, 1.0, math.inf, "more than 0"),
    ],
)
def test_segments_out_of_range_are_refused(emotion, strength, duration, word):
    with pytest.raises(UsageError, match=word):
        EmotionSegment(emotion, strength, duration)


def test_sequences_have_segments_and_a_length():
    assert SEQUENCE.duration == 1.75
    assert EmotionSequence(list(SEQUENCE.segments)) == SEQUENCE
    with pytest.raises(UsageError, match="at least one"):
        EmotionSequence(())


def test_json_and_files_come_back_unchanged(tmp_path):
    assert EmotionSequence.from_json(SEQUENCE.to_json()) == SEQUENCE
    SEQUENCE.save(tmp_path / "a.json")
    assert EmotionSequence.load(tmp_path / "a.json") == SEQUENCE


def test_strength_may_be_left_out():
    text = json.dumps({"format": FORMAT, "segments": [{"emotion": "Anger", "duration": 2}]})
    assert EmotionSequence.from_json(text).segments == (EmotionSegment(Emotion.ANGER, 1.0, 2),)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("[]", "format"),
        ('{"segments": []}', "format"),
        ("not json", "no JSON"),
        (json.dumps({"format": FORMAT}), "at least one"),
        (json.dumps({"format": FORMAT, "segments": []}), "at least one"),
        (json.dumps({"format": FORMAT, "segments": [{"emotion": "fear"}]}), "segment 1 is"),
        (json.dumps({"format": FORMAT, "segments": [{"emotion": "fear", "duration": 1, "speed": 1}]}), "segment 1 is"),
        (json.dumps({"format": FORMAT, "segments": [{"emotion": "joy", "duration": 1}]}), "segment 1: no emotion"),
        (json.dumps({"format": FORMAT, "segments": [{"emotion": "fear", "duration": "1"}]}), "segment 1: .*duration"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, content, word):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(InputError, match=word) as caught:
        EmotionSequence.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.json"):
        EmotionSequence.load(tmp_path / "none.json")


def test_a_sequence_in_words() -> None:
    found = EmotionSequence.of("happiness, Fear=1.5,neutral", each=3.0)
    parts = [(Emotion.HAPPINESS, 1.0), (Emotion.FEAR, 1.5), (Emotion.NEUTRAL, 1.0)]
    assert found.segments == tuple(EmotionSegment(emotion, strength, 3.0) for emotion, strength in parts)
    for text, message in (("joy", "no emotion 'joy'"), ("fear=x", "a number after ="), ("fear=3", "from 0 to 2")):
        with pytest.raises(UsageError, match=message):
            EmotionSequence.of(text)


def test_a_sequence_in_so_many_seconds() -> None:
    sequence = EmotionSequence.of("fear,anger").lasting(6)
    assert [segment.duration for segment in sequence.segments] == [3, 3]
    for bad in (0, -1, float("nan")):
        with pytest.raises(UsageError, match="more than 0"):
            sequence.lasting(bad)
