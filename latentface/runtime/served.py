"""A network in onnxruntime, in place of a torch module."""

from __future__ import annotations

import copy
import json
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from latentface.errors import UsageError, WeightsError
from latentface.networks.head_reader import HeadReaderConfig
from latentface.networks.landmarks import LandmarkConfig
from latentface.networks.motion import Keypoints, MotionModel


class Served(nn.Module):
    """An ONNX network of one input, on the CPU: images [N, 3, S, S] in [-1, 1] -> a tuple of tensors.

    Args:
        content: the file.
        name: what to call it in messages.

    Attributes:
        metadata: the text properties of the file.

    Raises:
        WeightsError: onnxruntime is not installed, or cannot run the file.
    """

    def __init__(self, content: bytes, name: str) -> None:
        super().__init__()
        if find_spec("onnxruntime") is None:
            raise WeightsError(f"{name} needs onnxruntime: pip install 'latentface[runtime]', or use --runtime torch")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        # threads that wait for work by spinning would take the cores from torch
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:  # from memory, so that a file cannot name others to read
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            (given,) = session.get_inputs()
        except Exception as error:  # onnxruntime's own kinds of error have no common base but this
            reason = " ".join(str(error).split())[:200]
            raise WeightsError(f"{name} cannot be run ({reason}): quantise the network again") from error
        self._content, self._name = content, name
        self._session, self._input, self._shape = session, given.name, given.shape[1:]
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def __reduce__(self) -> tuple[type[Served], tuple[bytes, str]]:
        return type(self), (self._content, self._name)  # sessions cannot be pickled

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The outputs for images [N, 3, S, S]; UsageError for another shape."""
        if list(images.shape[1:]) != self._shape:
            expected = ", ".join(map(str, self._shape))
            raise UsageError(f"quantised network: expected [N, {expected}], got {list(images.shape)}")
        given = {self._input: images.detach().cpu().float().contiguous().numpy()}
        return tuple(torch.from_numpy(each) for each in self._session.run(None, given))


def read_served(path: Path, kind: str) -> Served:
    """A quantised estimator from its file; WeightsError if it cannot be read or is of another kind."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror or error}") from error
    served = Served(content, str(path))
    came = served.metadata.get("kind", "something else")
    if came != kind or "config" not in served.metadata:
        raise WeightsError(f"{path} contains {came}; expected {kind}, from `latentface weights quantise`")
    return served


class ServedLandmarks(nn.Module):
    """In place of a `LandmarkNet`: images [N, 3, S, S] -> landmarks [N, 68, 2]."""

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.served, self.config = served, LandmarkConfig(**json.loads(served.metadata["config"]))

    def forward(self, images: Tensor) -> Tensor:
        """Landmarks [N, 68, 2] in crop units of images in [-1, 1]."""
        points: Tensor = self.served(images)[0]
        return points


class ServedHeadReader(nn.Module):
    """In place of a `HeadReaderNet`: images [N, 3, S, S] -> means and deviations [N, E + 4]."""

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.served, self.config = served, HeadReaderConfig(**json.loads(served.metadata["config"]))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Means and standard deviations [N, E + 4] of images in [-1, 1]."""
        found: tuple[Tensor, ...] = self.served(images)
        return found


class _ServedKeypoints(nn.Module):
    """In place of a `KeypointDetector`: pictures [N, 3, H, W] in [0, 1] -> `Keypoints`."""

    def __init__(self, served: Served) -> None:
        super().__init__()
        self.served = served

    def forward(self, pictures: Tensor) -> Keypoints:
        return Keypoints(*self.served(pictures * 2 - 1))


def with_keypoints(model: MotionModel, served: Served) -> MotionModel:
    """A motion model that shares all but the keypoint detector with the given one."""
    changed = copy.copy(model)
    changed._modules = {**model._modules, "kp_detector": _ServedKeypoints(served)}
    return changed
