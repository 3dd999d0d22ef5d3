"""Picture files in and out: every pixel form, damaged files, metadata, and nothing half-written."""

import contextlib
import itertools
import os
import struct
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from xml.etree import ElementTree

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image, PngImagePlugin

import latentface
from latentface.errors import InputError, OutputError, UsageError
from latentface.io import images
from latentface.io.images import (
    MAX_PIXELS,
    Photo,
    list_photos,
    lost_metadata,
    read_image,
    read_photo,
    to_tensor,
    to_uint8,
    turned,
    write_image,
    write_photo,
)
from tests.helpers.profiles import rgb_profile


def gradient(height=24, width=40):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) % 256], axis=2).astype(np.uint8)


def save(path, image, **options):
    image.save(path, **options)
    return path


# ---------------------------------------------------------------------------------------------- forms


def test_rgb_png_is_read_exactly(tmp_path):
    path = save(tmp_path / "a.png", Image.fromarray(gradient()))
    rgb = read_image(path)
    assert rgb.dtype == np.uint8 and rgb.flags.writeable
    np.testing.assert_array_equal(rgb, gradient())


def test_grey_becomes_three_equal_channels(tmp_path):
    grey = gradient()[..., 0]
    rgb = read_image(save(tmp_path / "grey.png", Image.fromarray(grey)))
    np.testing.assert_array_equal(rgb, np.repeat(grey[..., None], 3, axis=2))


def test_one_bit(tmp_path):
    bits = gradient()[..., 0] > 127
    rgb = read_image(save(tmp_path / "bits.png", Image.fromarray(bits)))
    np.testing.assert_array_equal(rgb[..., 1], np.where(bits, 255, 0))


def test_palette(tmp_path):
    image = Image.fromarray(gradient()).quantize(64)
    rgb = read_image(save(tmp_path / "p.png", image))
    np.testing.assert_array_equal(rgb, np.asarray(image.convert("RGB")))


def test_palette_with_transparency_keeps_alpha_aside(tmp_path):
    image = Image.fromarray(gradient()).quantize(16)
    path = save(tmp_path / "p.png", image, transparency=bytes([0, 128] + [255] * 14))
    photo = read_photo(path)
    index = np.asarray(image)
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha, np.choose(np.minimum(index, 2), [0, 128, 255]))
    np.testing.assert_array_equal(photo.rgb, np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    values = np.linspace(0, 65535, 24 * 40).reshape(24, 40).astype(np.uint16)
    rgb = read_image(save(tmp_path / f"deep.{suffix}", Image.fromarray(values)))
    np.testing.assert_array_equal(rgb[..., 0], np.rint(values / 257))


def test_sixteen_bit_rgb_png(tmp_path):
    values = np.array([[[0, 32768, 65535], [257, 514, 65021]]], dtype=">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(png(header, zlib.compress(rows)))
    np.testing.assert_array_equal(read_image(path), [[[0, 128, 255], [1, 2, 253]]])


@pytest.mark.parametrize(("white", "values"), [(1.0, [0.0, 0.5, 1.0]), (255.0, [0.0, 127.5, 255.0])])
def test_float_tiff(tmp_path, white, values):
    rgb = read_image(save(tmp_path / "f.tif", Image.fromarray(np.array([values], np.float32))))
    np.testing.assert_array_equal(rgb[0, :, 0], np.rint(np.array(values) / white * 255))


def test_cmyk_jpeg(tmp_path):
    solid = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red ink
    rgb = read_image(save(tmp_path / "c.jpg", solid, quality=95))
    assert np.abs(rgb.astype(int) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_kept_aside(tmp_path, mode):
    alpha = gradient()[..., 1]
    image = Image.fromarray(gradient()).convert(mode[:-1])
    image.putalpha(Image.fromarray(alpha))
    photo = read_photo(save(tmp_path / "a.png", image))
    np.testing.assert_array_equal(photo.alpha, alpha)
    np.testing.assert_array_equal(photo.rgb, np.asarray(image.convert(mode[:-1]).convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_and_removed(tmp_path, orientation):
    upright = gradient(16, 32)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.swapaxes(0, 1), 6: np.rot90(upright, 1), 7: np.rot90(upright, 2).swapaxes(0, 1),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera"
    path = save(tmp_path / "turned.png", Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.rgb, upright)
    kept = Image.Exif()
    kept.load(photo.exif)
    assert 0x0112 not in kept and kept[0x010F] == "Camera"


@pytest.mark.parametrize("suffix", ["jpg", "webp", "bmp", "tif", "gif"])
def test_other_formats_are_read(tmp_path, suffix):
    rgb = read_image(save(tmp_path / f"a.{suffix}", Image.new("RGB", (20, 10), (200, 30, 90))))
    assert rgb.shape == (10, 20, 3)
    assert np.abs(rgb.astype(int) - [200, 30, 90]).max() <= 6


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "a.gif")[0, 0], [255, 0, 0])


# ---------------------------------------------------------------------------------------------- bad input


def png(header, data):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def refuse(path, *words):
    with pytest.raises(InputError) as caught:
        read_photo(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message
    assert caught.value.exit_code == 3


def test_missing_file(tmp_path):
    refuse(tmp_path / "none.jpg", "no such file")


def test_folder(tmp_path):
    refuse(tmp_path, "folder")


def test_empty_file(tmp_path):
    (tmp_path / "a.jpg").touch()
    refuse(tmp_path / "a.jpg", "empty")


def test_a_name_that_no_file_can_have():
    refuse("a\0b.jpg", "check the path")


@pytest.mark.parametrize("content", [b"hello world, this is no picture", b"\xff\xd8\xff", b"%PDF-1.7\n..."])
def test_not_a_picture(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    refuse(path, "give a JPEG")


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated(tmp_path, suffix, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = save(tmp_path / f"a.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refuse(path, "again" if suffix not in ("tif", "webp") else "")


def test_bomb_is_refused_before_decoding(tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0), zlib.compress(b"\0" * 1000)))
    refuse(path, "30000 x 30000", f"{MAX_PIXELS // 10**6} megapixels")


def test_reading_leaves_the_process_as_it_is(tmp_path, monkeypatch):
    """No guard of Pillow's, no filter of warnings is put aside meanwhile: other threads rely on them."""
    seen = []

    class Watched(PngImagePlugin.PngImageFile):
        def _open(self):
            seen.append((Image.MAX_IMAGE_PIXELS, list(warnings.filters)))
            super()._open()

        def load(self):
            seen.append((Image.MAX_IMAGE_PIXELS, list(warnings.filters)))
            return super().load()

    Image.preinit()
    monkeypatch.setitem(Image.OPEN, "PNG", (Watched, Image.OPEN["PNG"][1]))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2100)  # Pillow refuses twice as many; a band of rows is smaller
    filters = list(warnings.filters)
    Image.fromarray(np.zeros((600, 8, 3), np.uint8)).save(tmp_path / "a.png")
    assert read_photo(tmp_path / "a.png").rgb.shape == (600, 8, 3), "and ours is the only limit"
    assert len(seen) >= 2 and all(each == (2100, filters) for each in seen)


def test_formats_that_pillow_loads_late_are_read(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / "a.sgi")
    assert np.array_equal(read_photo(tmp_path / "a.sgi").rgb, rgb)


def test_heic_names_the_plug_in(tmp_path, monkeypatch):
    monkeypatch.setattr("latentface.io.images.importlib.util.find_spec", lambda name: None)
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64)
    refuse(path, "pillow-heif", "JPEG")


def test_avif_names_the_pillow_that_reads_it(tmp_path, monkeypatch):
    monkeypatch.setattr("latentface.io.images.features.check", lambda name: False)
    path = tmp_path / "a.avif"
    path.write_bytes(b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + b"\0" * 64)
    refuse(path, "Pillow 11.3", "JPEG")


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_photos_of_phones_with_all_they_hold(kind, tmp_path):
    pillow_heif.register_heif_opener()
    y, x = np.mgrid[:96, :128]
    rgb, exif = np.stack([x * 2, y * 2, x + y], -1).astype(np.uint8), Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Phone"
    options = {"exif": exif.tobytes(), "icc_profile": rgb_profile("p3"), "quality": 95}
    Image.fromarray(rgb).save(tmp_path / "IMG_1.photo", kind, **options)
    photo = read_photo(tmp_path / "IMG_1.photo")
    assert np.abs(photo.rgb.astype(int) - np.rot90(rgb, -1)).mean() < 1.5, "turned upright, once"
    assert photo.icc == rgb_profile("p3") and photo.alpha is None and photo.notes == ()
    kept = Image.Exif()
    kept.load(photo.exif)
    assert kept[0x010F] == "Phone" and 0x0112 not in kept
    write_photo(tmp_path / "out.jpg", photo)
    assert read_photo(tmp_path / "out.jpg").icc == photo.icc


def test_a_heic_of_10_bits_and_one_that_is_cut_off(tmp_path):
    y, x = np.mgrid[:96, :128]
    deep = np.stack([x * 500, y * 650, (x + y) * 290], -1).astype(np.uint16)
    pillow_heif.from_bytes("RGB;16", (128, 96), deep.tobytes()).save(tmp_path / "a.heic", quality=95)
    assert np.abs(read_photo(tmp_path / "a.heic").rgb - deep / 257.0).mean() < 2
    (tmp_path / "b.heic").write_bytes((tmp_path / "a.heic").read_bytes()[:-400])
    refuse(tmp_path / "b.heic", "b.heic", "damaged")


@pytest.mark.parametrize(("suffix", "side"), [("jpg", 65_500), ("webp", 16_383)])
def test_a_picture_longer_than_its_kind_of_file_is_told(suffix, side, tmp_path):
    target = tmp_path / f"a.{suffix}"
    write_image(target, np.zeros((2, side, 3), np.uint8))
    assert read_image(target).shape == (2, side, 3)
    long = np.zeros((2, side + 1, 3), np.uint8)
    for attempt in (lambda: write_image(target, long), lambda: lost_metadata(target, Photo(long))):
        with pytest.raises(
            OutputError, match=rf"{side + 1} x 2 pixels.*at most {side} on a side; end the name in .png"
        ):
            attempt()
    assert lost_metadata(tmp_path / "a.png", Photo(long)) == ()


def test_list_photos(tmp_path):
    for name in ("b.JPG", "a.png", "note.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [p.name for p in list_photos(tmp_path)] == ["a.png", "b.JPG"]
    with pytest.raises(InputError, match="no photos"):
        list_photos(tmp_path / "folder.png")
    with pytest.raises(InputError, match="no such folder"):
        list_photos(tmp_path / "none")
    with pytest.raises(InputError, match="cannot list"):
        list_photos(tmp_path / "a.png")


# ---------------------------------------------------------------------------------------------- writing


@pytest.mark.parametrize("source", ["compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia"])
@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "PNG"])
def test_written_files_say_what_they_are(tmp_path, suffix, source):
    path = tmp_path / f"out.{suffix}"
    write_image(path, gradient(), source_type=source)
    with Image.open(path) as image:
        xmp = image.info.get("xmp") or image.info["XML:com.adobe.xmp"]
        xmp = xmp.decode() if isinstance(xmp, bytes) else xmp
        software = image.info.get("Software") or image.getexif()[0x0131]
        assert f'DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/{source}"' in xmp
        ElementTree.fromstring(xmp)  # well formed
        assert software == f"latentface {latentface.__version__}"
    error = np.abs(read_image(path).astype(int) - gradient())
    assert error.max() == 0 if suffix.lower() == "png" else error.mean() < 4
    assert os.listdir(tmp_path) == [path.name]


def test_alpha_exif_and_profile_are_carried_along(tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    alpha = gradient()[..., 0]
    path = tmp_path / "out.png"
    write_image(path, gradient(), alpha=alpha, exif=exif.tobytes(), icc=b"a profile")
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.alpha, alpha)
    np.testing.assert_array_equal(photo.rgb, gradient())
    assert photo.icc == b"a profile"
    assert b"Camera" in photo.exif
    write_image(tmp_path / "out.jpg", gradient(), alpha=alpha, exif=exif.tobytes())
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.getexif()[0x010F] == "Camera" and image.getexif()[0x0131].startswith("latentface")


def test_writing_where_it_cannot_be(tmp_path):
    with pytest.raises(OutputError, match="png"):
        write_image(tmp_path / "a.bmp", gradient())
    with pytest.raises(OutputError, match="none"):
        write_image(tmp_path / "none" / "a.png", gradient())
    assert os.listdir(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, gradient())
    before = path.read_bytes()

    def fail(self, target, **options):
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_image(path, gradient()[::-1])
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 0, 3), np.uint8)]
)
def test_wrong_pixels_are_named(tmp_path, bad):
    with pytest.raises(UsageError, match="expected uint8"):
        write_image(tmp_path / "a.png", bad)
    with pytest.raises(UsageError, match="expected uint8"):
        to_tensor(bad)


# ---------------------------------------------------------------------------------------------- tensors


def test_every_level_survives_the_round_trip():
    levels = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    tensor = to_tensor(levels)
    assert tensor.shape == (1, 3, 16, 16) and tensor.dtype == torch.float32
    assert tensor.min() == -1 and tensor.max() == 1
    np.testing.assert_array_equal(to_uint8(tensor)[0], levels)


def test_batches_and_channel_order():
    batch = np.zeros((2, 3, 5, 3), np.uint8)
    batch[1, 2, 4] = (255, 0, 51)
    tensor = to_tensor(batch)
    assert tensor.shape == (2, 3, 3, 5)
    torch.testing.assert_close(tensor[1, :, 2, 4], torch.tensor([1.0, -1.0, -0.6]))


def test_to_uint8_rounds_and_clamps():
    values = torch.tensor([-5.0, -1.0, -1 + 0.6 / 127.5, 0.0, 1.0, 9.0]).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    np.testing.assert_array_equal(to_uint8(values)[0, 0, :, 0], [0, 0, 1, 128, 255, 255])
    with pytest.raises(UsageError, match="N, 3, H, W"):
        to_uint8(torch.zeros(3, 4, 4))


def test_to_tensor_does_not_share_memory():
    source = gradient()
    tensor = to_tensor(source)
    source[:] = 0
    assert tensor.max() == 1


def test_reading_in_two_threads_leaves_the_process_as_it_was(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", gradient())
    opened, meet = Image.open, threading.Barrier(2)
    turns = itertools.count()

    def slow(file, *more, **options):
        with contextlib.suppress(threading.BrokenBarrierError):
            meet.wait(0.3)  # both are reading now, if that is possible
        time.sleep(0.2 * next(turns))  # and the one that began first ends first
        return opened(file, *more, **options)

    monkeypatch.setattr(Image, "open", slow)
    before = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(2) as pool:
        pictures = list(pool.map(read_image, [tmp_path / "a.png"] * 2))
    assert np.array_equal(pictures[0], pictures[1])
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == before


def planar_tiff(pixels):
    """A TIFF of 16 bits with a plane for each colour, by bytes."""
    height, width = pixels.shape[:2]
    planes = np.moveaxis(pixels.astype("<u2") * 257, 2, 0).tobytes()
    count = 10
    extra = 8 + 2 + 12 * count + 4
    bits, offsets, sizes = extra, extra + 6, extra + 18
    begin, size = extra + 30, len(planes) // 3
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, bits), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 3, offsets), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 3, sizes), (284, 3, 1, 2),
    ]  # fmt: skip
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    values = struct.pack("<3H3I3I", 16, 16, 16, begin, begin + size, begin + 2 * size, size, size, size)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + table + bytes(4) + values + planes


def test_a_tiff_in_planes_of_sixteen_bits_is_refused_and_not_scrambled(tmp_path):
    (tmp_path / "a.tif").write_bytes(planar_tiff(gradient()))
    with Image.open(tmp_path / "a.tif") as image:
        assert image.size == (40, 24)
    refuse(tmp_path / "a.tif", "16 bits with a plane for each colour", "interleaved")


def test_a_photo_is_turned_with_its_alpha():
    photo = Photo(gradient(), alpha=gradient()[..., 0], exif=b"x")
    upright = turned(photo, 1)
    np.testing.assert_array_equal(upright.rgb, np.rot90(photo.rgb))
    np.testing.assert_array_equal(upright.alpha, np.rot90(photo.alpha))
    assert upright.exif == b"x" and upright.rgb.flags.c_contiguous
    np.testing.assert_array_equal(turned(upright, 3).rgb, photo.rgb)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_numbers_are_refused(tmp_path, value):
    values = np.full((40, 30), 0.5, np.float32)
    values[3, 4] = values[20, 7] = value
    Image.fromarray(values).save(tmp_path / "float.tif")
    with pytest.raises(InputError, match="2 of its pixels are not numbers"):
        read_image(tmp_path / "float.tif")


def test_pictures_are_resized_in_bands_as_pillow_does_it_at_once():
    picture = np.random.default_rng(0).integers(0, 256, (2 * images.BAND + 9, 70, 3), dtype=np.uint8)
    whole = Image.fromarray(picture)
    for method, box in ((Image.Resampling.LANCZOS, (3.2, 7.7, 61.0, 500.4)), (Image.Resampling.BOX, None)):
        assert np.array_equal(images.resized(picture, (31, 40), method, box), whole.resize((31, 40), method, box))
    assert np.array_equal(images.reduced(picture, 3), whole.reduce(3))
    assert np.array_equal(images.reduced(picture[..., 0], 3), whole.getchannel(0).reduce(3))
