"""Files of TorchScript: told from others, run on pictures, and refused when they do not fit."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from latentface.errors import WeightsError
from latentface.pretrained.scripted import is_script, load_script


class Means(nn.Module):
    """The colours' means, or no features."""

    def forward(self, pictures: Tensor, return_features: bool = False) -> Tensor:
        """As the detectors of the StyleGAN papers."""
        means = pictures.float().mean(dim=[2, 3])
        return means if return_features else means.sum(dim=1)


class Narrow(nn.Module):
    """A network for other inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(7, 2)

    def forward(self, rows: Tensor) -> Tensor:
        """Rows of seven numbers."""
        out: Tensor = self.layer(rows)
        return out


def save(network: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TorchScript itself
        torch.jit.script(network).save(path)
    return path


def test_features_are_asked_for(tmp_path: Path) -> None:
    path = save(Means(), tmp_path / "means.pt")
    pictures = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    assert is_script(path)
    torch.testing.assert_close(load_script(path)(pictures), pictures.float().mean(dim=[2, 3]))


def test_other_files_are_none(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2)}, tmp_path / "state.pt")
    (tmp_path / "text.pt").write_text("no archive")
    assert not any(is_script(tmp_path / name) for name in ("state.pt", "text.pt", "none.pt"))


def test_what_cannot_be_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot take pictures"):
        load_script(save(Narrow(), tmp_path / "narrow.pt"))(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with zipfile.ZipFile(tmp_path / "broken.pt", "w") as archive:
        archive.writestr("broken/code/__torch__.py", "nothing")
    assert is_script(tmp_path / "broken.pt")
    with pytest.raises(WeightsError, match="damaged"):
        load_script(tmp_path / "broken.pt")
