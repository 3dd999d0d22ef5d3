"""The list of public names is a promise: this test changes only together with the changelog."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module

import pytest

import latentface

NAMES = [
    "AnimateOptions", "Animation", "MotionModel", "Vid2VidModel", "animate", "load_animator", "load_talking_head",
    "Retargeter", "load_retargeter",
    "Style", "StyleOptions", "StyliseOptions", "Stylised", "learn_style", "stylise",
    "EvaluateOptions", "Evaluation", "evaluate", "CompleteOptions", "Completion", "complete",
    "TranslateOptions", "Translation", "translate",
    "ProvenanceOptions", "Publisher", "Story", "Verification", "verify",
    "HeadFit", "fit_head", "ClipOptions", "EditedClip", "Keyframes",
    "Clip", "CompositeOptions", "Direction", "Emotion", "EmotionSegment", "EmotionSequence", "FaceCrop", "FaceEditor",
    "Frame", "Generator", "GeneratorConfig", "InputError", "Latent", "LatentMismatch", "LatentfaceError",
    "NoFaceFound", "OutputError", "Photo", "ProjectOptions", "Projection", "Sound", "Transfer", "TransferOptions",
    "DirectionOptions", "Edit", "EditOptions", "load_direction", "SequenceOptions", "VideoOptions",
    "ReadOptions", "Reading", "Recogniser", "load_rhythm", "predict_emotions", "read_emotions",
    "UnknownNetwork", "UsageError", "WeightsError", "Written", "__version__", "align", "composite", "load_emotion",
    "load_generator", "load_identity", "load_landmarks", "load_perceptual", "project", "read_clip", "read_image",
    "read_photo", "to_tensor", "to_uint8", "transfer", "write_clip", "write_image", "write_photo",
]  # fmt: skip
VERBS = sorted(name for name in NAMES if name.islower() and not name.startswith("_"))


def test_public_names_are_these() -> None:
    assert sorted(latentface.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(latentface))


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_loads_and_is_documented(name: str) -> None:
    value = getattr(latentface, name)
    assert isinstance(value, str) or inspect.getdoc(value)


@pytest.mark.parametrize("name", VERBS)
def test_verbs_are_functions_whatever_was_imported_before(name: str) -> None:
    import_module("latentface.faces.alignment")
    import_module("latentface.inversion.projector")
    assert inspect.isfunction(getattr(latentface, name))
    assert f"latentface.{name}" not in sys.modules


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        latentface.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("name", "leading"),
    [
        ("align", ["photo", "size"]),
        ("animate", ["photo", "drivers", "model", "options"]),
        ("fit_head", ["crop", "photo"]),
        ("load_animator", ["network", "device"]),
        ("load_talking_head", ["network", "device"]),
        ("project", ["crops", "generator", "options"]),
        ("read_image", ["path"]),
        ("write_image", ["path", "rgb"]),
    ],
)
def test_leading_parameters(name: str, leading: list[str]) -> None:
    assert list(inspect.signature(getattr(latentface, name)).parameters)[: len(leading)] == leading


def test_load_generator_takes_a_device() -> None:
    assert inspect.signature(latentface.load_generator).parameters["device"].default == "cpu"


def test_exit_codes() -> None:
    codes = {
        "LatentfaceError": 1, "UsageError": 2, "InputError": 3, "NoFaceFound": 3, "LatentMismatch": 3,
        "WeightsError": 4, "UnknownNetwork": 4, "OutputError": 5,
    }  # fmt: skip
    errors = {name: getattr(latentface, name) for name in codes}
    assert {name: error.exit_code for name, error in errors.items()} == codes
    assert all(issubclass(error, latentface.LatentfaceError) for error in errors.values())
