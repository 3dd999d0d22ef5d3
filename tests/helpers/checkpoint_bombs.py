"""Small files that ask a careless reader for gigabytes or for hours."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import safetensors.torch
import torch

from tests.helpers import checkpoint_writers as write

HUGE = 1 << 40
PROTOCOL = b"\x80\x04"


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def integer(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def called(module: str, name: str, *args: bytes) -> bytes:
    return f"c{module}\n{name}\n".encode() + b"(" + b"".join(args) + b"tR"


def module(state: bytes) -> bytes:
    """A persistence module with that (pickled) state."""
    return called("torch_utils.persistence", "_reconstruct_persistent_obj", b"}" + text("state") + state + b"s")


def archive(pickled: bytes, storages: dict[str, bytes], copies: int = 0) -> bytes:
    """A torch file; with `copies`, so many further directory entries that point at the first storage."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("a/data.pkl", pickled)
        for key, content in storages.items():
            made.writestr(f"a/data/{key}", content)
        first = made.filelist[-1]
        for k in range(copies):
            entry = zipfile.ZipInfo(f"a/data/{k}")
            entry.CRC, entry.file_size, entry.compress_size = first.CRC, first.file_size, first.compress_size
            entry.header_offset = first.header_offset
            made.filelist.append(entry)
    return stream.getvalue()


def storage(key: str, count: int) -> bytes:
    """A persistent reference to a float storage."""
    reference = text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + integer(count)
    return b"(" + reference + b"tQ"


def tensor(stored: bytes, shape: list[int], stride: list[int]) -> bytes:
    sizes = b"".join(map(integer, shape)), b"".join(map(integer, stride))
    args = stored, integer(0), b"(" + sizes[0] + b"t", b"(" + sizes[1] + b"t", b"\x89", b"}"
    return called("torch._utils", "_rebuild_tensor_v2", *args)


def state_dict(tensors: dict[str, bytes]) -> bytes:
    items = b"".join(text(name) + value for name, value in tensors.items())
    return PROTOCOL + b"}" + text("g_ema") + b"}(" + items + b"us."


def array(shape: int, dtype: str, content: bytes) -> bytes:
    kind = called("numpy", "dtype", text(dtype))
    made = called("numpy.core.multiarray", "_reconstruct", b"cnumpy\nndarray\n", b"K\x00\x85", b"C\x01b")
    state = b"(K\x01" + integer(shape) + b"\x85" + kind + b"\x89" + b"B" + struct.pack("<I", len(content)) + content
    return made + state + b"tb"


def network(variables: bytes) -> bytes:
    """A TensorFlow network with those (pickled) variables."""
    state = b"}(" + text("version") + b"K\x04" + text("static_kwargs") + b"}" + text("variables") + variables + b"u"
    return PROTOCOL + b"cdnnlib.tflib.network\nNetwork\n)\x81" + state + b"b\x85."


def laughing_modules() -> bytes:
    """Ten modules, each with the next one ten times as its child."""
    below = module(b"}")
    for level in range(10):
        put, get = b"q" + bytes([level]), b"h" + bytes([level])
        children = b"".join(text(str(k)) + get for k in range(10))
        below = below + put + b"0" + module(b"}" + text("_modules") + b"}(" + children + b"us")
    return PROTOCOL + b"}" + text("G_ema") + below + b"s."


def circle() -> bytes:
    """A module that is its own child."""
    return PROTOCOL + b"}" + text("G_ema") + module(
        b"}q\x00" + text("_modules") + b"}" + text("self") + module(b"h\x00") + b"ss"
    ) + b"s."  # fmt: skip


def many_views(count: int) -> bytes:
    """A few thousand parameters that all carry the same blob."""
    blob = io.BytesIO()
    torch.save(torch.zeros(100_000).untyped_storage(), blob, _use_new_zipfile_serialization=False)

    class Shared:
        def __init__(self, content: bytes) -> None:
            self.content = content

        def __reduce__(self) -> tuple[Any, ...]:
            return torch.storage._load_from_bytes, (self.content,)

    class View:
        def __init__(self, name: int) -> None:
            self.name = name

        def __reduce__(self) -> tuple[Any, ...]:
            # a storage object each: the reader keeps what it has decoded of one
            return torch._utils._rebuild_tensor_v2, (Shared(content), 0, (400_000,), (1,), False, self.name)

    content = blob.getvalue()
    parameters = {f"w{k}": View(k) for k in range(count)} | {"const": View(0)}
    block = write.PersistentModule("Block", {"_parameters": parameters}, "")
    synthesis = write.PersistentModule("Synthesis", {"_modules": {"b4": block}}, "")
    top = write.PersistentModule("Generator", {"_modules": {"synthesis": synthesis}}, "")
    return write.dumps({"G_ema": top}, write.ADA_GLOBALS)


def wide_affine() -> bytes:
    """One short tensor that implies a mapping network of gigabytes."""
    state = dict(write.make().state_dict())
    state["synthesis.b4.conv1.affine.weight"] = torch.zeros(1, 60_000)
    return write.torch_bytes(state)


def long_filter() -> bytes:
    """A line of taps whose square is the filter."""
    state = {**write.make().state_dict(), "synthesis.b4.resample_filter": torch.ones(60_000)}
    return write.torch_bytes(state)


def native(**changes: Any) -> bytes:
    """Our own format, with a config that asks for more than the file has."""
    header = {
        "format": "latentface", "format_version": "1", "kind": "generator",
        "config": json.dumps({**asdict(write.SMALL), **changes}),
    }  # fmt: skip
    return safetensors.torch.save({"a": torch.zeros(1)}, header)


def legacy_claim() -> bytes:
    content = write.torch_bytes({"g_ema": {"input.input": torch.zeros(100)[:3]}}, legacy=True)
    numel = b"K\x64"  # 100 values: in the reference
    assert content.count(numel) == 1
    return content.replace(numel, integer(HUGE))


def deflated() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a/data.pkl", bytes(50_000_000))
    return stream.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    "bytes": lambda: PROTOCOL + b"\x8e" + struct.pack("<Q", HUGE) + b"abc.",
    "bytearray": lambda: b"\x80\x05\x96" + struct.pack("<Q", HUGE) + b"abc.",
    "text": lambda: PROTOCOL + b"\x8d" + struct.pack("<Q", HUGE) + b"abc.",
    "frame": lambda: PROTOCOL + b"\x95" + struct.pack("<Q", HUGE) + b"}.",
    "memo": lambda: PROTOCOL + b"}r\xff\xff\xff\xff.",
    "instructions": lambda: PROTOCOL + b"(" * 600_000 + b".",
    "sets": lambda: PROTOCOL + b"\x8f" * 600_000 + b".",
    "deep-tuples": lambda: PROTOCOL + b")" + b"\x85" * 300_000 + b".",
    "deep-key": lambda: PROTOCOL + b"})" + b"\x85" * 300_000 + b"K\x01s.",
    "laughing-key": lambda: PROTOCOL + b"})" + b"2\x86" * 100 + b"K\x01s.",
    "laughing-value": lambda: PROTOCOL + b"}" + text("g_ema") + b")" + b"2\x86" * 100 + b"s.",
    "laughing-modules": laughing_modules,
    "circle": circle,
    "integer-keys": lambda: PROTOCOL + b"}(" + b"".join(
        b"\x8a\x0c" + (k * (2**61 - 1)).to_bytes(12, "little") + b"N" for k in range(1, 90_000)) + b"u.",
    "long-integer": lambda: PROTOCOL + b"\x8b" + struct.pack("<I", 2_000_000) + b"\x01" * 2_000_000 + b".",
    "set-of-bytes": lambda: PROTOCOL + b"}" + b"B" + struct.pack("<I", 10**6) + bytes(10**6) + b"q\x000" + (
        called("builtins", "set", b"h\x00") * 2000) + b".",
    "storage": lambda: archive(
        state_dict({"input.input": tensor(storage("0", HUGE), [1, 4, 4, 4], [64, 16, 4, 1])}), {"0": bytes(400)}
    ),
    "stride-0": lambda: archive(
        state_dict({"input.input": tensor(storage("0", 100), [1, 1 << 31, 4, 4], [0, 0, 0, 0])}), {"0": bytes(400)}
    ),
    "one-entry-many-names": lambda: archive(
        state_dict({
            "input.input": tensor(storage("0", 250_000), [250_000], [1]),
            **{f"x{k}": tensor(storage(str(k), 250_000), [250_000], [1]) for k in range(3000)},
        }),
        {"shared": bytes(1_000_000)}, copies=3000,
    ),
    "legacy-storage": legacy_claim,
    "many-views": lambda: many_views(4000),
    "deflated": deflated,
    "array-shape": lambda: network(b"](" + text("synthesis/4x4/Const/const") + array(HUGE, "f4", b"ab") + b"\x86e"),
    "array-type": lambda: network(b"](" + text("synthesis/4x4/Const/const") + array(1, "V2000000000", b"") + b"\x86e"),
    "wide-affine": wide_affine,
    "long-filter": long_filter,
    "native-width": lambda: native(w_dim=60_000),
    "native-layers": lambda: native(num_mapping_layers=10**9),
    "native-filter": lambda: native(resample_filter=[1] * 60_000),
    "native-size": lambda: native(resolution=1024, channel_base=2**31, channel_max=60_000),
    "safetensors-header": lambda: struct.pack("<Q", HUGE) + b'{"a":1}' + bytes(50),
    "safetensors-shape": lambda: (
        lambda header: struct.pack("<Q", len(header)) + header + bytes(8)
    )(json.dumps({"a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4 * HUGE]}}).encode()),
}  # fmt: skip
