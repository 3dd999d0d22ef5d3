"""ICC profiles of the colour spaces that cameras and programs use, made by bytes (ICC.1:2022, version 2 tags)."""

from __future__ import annotations

import struct

import numpy as np

from latentface.arrays import Float64Array

#: Columns of the matrix RGB -> XYZ under D50, and the exponent (None: the curve of sRGB).
SPACES: dict[str, tuple[tuple[tuple[float, float, float], ...], float | None]] = {
    "srgb": (((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)), None),
    "adobe": (((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)), 563 / 256),
    "prophoto": (((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491)), 1.8),
    "p3": (((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)), None),
}
D50 = (0.9642, 1.0, 0.8249)


def rgb_profile(space: str) -> bytes:
    """The profile of one of `SPACES`."""
    columns, exponent = SPACES[space]
    tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(exponent))
    return _profile(b"RGB ", tags)


def grey_profile(exponent: float) -> bytes:
    """A grey scale of that exponent."""
    return _profile(b"GRAY", {b"kTRC": _curve(exponent)})


def encode(linear: Float64Array, space: str) -> Float64Array:
    """Values 0 ... 1 of a space whose light is `linear` sRGB [..., 3]; what lies outside it is cut."""
    to_xyz, from_xyz = np.array(SPACES["srgb"][0]).T, np.linalg.inv(np.array(SPACES[space][0]).T)
    light = np.clip(linear @ (from_xyz @ to_xyz).T, 0, 1)
    exponent = SPACES[space][1]
    return np.asarray(_srgb_curve(light) if exponent is None else light ** (1 / exponent))


def to_linear(values: Float64Array) -> Float64Array:
    """Light of sRGB values 0 ... 1 (IEC 61966-2-1)."""
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))


def _srgb_curve(light: Float64Array) -> Float64Array:
    return np.asarray(np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055))


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)
    whole = {b"desc": text, b"cprt": b"text" + bytes(4) + b"none\0", b"wtpt": _xyz(D50), **tags}
    at, table, body = 128 + 4 + 12 * len(whole), b"", b""
    for name, value in whole.items():
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value + bytes(-len(value) % 4)
    header = struct.pack(">I4sI4s4s4s", 0, bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += b"".join(_fixed(part) for part in D50)
    header = header.ljust(128, b"\0") + struct.pack(">I", len(whole)) + table + body
    return struct.pack(">I", len(header)) + header[4:]


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(map(_fixed, values))


def _curve(exponent: float | None) -> bytes:
    if exponent is not None:
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(exponent * 256)) + bytes(2)
    values = np.rint(to_linear(np.linspace(0, 1, 1024)) * 65535).astype(">u2").tobytes()
    return b"curv" + bytes(4) + struct.pack(">I", 1024) + values
