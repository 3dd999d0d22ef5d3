"""Reasons are predicates, on one line, and short."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentface.errors import WeightsError
from latentface.pretrained.readers import read_checkpoint
from latentface.pretrained.readers.errors import damaged, not_supported


def test_reasons_go_behind_a_file_s_name() -> None:
    assert str(damaged("a storage\n  without   end")) == (
        "is damaged or truncated (a storage without end): download the file again"
    )
    assert len(str(damaged("x" * 1000))) < 230
    assert str(not_supported("a TorchScript module")) == (
        "is a TorchScript module, not supported: give a StyleGAN2 network file"
    )


def test_a_reason_is_told_with_the_file_in_front(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04N")
    with pytest.raises(WeightsError, match=r"a\.pkl is damaged or truncated \(.*\): download the file again$"):
        read_checkpoint(tmp_path / "a.pkl")
