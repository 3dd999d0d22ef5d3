"""Converts frames of clips to sRGB: standard and wide gamuts, and HDR with PQ or HLG, which is tone-mapped.

A clip specifies its colours by code points of ITU-T H.273. FFmpeg's scaler handles their matrix and range; this module
adds primaries other than those of BT.709, and the transfer curves of HDR (ITU-R BT.2100). HDR is
shown with its reference white of 203 cd/m^2 (ITU-R BT.2408) as white; what is brighter is rolled off.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from latentface.arrays import Float32Array, Pixels

_PQ, _HLG = 16, 18  # transfer characteristics
_UNKNOWN = 2  # in each of the three tables of H.273
_BT709, _SD = 1, (1280, 576)  # a picture without a matrix is BT.709 when it is wider or higher than this
_REFERENCE_WHITE, _PEAK = 203.0, 1000.0  # cd/m^2
_KNEE = 0.6  # of reference white: darker light, which includes faces, is unchanged
_LEVELS = 16383

#: Primaries of H.273 -> the matrix from their linear RGB to that of BT.709.
_TO_BT709 = {
    9: ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)),
    11: ((1.157517, -0.154961, -0.002555), (-0.041500, 1.045568, -0.004068), (-0.018050, -0.078578, 1.096629)),
    12: ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098273)),
}


def note_of(frame: Any) -> str | None:
    """A note about the colours of a clip with such frames; None if they are standard."""
    if frame.color_trc in (_PQ, _HLG):
        name = "PQ" if frame.color_trc == _PQ else "HLG"
        return f"an HDR clip ({name}): its brightness is mapped to that of a standard screen"
    return "a clip of a wide gamut: its colours are brought to sRGB" if frame.color_primaries in _TO_BT709 else None


def to_srgb(frame: Any, alpha: bool = False, **size: int) -> Pixels:
    """The pixels of a decoded frame in sRGB: uint8 [H, W, 3], or [H, W, 4] with alpha, which only standard ones have.

    size: width and height, where the frame is to be scaled.
    """
    unknown = frame.colorspace == _UNKNOWN and (frame.width >= _SD[0] or frame.height > _SD[1])
    matrix = {"src_colorspace": _BT709} if unknown and frame.format.name.startswith("yuv") else {}
    if alpha or note_of(frame) is None:
        pixels: Pixels = frame.to_ndarray(format="rgba" if alpha else "rgb24", **matrix, **size)
        return pixels
    values = frame.to_ndarray(format="rgb48le", **matrix, **size)  # [H, W, 3]
    light = _curve(frame.color_trc)[values]
    if frame.color_trc == _HLG:  # the OOTF of BT.2100 for a screen of 1000 cd/m^2
        luminance = light @ np.array((0.2627, 0.6780, 0.0593), np.float32)
        light *= (_PEAK / _REFERENCE_WHITE) * luminance[..., None] ** 0.2
    if frame.color_primaries in _TO_BT709:
        light = light @ np.array(_TO_BT709[frame.color_primaries], np.float32).T
    if frame.color_trc in (_PQ, _HLG):
        light = _rolled_off(light)
    coded: Pixels = _encoding()[np.rint(light.clip(0, 1) * _LEVELS).astype(np.uint16)]
    return coded


def _rolled_off(light: Float32Array) -> Float32Array:
    """Light [H, W, 3] by reference white -> at most 1, with its hue; above the knee by Reinhard's curve (2002)."""
    brightest = light.max(2, keepdims=True)
    above = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    most = (_PEAK / _REFERENCE_WHITE - _KNEE) / (1 - _KNEE)
    mapped = _KNEE + (1 - _KNEE) * above * (1 + above / most**2) / (1 + above)
    scale = np.where(brightest > _KNEE, np.minimum(mapped, 1) / np.maximum(brightest, _KNEE), 1)
    return np.asarray(light * scale, np.float32)


@functools.lru_cache(maxsize=4)
def _curve(transfer: int) -> Float32Array:
    """Light of values of 16 bits: by reference white for PQ, of the scene 0 ... 1 for HLG, else as sRGB."""
    value = np.arange(65536) / 65535
    if transfer == _PQ:  # SMPTE ST 2084
        root = value ** (32 / 2523)
        light = (np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)) ** (8192 / 1305)
        light *= 10_000 / _REFERENCE_WHITE
    elif transfer == _HLG:  # ARIB STD-B67
        light = np.where(value <= 0.5, value**2 / 3, (np.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    else:
        light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@functools.lru_cache(maxsize=1)
def _encoding() -> Pixels:
    """Values of sRGB for light 0 ... 1 in steps of 1 / 16383."""
    light = np.arange(_LEVELS + 1) / _LEVELS
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(values * 255), np.uint8)
