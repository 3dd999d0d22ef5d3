"""Static int8 quantisation of estimators: calibrated on faces, measured on others, and refused if it costs accuracy.

Activations are unsigned and weights signed 8-bit integers (U8S8), with one scale for each output channel of weights.
Only convolutions and fully connected layers are quantised: they hold nearly all weights and take most of the time, and
the rest (norms, the integral over heat maps) needs the range of float32. Ranges are the smallest and largest values
seen (Jacob et al., CVPR 2018).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from latentface import pretrained
from latentface.arrays import Pixels
from latentface.errors import InputError, NoFaceFound, WeightsError
from latentface.faces import alignment
from latentface.faces.alignment import BuiltinLandmarks
from latentface.io.atomic import atomic_path, sha256
from latentface.networks.exporting import to_onnx
from latentface.runtime.calibration import Accuracy, batches, compare, views_of
from latentface.runtime.estimators import Estimator, open_estimator
from latentface.runtime.served import Served

IMAGES = "images"
MOST_FACES = 256  # more would take memory and change no range


@dataclass(frozen=True)
class Quantised:
    """What was written.

    Attributes:
        path: the file.
        kind: `landmarks`, `head-reader` or `motion`.
        accuracy: on the faces that were not used to calibrate.
        faces: how many calibrated, and how many were measured.
        bytes: size of the file, and of the same network in float32.
    """

    path: Path
    kind: str
    accuracy: Accuracy
    faces: tuple[int, int]
    bytes: tuple[int, int]


def quantise(name: str, photos: Iterable[Pixels], path: Path | None, folder: Path) -> Quantised:
    """Quantise an estimator to int8 and write it as an ONNX file.

    Every second face calibrates; the others measure what quantisation costs.

    Args:
        name: of the estimator, or its file.
        photos: uint8 RGB [H, W, 3]; two faces at least among them.
        path: the file to write; None for the one in `folder` that `choice` finds.
        folder: the user's cache.

    Raises:
        UnknownNetwork, UsageError: see `open_estimator`.
        WeightsError: a package is missing, or the error grows by more than the estimator's limit.
        InputError: the photos show fewer than two faces.
        OutputError: the file cannot be written.
    """
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        raise WeightsError("quantisation needs onnx and onnxruntime: pip install 'latentface[onnx]'")
    estimator = open_estimator(name)
    inputs = batches(_views(photos, estimator))
    if len(inputs) < 2:
        raise InputError(f"{len(inputs)} faces in the pictures; expected two at least, and better some twenty")
    exact = to_onnx(estimator.network, inputs[0][:2], IMAGES, estimator.outputs)
    content = to_int8(exact, inputs[::2])
    accuracy = compare(estimator.kind, estimator.network, Served(content, name), inputs[1::2])
    if not accuracy.worse <= estimator.limit:
        raise WeightsError(
            f"{name} in int8 has an error of {accuracy.int8:.3f} points instead of {accuracy.float32:.3f}, more than "
            f"{estimator.limit} points worse: calibrate on more faces, like those that it will see"
        )
    source = sha256(estimator.path)
    facts = {"config": asdict(estimator.config), "accuracy": asdict(accuracy)}
    told = {key: json.dumps(value) for key, value in facts.items()}
    content = _described(content, {"kind": estimator.kind, "source": source, **told})
    path = path or place(folder, source)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    counts = len(inputs[::2]), len(inputs[1::2])
    return Quantised(path, estimator.kind, accuracy, counts, (len(content), len(exact)))


def place(folder: Path, source: str) -> Path:
    """Where the user's cache keeps the quantised form of a network, by the SHA-256 of its weights."""
    return folder / "quantised" / f"{source[:16]}.int8.onnx"


def _views(photos: Iterable[Pixels], estimator: Estimator) -> Iterator[Pixels]:
    landmarks, count = BuiltinLandmarks(pretrained.load_landmarks()), 0
    for photo in photos:
        try:
            faces = alignment.align(photo, size=16, landmarks=landmarks)
        except NoFaceFound:
            continue
        for face in faces[: MOST_FACES - count]:
            yield views_of(photo, estimator.frame(face.landmarks), estimator.size)
            count += 1


def to_int8(content: bytes, inputs: Sequence[Tensor]) -> bytes:
    """An ONNX network with its convolutions in int8, calibrated on inputs [N, 3, S, S]."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.waiting = iter(inputs)

        def get_next(self) -> dict[str, Any] | None:
            found = next(self.waiting, None)
            return None if found is None else {IMAGES: found.numpy()}

    with TemporaryDirectory() as folder, _quiet():
        first, second, third = (Path(folder) / name for name in ("exact.onnx", "folded.onnx", "int8.onnx"))
        first.write_bytes(content)
        quant_pre_process(first, second, skip_symbolic_shape=True)
        quantize_static(
            second, third, Reader(), quant_format=QuantFormat.QOperator, op_types_to_quantize=["Conv", "Gemm"],
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, per_channel=True,
        )  # fmt: skip
        return third.read_bytes()


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice to itself."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _described(content: bytes, facts: Mapping[str, str]) -> bytes:
    import onnx

    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, dict(facts))
    described: bytes = model.SerializeToString()
    return described
