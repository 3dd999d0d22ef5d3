"""Keypoint streams: a clip of a talking head as one picture and a few bytes a frame.

Wang, Mallya and Liu (CVPR 2021), section 5: for a video call it suffices to send the source picture once, and then what
the network read in each frame. A stream contains, little-endian:

    4s magic "LFHS", B version, B number of keypoints K
    2I frame rate (numerator, denominator), 2H width and height, I number of frames
    2i left and top of the face's square in the picture, H its side
    8s digest of the network that read the heads, f precision
    I length of the picture, and the picture: JPEG of the reference frame
    3 K h canonical keypoints in units of 1/4096
    I length of the payload, and the payload: states of the head, arithmetically coded (see `io.range_coder`)
    I CRC-32 of everything before

A state is three angles, scale, three translations and 3 K deformations, rounded to multiples of `STEPS` times the
precision. Coded is the change since the frame before (the first frame: since zero), in order; the context of a number
is its group, and how many of two others are not 0: the same number in the frame before, and the number before it.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from PIL import Image

from latentface.arrays import Float64Array, Int64Array, Pixels
from latentface.errors import InputError, UsageError
from latentface.faces.alignment import LandmarkPredictor
from latentface.faces.person_tracker import PersonTracker
from latentface.faces.square import Square
from latentface.io.clip import Clip, Frame
from latentface.io.provenance import COMPOSITE
from latentface.io.range_coder import RangeDecoder, RangeEncoder
from latentface.motion.animator import MovingFace
from latentface.motion.driver import Driver, choose_reference, retargeting
from latentface.networks.vid2vid import Head, Vid2VidModel
from latentface.options.clips import AnimateOptions

MAGIC, VERSION = b"LFHS", 1
HEADER = struct.Struct("<4sBBIIHHIiiH8sfI")
CANONICAL = 4096.0
#: Groups of a state's numbers: how many, and their steps at precision 1 (degrees; otherwise half pictures).
STEPS = (("angle", 3, 0.25), ("scale", 1, 1 / 512), ("translation", 3, 1 / 512), ("deformation", 0, 1 / 256))
HYSTERESIS = 0.75  # steps that a number must change before another is sent, so that noise costs nothing
LONGEST = 10_000_000  # frames that a header may promise


@dataclass(frozen=True, eq=False)
class HeadStream:
    """A clip of a talking head.

    Attributes:
        picture: the reference frame, uint8 RGB [H, W, 3].
        square: of the face in it.
        rate: frames a second.
        network: digest of the network that read the heads, 8 bytes.
        canonical: keypoints of the person, float32 [K, 3].
        states: of each frame, in steps, int64 [F, 7 + 3 K].
        precision: factor of the steps.
    """

    picture: Pixels
    square: Square
    rate: Fraction
    network: bytes
    canonical: torch.Tensor
    states: Int64Array
    precision: float

    @property
    def heads(self) -> Head:
        """The heads of all frames."""
        values = torch.from_numpy(self.states * _steps(len(self.canonical), self.precision)).float()
        angles, scale, translation, deformation = torch.split(values, [3, 1, 3, values.shape[1] - 7], dim=1)
        count = len(values)
        canonical = self.canonical.expand(count, -1, -1)
        return Head(canonical, angles, scale.exp(), translation, deformation.view(count, -1, 3), rigid=True)


def _steps(keypoints: int, precision: float) -> Float64Array:
    """The steps of a state's numbers, [7 + 3 K]."""
    return np.concatenate([np.full(count or 3 * keypoints, precision * step) for _, count, step in STEPS])


def fingerprint(model: Vid2VidModel) -> bytes:
    """Eight bytes that identify the network that reads heads."""
    digest = hashlib.sha256()
    for tensor in model.reader.state_dict().values():
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.digest()[:8]


def pack_clip(
    clip: Clip,
    model: Vid2VidModel,
    landmarks: LandmarkPredictor,
    precision: float = 1.0,
    crop: float = 1.0,
    person: PersonTracker | None = None,
) -> HeadStream:
    """Read the head in every frame of a clip; frames without a face repeat the state before.

    Args:
        clip: its first frame with a face becomes the picture.
        model: a network whose heads are rigid.
        landmarks: finds the face.
        precision: factor of the steps: more than 1 takes fewer bits.
        crop: size of the square around the face, as a factor of the default.
        person: whose head; by default that of the best-scored face.

    Raises:
        NoFaceFound: no face among the first frames.
        UsageError: the network's heads are not rigid, or the precision is not positive.
    """
    if not model.config.rigid or not precision > 0:
        raise UsageError(
            f"a stream needs rigid heads and a positive precision; got rigid={model.config.rigid}, {precision}"
        )
    options = AnimateOptions(engine="vid2vid", best_frame=False, driver_crop=crop)
    clip, (_, frame, points) = choose_reference(clip, landmarks, options, np.zeros((68, 2)), person)
    driver = Driver(clip, model, landmarks, options, points, person)
    steps = _steps(model.config.num_keypoints, precision)
    rows: list[Int64Array] = []
    for _, head in driver:
        rows.append(_quantised(driver.reference if head is None else head, steps, rows[-1] if rows else None))
    picture = np.ascontiguousarray(frame.pixels[..., :3])
    canonical = driver.reference.canonical[0].cpu()
    return HeadStream(
        picture, driver.square, clip.rate, fingerprint(model), canonical, np.stack(rows), precision
    )  # fmt: skip


def _quantised(head: Head, steps: Float64Array, before: Int64Array | None) -> Int64Array:
    """The state of a head [1, ...] in steps; numbers that hardly changed stay as they were."""
    parts = [head.angles, head.scale.log(), head.translation, head.deformation.flatten(1)]
    exact = torch.cat(parts, 1)[0].double().cpu().numpy() / steps
    whole: Int64Array = np.rint(exact).astype(np.int64)
    if before is not None:
        whole = np.where(np.abs(exact - before) < HYSTERESIS, before, whole)
    return whole


def play(
    stream: HeadStream, model: Vid2VidModel, options: AnimateOptions | None = None,
    photo: tuple[Pixels, Square] | None = None,
) -> Clip:  # fmt: skip
    """The clip of a stream, rendered frame by frame.

    Args:
        stream: what was sent.
        model: the network that read the heads.
        options: the view (`yaw`, `pitch`, `roll`, `view`) and `still_background`; by default the stream's own.
        photo: another person, uint8 RGB [H, W, 3], and the square of the face in it, instead of the picture.

    Raises:
        UsageError: the heads were read by another network.
    """
    if fingerprint(model) != stream.network:
        raise UsageError(
            f"the heads of the stream were read by network {stream.network.hex()}, this one is "
            f"{fingerprint(model).hex()}; give the network that packed it with --network"
        )
    options = options or AnimateOptions(engine="vid2vid")
    picture, square = photo or (stream.picture, stream.square)
    face = MovingFace(picture, square, model, options)
    heads = stream.heads
    transfer = retargeting(face.keypoints, heads[:1], options)

    def frames() -> Iterator[Frame]:
        for k in range(len(stream.states)):
            made = picture.copy()
            face.place(made, transfer(heads[k : k + 1]))
            yield Frame(made, Fraction(k) / stream.rate)

    size = (picture.shape[1], picture.shape[0])
    clip = Clip.of((), stream.rate, size, count=len(stream.states))
    return replace(clip, frames=frames(), source_type=COMPOSITE)


def to_bytes(stream: HeadStream, quality: int = 85) -> bytes:
    """A stream as a file; `quality` is that of the picture's JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(stream.picture).save(buffer, "JPEG", quality=quality)
    picture, payload = buffer.getvalue(), _encode(stream.states)
    height, width = stream.picture.shape[:2]
    square, rate = stream.square, stream.rate
    content = HEADER.pack(
        MAGIC, VERSION, len(stream.canonical), rate.numerator, rate.denominator, width, height, len(stream.states),
        square.left, square.top, square.side, stream.network, stream.precision, len(picture),
    )  # fmt: skip
    canonical = (stream.canonical.double() * CANONICAL).round().clamp(-32768, 32767).numpy().astype("<i2")
    content += picture + canonical.tobytes() + struct.pack("<I", len(payload)) + payload
    return content + struct.pack("<I", zlib.crc32(content))


def payload_size(content: bytes) -> int:
    """The bytes of a stream's file that are not header, picture or canonical keypoints: the movement."""
    header = HEADER.unpack_from(content)
    keypoints, length = int(header[2]), int(header[-1])
    return len(content) - HEADER.size - length - 6 * keypoints - 8


def from_bytes(content: bytes) -> HeadStream:
    """The stream of a file.

    Raises:
        InputError: it is another kind of file, of another version, or damaged.
    """
    if content[:4] != MAGIC:
        raise InputError("not a keypoint stream: expected a file that `latentface stream pack` wrote")
    if content[4:5] != bytes([VERSION]):
        raise InputError(f"a keypoint stream of version {content[4:5].hex() or 'none'}; this program reads {VERSION}")
    if len(content) < HEADER.size + 8 or struct.pack("<I", zlib.crc32(content[:-4])) != content[-4:]:
        raise InputError("a damaged keypoint stream: its checksum does not fit; send it again")
    (_, _, keypoints, up, down, width, height, frames, left, top, side, network, precision, length) = (
        HEADER.unpack_from(content)
    )
    at = HEADER.size + length
    rest = at + 6 * keypoints
    if rest + 8 > len(content) or not (up and down and frames and side) or frames > LONGEST or not precision > 0:
        raise InputError("a damaged keypoint stream: its header is impossible")
    try:
        with Image.open(io.BytesIO(content[HEADER.size : at]), formats=["JPEG"]) as opened:
            picture = np.asarray(opened.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"a damaged keypoint stream: its picture cannot be read ({error})") from None
    if picture.shape[:2] != (height, width):
        raise InputError(f"a damaged keypoint stream: its picture is not {width} x {height}")
    canonical = np.frombuffer(content[at:rest], "<i2").astype(np.float32).reshape(keypoints, 3) / CANONICAL
    states = _decode(content[rest + 4 : -4], frames, keypoints)
    return HeadStream(
        picture, Square(left, top, side), Fraction(up, down), network, torch.tensor(canonical), states, precision
    )


def _groups(keypoints: int) -> list[str]:
    return [name for name, count, _ in STEPS for _ in range(count or 3 * keypoints)]


def _encode(states: Int64Array) -> bytes:
    """States [F, 7 + 3 K] as coded changes."""
    encoder, groups = RangeEncoder(), _groups((states.shape[1] - 7) // 3)
    before = np.zeros(states.shape[1], np.int64)
    changed: Sequence[int] = before.tolist()
    for state in states:
        changes: list[int] = (state - before).tolist()
        for k, change in enumerate(changes):
            encoder.integer(_context(groups[k], changed[k], changes[k - 1] if k else 0), change)
        before, changed = state, changes
    return encoder.finish()


def _decode(payload: bytes, frames: int, keypoints: int) -> Int64Array:
    """The states [F, 7 + 3 K] of a payload; InputError if it is damaged."""
    decoder, groups = RangeDecoder(payload), _groups(keypoints)
    changed = [0] * len(groups)
    rows = []
    for _ in range(frames):
        changes: list[int] = []
        for k, group in enumerate(groups):
            changes.append(decoder.integer(_context(group, changed[k], changes[-1] if changes else 0)))
        rows.append(changes)
        changed = changes
    decoder.finish()
    return np.cumsum(np.array(rows, np.int64), axis=0)


def _context(group: str, earlier: int, neighbour: int) -> tuple[str, int]:
    return group, (earlier != 0) + (neighbour != 0)
