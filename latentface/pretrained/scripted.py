"""Networks of features in TorchScript, such as the published Inception and VGG-16 that measures of sets are defined by.

Such a file is a program of torch's own operations, and running the network runs it: unlike all other files, it is not
read only.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Callable

import torch
from torch import Tensor

from latentface.errors import WeightsError


def is_script(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a TorchScript archive; False if there is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def load_script(path: str | os.PathLike[str]) -> Callable[[Tensor], Tensor]:
    """The network of a TorchScript file: pictures uint8 [N, 3, H, W] -> what it gives for them.

    If its forward method has an argument `return_features`, as in the files of the StyleGAN papers, that is true.

    Raises:
        WeightsError: the file is damaged, or the network cannot take such pictures.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch prefers torch.export; the files are older
            network = torch.jit.load(os.fspath(path), map_location="cpu").eval()  # type: ignore[no-untyped-call]
            names = {argument.name for argument in network.forward.schema.arguments}
    except (RuntimeError, ValueError, AttributeError) as reason:
        raise WeightsError(f"{path} is a damaged TorchScript file ({_line(reason)}): get it again") from reason
    more = {"return_features": True} if "return_features" in names else {}

    def features(pictures: Tensor) -> Tensor:
        try:
            found: Tensor = network(pictures, **more)
        except RuntimeError as reason:
            raise WeightsError(
                f"{path} cannot take pictures {pictures.dtype} {list(pictures.shape)} ({_line(reason)}): give a "
                "network of features, such as the Inception of the StyleGAN papers"
            ) from reason
        return found

    return features


def _line(reason: Exception) -> str:
    return " ".join(str(reason).split())[-160:]
