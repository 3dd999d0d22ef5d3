"""latentface: invert a person's own photo into StyleGAN2's W+ space, edit it there and look at the result.

The public names below are loaded on first use (PEP 562): `import latentface` imports none of torch, scipy or dlib, and
changes nothing in the process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latentface.animator import Animation
    from latentface.api import (
        align,
        animate,
        composite,
        load_animator,
        load_direction,
        load_generator,
        predict_emotions,
        project,
        read_emotions,
        transfer,
    )
    from latentface.clip import Clip, Frame, Sound
    from latentface.editor import FaceEditor
    from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
    from latentface.errors import (
        InputError,
        LatentfaceError,
        LatentMismatch,
        NoFaceFound,
        OutputError,
        UnknownNetwork,
        UsageError,
        WeightsError,
    )
    from latentface.face import FaceCrop
    from latentface.fuser import Transfer
    from latentface.images import Photo, read_image, read_photo, to_tensor, to_uint8, write_image
    from latentface.latent import Direction, Latent
    from latentface.networks.generator import Generator, GeneratorConfig
    from latentface.networks.motion import MotionModel
    from latentface.options import (
        AnimateOptions,
        CompositeOptions,
        DirectionOptions,
        EditOptions,
        ProjectOptions,
        ReadOptions,
        SequenceOptions,
        TransferOptions,
        VideoOptions,
    )
    from latentface.pretrained import load_emotion, load_identity, load_landmarks, load_perceptual, load_rhythm
    from latentface.projector import Projection
    from latentface.recognition import Reading, Recogniser
    from latentface.retoucher import Edit
    from latentface.video import Written, read_clip, write_clip

__version__ = "0.1.0"

# public name -> module that defines it
_HOMES = {
    "AnimateOptions": "latentface.options",
    "Animation": "latentface.animator",
    "Clip": "latentface.clip",
    "CompositeOptions": "latentface.options",
    "Direction": "latentface.latent",
    "DirectionOptions": "latentface.options",
    "Edit": "latentface.retoucher",
    "EditOptions": "latentface.options",
    "Emotion": "latentface.emotion",
    "EmotionSegment": "latentface.emotion",
    "EmotionSequence": "latentface.emotion",
    "FaceCrop": "latentface.face",
    "FaceEditor": "latentface.editor",
    "Frame": "latentface.clip",
    "Generator": "latentface.networks.generator",
    "GeneratorConfig": "latentface.networks.generator",
    "InputError": "latentface.errors",
    "Latent": "latentface.latent",
    "LatentMismatch": "latentface.errors",
    "LatentfaceError": "latentface.errors",
    "MotionModel": "latentface.networks.motion",
    "NoFaceFound": "latentface.errors",
    "OutputError": "latentface.errors",
    "Photo": "latentface.images",
    "ProjectOptions": "latentface.options",
    "Projection": "latentface.projector",
    "ReadOptions": "latentface.options",
    "Reading": "latentface.recognition",
    "Recogniser": "latentface.recognition",
    "SequenceOptions": "latentface.options",
    "Sound": "latentface.clip",
    "Transfer": "latentface.fuser",
    "TransferOptions": "latentface.options",
    "UnknownNetwork": "latentface.errors",
    "UsageError": "latentface.errors",
    "VideoOptions": "latentface.options",
    "WeightsError": "latentface.errors",
    "Written": "latentface.video",
    "align": "latentface.api",
    "animate": "latentface.api",
    "composite": "latentface.api",
    "load_animator": "latentface.api",
    "load_direction": "latentface.api",
    "load_emotion": "latentface.pretrained",
    "load_generator": "latentface.api",
    "load_identity": "latentface.pretrained",
    "load_landmarks": "latentface.pretrained",
    "load_perceptual": "latentface.pretrained",
    "load_rhythm": "latentface.pretrained",
    "predict_emotions": "latentface.api",
    "project": "latentface.api",
    "read_clip": "latentface.video",
    "read_emotions": "latentface.api",
    "read_image": "latentface.images",
    "read_photo": "latentface.images",
    "to_tensor": "latentface.images",
    "to_uint8": "latentface.images",
    "transfer": "latentface.api",
    "write_clip": "latentface.video",
    "write_image": "latentface.images",
}

__all__ = [
    "AnimateOptions",
    "Animation",
    "Clip",
    "CompositeOptions",
    "Direction",
    "DirectionOptions",
    "Edit",
    "EditOptions",
    "Emotion",
    "EmotionSegment",
    "EmotionSequence",
    "FaceCrop",
    "FaceEditor",
    "Frame",
    "Generator",
    "GeneratorConfig",
    "InputError",
    "Latent",
    "LatentMismatch",
    "LatentfaceError",
    "MotionModel",
    "NoFaceFound",
    "OutputError",
    "Photo",
    "ProjectOptions",
    "Projection",
    "ReadOptions",
    "Reading",
    "Recogniser",
    "SequenceOptions",
    "Sound",
    "Transfer",
    "TransferOptions",
    "UnknownNetwork",
    "UsageError",
    "VideoOptions",
    "WeightsError",
    "Written",
    "__version__",
    "align",
    "animate",
    "composite",
    "load_animator",
    "load_direction",
    "load_emotion",
    "load_generator",
    "load_identity",
    "load_landmarks",
    "load_perceptual",
    "load_rhythm",
    "predict_emotions",
    "project",
    "read_clip",
    "read_emotions",
    "read_image",
    "read_photo",
    "to_tensor",
    "to_uint8",
    "transfer",
    "write_clip",
    "write_image",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'latentface' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
