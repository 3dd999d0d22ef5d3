"""latentface: change the expression of a face in your own photo, through the latent space of StyleGAN2.

The public names below are loaded on first use (PEP 562): `import latentface` imports neither torch nor scipy nor dlib,
and has no side effects on the process.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from latentface._version import __version__

if TYPE_CHECKING:
    from latentface.api import (
        align,
        animate,
        composite,
        fit_head,
        load_animator,
        load_direction,
        load_generator,
        load_talking_head,
        predict_emotions,
        project,
        read_emotions,
        transfer,
    )
    from latentface.completion.complete import Completion, complete
    from latentface.editing.attribute_edit import Edit
    from latentface.editing.clip_edit import EditedClip
    from latentface.editing.keyframes import Keyframes
    from latentface.editing.stylisation import Stylised, learn_style, stylise
    from latentface.editing.translation import Translation, translate
    from latentface.editor import FaceEditor
    from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
    from latentface.emotions.recognition import Reading, Recogniser
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
    from latentface.evaluation.evaluate import evaluate
    from latentface.evaluation.figures import Evaluation
    from latentface.faces.crop import FaceCrop
    from latentface.fusion.style_mixing import Transfer
    from latentface.head.fit import HeadFit
    from latentface.inversion.projector import Projection
    from latentface.io.clip import Clip, Frame, Sound
    from latentface.io.images import Photo, read_image, read_photo, to_tensor, to_uint8, write_image, write_photo
    from latentface.io.video import Written, read_clip, write_clip
    from latentface.latents.latent import Direction, Latent
    from latentface.motion.animator import Animation
    from latentface.networks.generator import Generator, GeneratorConfig
    from latentface.networks.motion import MotionModel
    from latentface.networks.vid2vid import Vid2VidModel
    from latentface.options.clips import AnimateOptions, ClipOptions, ReadOptions, SequenceOptions, VideoOptions
    from latentface.options.photos import (
        CompleteOptions,
        CompositeOptions,
        EditOptions,
        TransferOptions,
        TranslateOptions,
    )
    from latentface.options.projection import DirectionOptions, ProjectOptions
    from latentface.options.results import EvaluateOptions, ProvenanceOptions
    from latentface.options.styles import StyleOptions, StyliseOptions
    from latentface.pretrained import load_emotion, load_identity, load_landmarks, load_perceptual, load_rhythm
    from latentface.provenance.credentials import Story
    from latentface.provenance.publish import Publisher
    from latentface.provenance.verify import Verification, verify
    from latentface.retargeting.retargeter import Retargeter, load_retargeter
    from latentface.styles.style import Style

# public name -> module that defines it
_HOMES = {
    "AnimateOptions": "latentface.options.clips",
    "Animation": "latentface.motion.animator",
    "Clip": "latentface.io.clip",
    "ClipOptions": "latentface.options.clips",
    "CompleteOptions": "latentface.options.photos",
    "Completion": "latentface.completion.complete",
    "CompositeOptions": "latentface.options.photos",
    "Direction": "latentface.latents.latent",
    "DirectionOptions": "latentface.options.projection",
    "Edit": "latentface.editing.attribute_edit",
    "EditOptions": "latentface.options.photos",
    "EditedClip": "latentface.editing.clip_edit",
    "Emotion": "latentface.emotion",
    "EmotionSegment": "latentface.emotion",
    "EmotionSequence": "latentface.emotion",
    "EvaluateOptions": "latentface.options.results",
    "Evaluation": "latentface.evaluation.figures",
    "FaceCrop": "latentface.faces.crop",
    "FaceEditor": "latentface.editor",
    "Frame": "latentface.io.clip",
    "Generator": "latentface.networks.generator",
    "GeneratorConfig": "latentface.networks.generator",
    "HeadFit": "latentface.head.fit",
    "InputError": "latentface.errors",
    "Keyframes": "latentface.editing.keyframes",
    "Latent": "latentface.latents.latent",
    "LatentMismatch": "latentface.errors",
    "LatentfaceError": "latentface.errors",
    "MotionModel": "latentface.networks.motion",
    "NoFaceFound": "latentface.errors",
    "OutputError": "latentface.errors",
    "Photo": "latentface.io.images",
    "ProjectOptions": "latentface.options.projection",
    "Projection": "latentface.inversion.projector",
    "ReadOptions": "latentface.options.clips",
    "ProvenanceOptions": "latentface.options.results",
    "Publisher": "latentface.provenance.publish",
    "Reading": "latentface.emotions.recognition",
    "Recogniser": "latentface.emotions.recognition",
    "SequenceOptions": "latentface.options.clips",
    "Retargeter": "latentface.retargeting.retargeter",
    "Sound": "latentface.io.clip",
    "Story": "latentface.provenance.credentials",
    "Style": "latentface.styles.style",
    "StyleOptions": "latentface.options.styles",
    "StyliseOptions": "latentface.options.styles",
    "Stylised": "latentface.editing.stylisation",
    "Transfer": "latentface.fusion.style_mixing",
    "TransferOptions": "latentface.options.photos",
    "TranslateOptions": "latentface.options.photos",
    "Translation": "latentface.editing.translation",
    "UnknownNetwork": "latentface.errors",
    "UsageError": "latentface.errors",
    "Verification": "latentface.provenance.verify",
    "Vid2VidModel": "latentface.networks.vid2vid",
    "VideoOptions": "latentface.options.clips",
    "WeightsError": "latentface.errors",
    "Written": "latentface.io.video",
    "align": "latentface.api",
    "animate": "latentface.api",
    "complete": "latentface.completion.complete",
    "composite": "latentface.api",
    "evaluate": "latentface.evaluation.evaluate",
    "fit_head": "latentface.api",
    "learn_style": "latentface.editing.stylisation",
    "load_animator": "latentface.api",
    "load_direction": "latentface.api",
    "load_emotion": "latentface.pretrained",
    "load_generator": "latentface.api",
    "load_identity": "latentface.pretrained",
    "load_landmarks": "latentface.pretrained",
    "load_perceptual": "latentface.pretrained",
    "load_retargeter": "latentface.retargeting.retargeter",
    "load_rhythm": "latentface.pretrained",
    "load_talking_head": "latentface.api",
    "predict_emotions": "latentface.api",
    "project": "latentface.api",
    "read_clip": "latentface.io.video",
    "read_emotions": "latentface.api",
    "read_image": "latentface.io.images",
    "read_photo": "latentface.io.images",
    "stylise": "latentface.editing.stylisation",
    "to_tensor": "latentface.io.images",
    "to_uint8": "latentface.io.images",
    "transfer": "latentface.api",
    "translate": "latentface.editing.translation",
    "verify": "latentface.provenance.verify",
    "write_clip": "latentface.io.video",
    "write_image": "latentface.io.images",
    "write_photo": "latentface.io.images",
}

__all__ = [
    "AnimateOptions",
    "Animation",
    "Clip",
    "ClipOptions",
    "CompleteOptions",
    "Completion",
    "CompositeOptions",
    "Direction",
    "DirectionOptions",
    "Edit",
    "EditOptions",
    "EditedClip",
    "Emotion",
    "EmotionSegment",
    "EmotionSequence",
    "EvaluateOptions",
    "Evaluation",
    "FaceCrop",
    "FaceEditor",
    "Frame",
    "Generator",
    "GeneratorConfig",
    "HeadFit",
    "InputError",
    "Keyframes",
    "Latent",
    "LatentMismatch",
    "LatentfaceError",
    "MotionModel",
    "NoFaceFound",
    "OutputError",
    "Photo",
    "ProjectOptions",
    "Projection",
    "ProvenanceOptions",
    "Publisher",
    "ReadOptions",
    "Reading",
    "Recogniser",
    "Retargeter",
    "SequenceOptions",
    "Sound",
    "Story",
    "Style",
    "StyleOptions",
    "StyliseOptions",
    "Stylised",
    "Transfer",
    "TransferOptions",
    "TranslateOptions",
    "Translation",
    "UnknownNetwork",
    "UsageError",
    "Verification",
    "Vid2VidModel",
    "VideoOptions",
    "WeightsError",
    "Written",
    "__version__",
    "align",
    "animate",
    "complete",
    "composite",
    "evaluate",
    "fit_head",
    "learn_style",
    "load_animator",
    "load_direction",
    "load_emotion",
    "load_generator",
    "load_identity",
    "load_landmarks",
    "load_perceptual",
    "load_retargeter",
    "load_rhythm",
    "load_talking_head",
    "predict_emotions",
    "project",
    "read_clip",
    "read_emotions",
    "read_image",
    "read_photo",
    "stylise",
    "to_tensor",
    "to_uint8",
    "transfer",
    "translate",
    "verify",
    "write_clip",
    "write_image",
    "write_photo",
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
