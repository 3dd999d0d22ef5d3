"""Named tensors and text metadata in a safetensors file: nothing is ever executed, equal content is equal bytes.

Checkpoints of trainings, and files for other tools, are in torch's own format.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from latentface.errors import LatentfaceError
from latentface.io.atomic import atomic_path


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors does: the length of the header, then the header, which is JSON."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= path.stat().st_size


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> None:
    """Write `tensors` (moved to the CPU) and `metadata`, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    plain = {name: value.detach().to("cpu").contiguous() for name, value in tensors.items()}
    content = _sorted_header(safetensors.torch.save(plain, dict(metadata)))
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_torch(path: str | os.PathLike[str], value: object) -> None:
    """Write a value as `torch.save` does, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    content = io.BytesIO()  # on a full disk torch itself fails without telling the reason
    torch.save(value, content)
    # a view that ends here: one that an error's traceback holds keeps the buffer from being freed
    with atomic_path(path) as temporary, temporary.open("wb") as file, content.getbuffer() as view:
        file.write(view)


def read_tensors(
    path: str | os.PathLike[str], error: type[LatentfaceError], what: str
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read every tensor of a safetensors file onto the CPU, and its metadata.

    The tensors can be trained and kept, also when they are read within `torch.inference_mode`.

    Args:
        path: the file.
        error: what to raise if that is impossible.
        what: what the file should be, for the message.
    """
    source = Path(path)
    if not source.is_file():
        state = "is a folder" if source.is_dir() else "does not exist"
        raise error(f"{source} {state}: give {what}")
    if source.stat().st_size == 0:
        raise error(f"{source} is empty: give {what}")
    try:
        with torch.inference_mode(False), safetensors.safe_open(source, framework="pt", device="cpu") as file:
            # copies: the file is mapped into memory, and may be replaced while the tensors live
            return {name: file.get_tensor(name).clone() for name in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118
    except OSError as reason:
        raise error(f"{source} cannot be read: {reason.strerror or reason}; give {what}") from reason
    except (safetensors.SafetensorError, ValueError, RuntimeError) as reason:
        line = " ".join(str(reason).split())
        raise error(f"{source} is damaged or not a safetensors file ({line}): give {what}") from reason


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str] | None:
    """The metadata of a safetensors file, without its tensors; None for a file that is none or cannot be read."""
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            return dict(file.metadata() or {})
    except (OSError, safetensors.SafetensorError, ValueError, RuntimeError):
        return None


def _sorted_header(content: bytes) -> bytes:
    """The same file with its header's keys in order; the library writes the metadata in a random one."""
    length = int.from_bytes(content[:8], "little")
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors stay aligned to 8 bytes
    return len(header).to_bytes(8, "little") + header + content[8 + length :]
