"""The only place where pixels change form: files <-> uint8 RGB [H, W, 3] <-> float32 [N, 3, H, W] in [-1, 1]."""

from __future__ import annotations

import importlib
import importlib.util
import os
import struct
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError, features

from latentface.arrays import Pixels
from latentface.errors import InputError, OutputError, UsageError
from latentface.io.atomic import WholeWrites, atomic_path
from latentface.io.colour import read_in_srgb
from latentface.io.iptc import PNG_KEY, jpeg_segment, png_text, read_iptc
from latentface.io.kinds import picture_kind, picture_kind_of
from latentface.io.memory import give_back
from latentface.io.metadata import BROKEN, LEFT_OUT, exif_to_write, read_exif, without_metadata
from latentface.io.provenance import SourceType, software, xmp_packet
from latentface.io.xmp import merged, readable

if TYPE_CHECKING:
    import torch

MAX_PIXELS = 200_000_000  # the largest phone sensors take 200 MP; decoded that is 600 MB
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".heif", ".avif"}
)
_WRITERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_LONGEST = {"JPEG": 65_500, "WEBP": 16_383}  # pixels of a side that these hold
PNG_LEVEL = 4  # of zlib: photos are as small as with 6, the usual one, in half the time
BAND = 256  # rows of a picture that are converted together
_JPEG_XMP = 65_504  # bytes
_BITS, _PLANES = 258, 284  # tags of TIFF


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as read: rgb uint8 [H, W, 3], alpha uint8 [H, W] or None, and the file's EXIF block and ICC profile.

    The EXIF orientation is already applied to the pixels and removed from the block. source_type is the IPTC term for
    what a network did to the pixels (see `latentface.io.provenance`); None for an unchanged photo. notes: one line for
    each part of the file's metadata that was left out. xmp and iptc: the file's XMP packet and IPTC block.
    """

    rgb: Pixels
    alpha: Pixels | None = None
    exif: bytes | None = None
    icc: bytes | None = None
    source_type: SourceType | None = None
    notes: tuple[str, ...] = ()
    xmp: bytes | None = None
    iptc: bytes | None = None


def read_image(path: str | os.PathLike[str]) -> Pixels:
    """Read any picture file as uint8 RGB [H, W, 3], turned upright; raises InputError as `read_photo` does."""
    return read_photo(path).rgb


def read_photo(path: str | os.PathLike[str]) -> Photo:
    """Read a picture file; grey, palette, 16-bit, CMYK and alpha images become uint8 RGB, and EXIF rotation is applied.

    From an animation the first frame is read. Unreadable metadata are left out, as noted in `Photo.notes`; Pillow may
    emit warnings about unusual ones. Raises InputError for a missing, empty, truncated or unsupported file, for a
    folder, and, before decoding, for a picture of more than MAX_PIXELS.
    """
    source = Path(path)
    _check_file(source)
    try:
        photo = _read(source)
        give_back(photo.rgb)  # Pillow's own copy
        return photo
    except Image.DecompressionBombError as error:  # of a picture within the file
        raise InputError(f"{source}: {error}; make the picture smaller first") from None
    except MemoryError:
        raise InputError(f"{source}: not enough memory to decode this picture; make it smaller first") from None
    except PermissionError:
        raise InputError(f"{source}: no permission to read this file") from None
    except UnidentifiedImageError:
        raise InputError(_unidentified(source)) from None
    except BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{source}: damaged or truncated picture ({reason}); save or download it again") from None


def _read(source: Path) -> Photo:
    """Read the picture of a file; if its metadata stop the decoder, read it without them."""
    try:
        with source.open("rb") as file:
            return _decode(source, file)
    except (PermissionError, Image.DecompressionBombError):
        raise
    except BROKEN:
        for plain in without_metadata(source.read_bytes()):
            with suppress(*BROKEN):
                photo = _decode(source, plain)
                return replace(photo, notes=(LEFT_OUT, *photo.notes))
        raise


def _decode(source: Path, file: IO[bytes]) -> Photo:
    head = file.read(32)
    if picture_kind(head) == "HEIC":
        _register_heic()
    with _identify(file, head) as image:
        _check_size(source, image.size)
        _check_layout(source, image)
        image.load()
        _check_numbers(source, image)
        return _to_photo(image)


def list_photos(folder: str | os.PathLike[str]) -> list[Path]:
    """The picture files directly in a folder, sorted by name; InputError when it is no folder or has none.

    A file counts as a picture by its suffix or by its content.
    """
    root = Path(folder)
    try:
        entries = sorted(root.iterdir())
    except FileNotFoundError:
        raise InputError(f"{root}: no such folder; check the path") from None
    except OSError as error:
        raise InputError(f"{root}: cannot list this folder ({error.strerror}); give a readable folder") from None
    photos = [path for path in entries if not path.name.startswith(".") and path.is_file() and is_photo_file(path)]
    if not photos:
        kinds = " ".join(sorted(PHOTO_SUFFIXES))
        raise InputError(f"{root}: no photos in this folder; expected pictures, such as files ending in {kinds}")
    return photos


def is_photo_file(path: Path) -> bool:
    """Whether a file is a picture by its suffix or by its content."""
    return path.suffix.lower() in PHOTO_SUFFIXES or picture_kind_of(path) is not None


def write_image(
    path: str | os.PathLike[str],
    rgb: Pixels,
    *,
    source_type: SourceType | None = None,
    alpha: Pixels | None = None,
    exif: bytes | None = None,
    icc: bytes | None = None,
    xmp: bytes | None = None,
    iptc: bytes | None = None,
) -> None:
    """Write uint8 RGB [H, W, 3] as PNG, JPEG or WebP, chosen by the suffix; the file is written atomically.

    The file names the program that wrote it. source_type: IPTC's `DigitalSourceType`, for pixels that a network
    generated or changed (see `latentface.io.provenance`); None makes no claim. alpha (uint8 [H, W]; PNG and WebP only),
    exif, icc, xmp and iptc are the photo's own data; `write_photo` writes a `Photo` with all of them. Raises
    OutputError for an unsupported suffix or an unwritable path, UsageError for a wrong dtype or shape. Emits a warning
    for metadata that the format cannot store; `lost_metadata` lists them in advance.
    """
    target = Path(path)
    _check_pixels(rgb, "write_image", dims=(3,))
    kind = _WRITERS.get(target.suffix.lower())
    if kind is None:
        raise OutputError(f"{target}: cannot write this kind of picture; end the name in .png, .jpg or .webp")
    _check_sides(target, kind, rgb)
    give_back(rgb)
    image = Image.fromarray(np.ascontiguousarray(rgb))
    if alpha is not None and kind != "JPEG":
        image.putalpha(Image.fromarray(np.ascontiguousarray(alpha)))
    options, notes = _save_options(kind, source_type, exif, xmp, iptc)
    for note in notes:
        warnings.warn(f"{target}: {note}", stacklevel=2)
    if icc:
        options["icc_profile"] = icc
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        image.save(cast(Any, WholeWrites(file)), format=kind, **options)


def write_photo(path: str | os.PathLike[str], photo: Photo) -> None:
    """Write a photo with its alpha (not in JPEG), metadata, ICC profile and source type; raises as `write_image`."""
    write_image(
        path, photo.rgb, source_type=photo.source_type, alpha=photo.alpha, exif=photo.exif, icc=photo.icc,
        xmp=photo.xmp, iptc=photo.iptc,
    )  # fmt: skip


def lost_metadata(path: str | os.PathLike[str], photo: Photo) -> tuple[str, ...]:
    """The metadata of a photo that a file with this name cannot store, one line each; to be told before the work.

    Raises OutputError if such a file cannot store the picture itself.
    """
    kind = _WRITERS.get(Path(path).suffix.lower(), "")
    _check_sides(Path(path), kind, photo.rgb)
    return _save_options(kind, photo.source_type, photo.exif, photo.xmp, photo.iptc)[1]


def turned(photo: Photo, quarters: int) -> Photo:
    """The photo turned against the clock by that many quarters."""
    alpha = None if photo.alpha is None else np.ascontiguousarray(np.rot90(photo.alpha, quarters))
    return replace(photo, rgb=np.ascontiguousarray(np.rot90(photo.rgb, quarters)), alpha=alpha)


def resized(
    rgb: Pixels, size: tuple[int, int], method: Image.Resampling, box: tuple[float, float, float, float] | None = None
) -> Pixels:
    """A picture, uint8 [H, W, 3], or a box of it, at another width and height: as by Pillow's `resize`, to the bit.

    Pillow's copy of the picture takes four bytes a pixel, which is much for a large one; here it is made in bands.
    """
    left, top, right, bottom = box or (0, 0, rgb.shape[1], rgb.shape[0])
    narrow = np.empty((rgb.shape[0], size[0], 3), np.uint8)
    for first in range(0, len(rgb), BAND):
        band = Image.fromarray(np.ascontiguousarray(rgb[first : first + BAND]))
        place = (left, 0, right, band.height)
        narrow[first : first + BAND] = np.asarray(band.resize((size[0], band.height), method, place))
    return np.asarray(Image.fromarray(narrow).resize(size, method, (0, top, size[0], bottom)))


def reduced(picture: Pixels, factor: int) -> Pixels:
    """Means over blocks of factor x factor pixels of a picture, uint8 [H, W] or [H, W, 3]: as by Pillow's `reduce`.

    In bands, for the reason that `resized` gives.
    """
    rows = factor * -(-BAND // factor)
    bands = (picture[first : first + rows] for first in range(0, len(picture), rows))
    return np.concatenate([np.asarray(Image.fromarray(np.ascontiguousarray(band)).reduce(factor)) for band in bands])


def to_tensor(rgb: Pixels) -> torch.Tensor:
    """uint8 RGB [H, W, 3] or [N, H, W, 3] -> float32 [N, 3, H, W] in [-1, 1]; UsageError for another form."""
    import torch

    _check_pixels(rgb, "to_tensor", dims=(3, 4))
    batch = rgb[None] if rgb.ndim == 3 else rgb
    # a copy: torch must not share memory with an array that the caller may change or that is read-only
    planes = torch.from_numpy(np.array(batch.transpose(0, 3, 1, 2), order="C"))
    return planes.to(torch.float32) / 127.5 - 1.0


def to_uint8(images: torch.Tensor) -> Pixels:
    """Floats [N, 3, H, W] in [-1, 1] -> uint8 RGB [N, H, W, 3]: (x + 1) * 127.5, rounded and clamped.

    Raises UsageError for another shape.
    """
    import torch

    if images.ndim != 4 or images.shape[1] != 3:
        raise UsageError(f"to_uint8: expected [N, 3, H, W], got {list(images.shape)}")
    levels = ((images.detach().float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())


def _check_pixels(rgb: Pixels, where: str, dims: tuple[int, ...]) -> None:
    if rgb.dtype != np.uint8 or rgb.ndim not in dims or rgb.shape[-1] != 3 or 0 in rgb.shape:
        expected = " or ".join("[H, W, 3]" if d == 3 else "[N, H, W, 3]" for d in dims)
        raise UsageError(f"{where}: expected uint8 {expected}, got {rgb.dtype} {list(rgb.shape)}")


def _check_sides(target: Path, kind: str, rgb: Pixels) -> None:
    height, width = rgb.shape[:2]
    if max(height, width) > _LONGEST.get(kind, max(height, width)):
        raise OutputError(
            f"{target}: {width} x {height} pixels, and a file of this kind has at most {_LONGEST[kind]} on a side; "
            "end the name in .png"
        )


def _check_file(source: Path) -> None:
    try:
        if source.is_dir():
            raise InputError(f"{source}: this is a folder; give a picture file")
        if not source.exists():
            raise InputError(f"{source}: no such file; check the path")
        if not source.is_file():
            raise InputError(f"{source}: not a regular file; give a picture file")
        if source.stat().st_size == 0:
            raise InputError(f"{source}: the file is empty; save or download it again")
    except (OSError, ValueError) as error:  # a path that is too long, a NUL in the name, a folder without access
        raise InputError(f"{source}: cannot be read ({error}); check the path") from None


def _identify(file: IO[bytes], head: bytes) -> Image.Image:
    """The picture in a file by the first of Pillow's formats that takes it; UnidentifiedImageError when none does.

    Like Image.open, but without its limit on the size, which is a setting of the whole process that other code may
    rely on: our own limit is 200 MP, and its error names the size.
    """
    Image.preinit()
    tried = set[str]()
    for get_ready in (lambda: None, Image.init):  # the common formats first: loading all takes .2 s
        get_ready()
        for kind in [kind for kind in Image.ID if kind not in tried]:
            tried.add(kind)
            make, accepts = Image.OPEN[kind]
            try:
                answer = accepts is None or accepts(head)
                if answer and not isinstance(answer, str):  # a text says what is missing to read it
                    file.seek(0)
                    return make(file, "")
            except (SyntaxError, IndexError, TypeError, struct.error):  # the file is not of this format
                continue
    raise UnidentifiedImageError


def _check_size(source: Path, size: tuple[int, int]) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise InputError(
            f"{source}: {width} x {height} pixels is too large; at most {MAX_PIXELS // 1_000_000} megapixels "
            "are read, so make the picture smaller first"
        )


def _check_layout(source: Path, image: Image.Image) -> None:
    """Reject files that Pillow reads wrongly without an error: more than 8 bits, with a plane for each colour."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(_PLANES, 1) == 2 and max(tags.get(_BITS, (8,))) > 8:
        raise InputError(
            f"{source}: a TIFF of {max(tags[_BITS])} bits with a plane for each colour cannot be read; save it with "
            "interleaved colours, or as PNG"
        )


def _register_heic() -> None:
    """Register the HEIC plug-in with Pillow if it is installed; otherwise HEIC is rejected with an explanation."""
    if importlib.util.find_spec("pillow_heif") is not None:
        importlib.import_module("pillow_heif").register_heif_opener()


def _unidentified(source: Path) -> str:
    kind = picture_kind_of(source)
    if kind == "HEIC" and importlib.util.find_spec("pillow_heif") is None:
        return f"{source}: HEIC photos need pillow-heif: pip install 'latentface[heic]', or convert the photo to JPEG"
    if kind == "AVIF" and not features.check("avif"):
        return f"{source}: AVIF photos need Pillow 11.3 or newer: pip install -U pillow, or convert the photo to JPEG"
    return f"{source}: not a picture, or a damaged one; give a JPEG, PNG, WebP, TIFF, BMP or GIF file"


def _check_numbers(source: Path, image: Image.Image) -> None:
    if image.mode != "F":
        return
    values = np.asarray(image)
    broken = sum(int((~np.isfinite(values[top : top + BAND])).sum()) for top in range(0, len(values), BAND))
    if broken:
        raise InputError(f"{source}: {broken} of its pixels are not numbers (NaN or infinite); write finite values")


def _to_photo(image: Image.Image) -> Photo:
    icc = image.info.get("icc_profile")
    rgb_like = image.mode in ("RGB", "RGBA", "RGBX", "P", "PA")
    exif, orientation, notes = read_exif(image)
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    xmp = readable(packet)
    if packet and xmp is None:
        notes = (*notes, LEFT_OUT) if LEFT_OUT not in notes else notes
    converted, of_colour = read_in_srgb(_to_8_bit(image), icc)
    upright = _turn(converted, orientation)
    has_alpha = "transparency" in upright.info or upright.mode in ("RGBA", "LA", "PA", "La", "RGBa")
    return Photo(
        rgb=_pixels(upright, "RGB", has_alpha),
        alpha=_pixels(upright, "A", has_alpha) if has_alpha else None,
        exif=exif,
        icc=icc if icc and rgb_like else None,  # others are in sRGB now
        notes=(*notes, *of_colour),
        xmp=xmp,
        iptc=read_iptc(image),
    )


def _pixels(image: Image.Image, channels: str, has_alpha: bool) -> Pixels:
    """RGB [H, W, 3] or A [H, W] of a picture, in bands: Pillow's own ways copy it up to three times."""
    made = np.empty((image.height, image.width, 3)[: len(channels) // 2 + 2], np.uint8)
    for top in range(0, image.height, BAND):
        bottom = min(top + BAND, image.height)
        band = image.crop((0, top, image.width, bottom))
        band = band.convert("RGBA") if has_alpha else band
        made[top:bottom] = np.asarray(band.getchannel("A") if channels == "A" else band.convert("RGB"))
    return made


def _turn(image: Image.Image, orientation: int) -> Image.Image:
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    method = turns.get(orientation)
    return image if method is None else image.transpose(method)


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Scale grey images of more than 8 bits to 8; Pillow's own conversion would clip them to white.

    I;16 holds 0..65535. I holds 16-bit values too, unless larger ones show a 32-bit file. F has no fixed range:
    values up to 1, to 255 or to 65535 decide.
    """
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    bands = [slice(top, top + BAND) for top in range(0, len(values), BAND)]
    peak = max(float(values[band].max(initial=0)) for band in bands)
    if image.mode == "F":
        white = 1.0 if peak <= 1 else 255.0 if peak <= 255 else 65535.0 if peak <= 65535 else peak
    else:
        white = 65535.0 if peak <= 65535 else 4294967295.0
    made = np.empty(values.shape, np.uint8)
    for band in bands:
        scaled = values[band].astype(np.float64) * (255.0 / white)
        made[band] = np.rint(scaled).clip(0, 255)
    return Image.fromarray(made)


def _save_options(
    kind: str, source_type: SourceType | None, exif: bytes | None, xmp: bytes | None, iptc: bytes | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Pillow's options for that kind of file, and notes about metadata that it cannot hold."""
    packet = merged(xmp, source_type)
    if kind == "PNG":
        info = PngImagePlugin.PngInfo()
        info.add_text("Software", software())
        info.add_itxt("XML:com.adobe.xmp", packet)
        if iptc:
            info.add_text(PNG_KEY, png_text(iptc), zip=True)
        plain = {"pnginfo": info, "compress_level": PNG_LEVEL}
        return plain | {"exif": exif} if exif else plain, ()
    block, notes = exif_to_write(exif, kind)
    segment = jpeg_segment(iptc) if iptc and kind == "JPEG" else b""
    if iptc and not segment:
        notes = (*notes, "this kind of file has no place for the photo's IPTC data; they are left out")
    if kind == "JPEG" and len(packet.encode()) > _JPEG_XMP:
        notes = (*notes, f"a JPEG holds {_JPEG_XMP} bytes of XMP, and the photo has more: its packet is left out")
        packet = xmp_packet(source_type)
    options: dict[str, Any] = {"xmp": packet.encode(), "exif": block, "quality": 95}
    if kind == "JPEG":
        options |= {"subsampling": 0, "extra": segment}
    return options, notes
