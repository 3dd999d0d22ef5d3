"""Overview pictures, drawn with Pillow: the four panels of a projection, and a contact sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latentface.arrays import Pixels

PAPER, INK, FAINT, LINE = (250, 250, 248), (34, 36, 40), (138, 142, 150), (28, 98, 196)
GRID = (226, 228, 232)
GAP, MARGIN = 16, 24
DIFFERENCE_GAIN = 3.0
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
SMOOTH = 3  # the curve is drawn this many times larger and scaled down, which smooths its edges


def font(size: int) -> Font:
    """Pillow's built-in scalable font, which needs no font file."""
    return ImageFont.load_default(size)


def compare_panels(
    photo: Pixels, reconstruction: Pixels, losses: Sequence[float], *, title: str, summary: str
) -> Pixels:
    """Photo crop, reconstruction, their difference and the loss curve side by side, with captions.

    Args:
        photo: uint8 [S, S, 3], the aligned crop.
        reconstruction: uint8 [R, R, 3]; scaled to the crop's panel.
        losses: one value for each step.
        title: the headline, on the left.
        summary: the result, on the right.

    Returns:
        uint8 RGB [H, W, 3].
    """
    side = min(max(256, reconstruction.shape[0]), 512)
    ours, theirs = _panel(photo, side), _panel(reconstruction, side)
    difference = np.abs(np.asarray(ours, np.float32) - np.asarray(theirs, np.float32)) * DIFFERENCE_GAIN
    panels = [
        (ours, "photo, aligned"),
        (theirs, "reconstruction"),
        (Image.fromarray(np.clip(difference, 0, 255).astype(np.uint8)), f"difference, {DIFFERENCE_GAIN:g} times"),
        (loss_curve(losses, side), f"loss over {len(losses)} steps"),
    ]
    head, foot = 44, 34
    width = 2 * MARGIN + 4 * side + 3 * GAP
    sheet = Image.new("RGB", (width, head + MARGIN + side + foot), PAPER)
    draw = ImageDraw.Draw(sheet)
    right = draw.textlength(summary, font(15))
    draw.text((MARGIN, 30), _fit(draw, title, font(20), width - 2 * MARGIN - right - GAP), INK, font(20), anchor="lm")
    draw.text((width - MARGIN, 30), summary, FAINT, font(15), anchor="rm")
    for index, (panel, caption) in enumerate(panels):
        x = MARGIN + index * (side + GAP)
        sheet.paste(panel, (x, head + 12))
        draw.text((x + side / 2, head + 12 + side + 18), caption, INK, font(14), anchor="mm")
    return np.asarray(sheet)


def loss_curve(losses: Sequence[float], side: int) -> Image.Image:
    """The loss of each step on a logarithmic scale, a square of `side` pixels."""
    big = side * SMOOTH
    picture = Image.new("RGB", (big, big), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    values = np.asarray(losses, np.float64)
    usable = np.isfinite(values) & (values > 0)
    left, top, right, bottom = (round(big * part) for part in (0.17, 0.07, 0.95, 0.88))
    small = font(12 * SMOOTH)
    if not usable.any():
        draw.text((big / 2, big / 2), "no finite loss", FAINT, small, anchor="mm")
        return picture.resize((side, side), Image.Resampling.LANCZOS)
    low, high = math.log10(values[usable].min()), math.log10(values[usable].max())
    low, high = (low - 0.05, high + 0.05) if high - low < 1e-3 else (low, high)

    def place(step: int, value: float) -> tuple[float, float]:
        across = step / max(len(values) - 1, 1)
        return left + across * (right - left), bottom - (math.log10(value) - low) / (high - low) * (bottom - top)

    for part in range(5):
        level = low + (high - low) * part / 4
        y = bottom - (bottom - top) * part / 4
        draw.line([(left, y), (right, y)], GRID, SMOOTH)
        draw.text((left - 6 * SMOOTH, y), f"{10**level:.2g}", FAINT, small, anchor="rm")
    points = [place(step, float(value)) for step, value in enumerate(values) if usable[step]]
    if len(points) > 1:
        draw.line(points, LINE, 2 * SMOOTH, joint="curve")
    x, y = points[-1]
    draw.ellipse([x - 4 * SMOOTH, y - 4 * SMOOTH, x + 4 * SMOOTH, y + 4 * SMOOTH], LINE)
    draw.text((left, bottom + 12 * SMOOTH), "1", FAINT, small, anchor="mm")
    draw.text((right, bottom + 12 * SMOOTH), str(len(values)), FAINT, small, anchor="mm")
    draw.text(((left + right) / 2, bottom + 12 * SMOOTH), "step", FAINT, small, anchor="mm")
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def contact_sheet(images: Sequence[Pixels], captions: Sequence[str] | None, columns: int) -> Pixels:
    """Images of one size in rows of `columns`, a small caption under each: uint8 RGB [H, W, 3]."""
    height, width = images[0].shape[:2]
    gap = max(4, width // 32)
    foot = max(16, width // 10) if captions else gap
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (gap + columns * (width + gap), gap + rows * (height + foot)), PAPER)
    draw = ImageDraw.Draw(sheet)
    letters = font(max(10, round(foot * 0.65)))
    for index, image in enumerate(images):
        x, y = gap + (index % columns) * (width + gap), gap + (index // columns) * (height + foot)
        sheet.paste(Image.fromarray(image), (x, y))
        if captions:
            text = _fit(draw, captions[index], letters, width)
            draw.text((x + width / 2, y + height + foot * 0.48), text, FAINT, letters, anchor="mm")
    return np.asarray(sheet)


def enlarged(image: Pixels, side: int) -> Pixels:
    """A picture scaled to `side` pixels in square."""
    return np.asarray(_panel(image, side))


def _panel(image: Pixels, side: int) -> Image.Image:
    return Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)


def _fit(draw: ImageDraw.ImageDraw, text: str, letters: Font, width: float) -> str:
    """The text, shortened with an ellipsis if it does not fit the width."""
    if draw.textlength(text, letters) <= width:
        return text
    while text and draw.textlength(text + "…", letters) > width:
        text = text[:-1]
    return text + "…"
