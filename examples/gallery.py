"""Makes the gallery of the documentation, pictures and page, from `astronaut.jpg` by the commands that the page shows.

python examples/gallery.py                # every sheet, a few minutes of one core
python examples/gallery.py before-after   # only these sheets; the page always lists all of them
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import latentface as lf
from latentface.arrays import Pixels
from latentface.cli import run
from latentface.cli.panels import contact_sheet

PHOTO = Path(__file__).parent / "astronaut.jpg"
STYLES = Path(__file__).parent / "styles"
DOCS = Path(__file__).parent.parent / "docs"
TITLE = """# Gallery

`python examples/gallery.py` made this page and every picture on it from one photo, with the commands shown.
"""
CROP = (slice(0, 340), slice(60, 400))  # rows and columns of the photo that a panel shows, at the photo's own size
OTHER = "seed00006"  # the face that the photo is joined to
QUALITY = 92
PICTURES = ("neon", "oil", "pencil", "clay", "pastel", "ink", "mosaic", "hatching")
EMOTIONS = ("happiness", "sadness", "anger", "disgust", "fear", "surprise")


@dataclass(frozen=True)
class Sheet:
    """One picture of the gallery: its file's stem, title and text, its commands, and what they leave to be shown."""

    name: str
    title: str
    text: str
    commands: tuple[str, ...]
    collect: Callable[[], Pixels]


def edits(name: str, title: str, text: str, changes: Sequence[str], columns: int) -> Sheet:
    """A sheet of the photo and edits of it, each panel cut out of the whole photo without scaling."""
    commands = tuple(f"latentface edit astronaut.jpg {change} -o edit{k}.png" for k, change in enumerate(changes))

    def collect() -> Pixels:
        files = ["astronaut.jpg", *(f"edit{k}.png" for k in range(len(changes)))]
        panels = [np.ascontiguousarray(lf.read_image(file)[CROP]) for file in files]
        return contact_sheet(panels, ["the photo", *changes], columns)

    return Sheet(name, title, text, commands, collect)


def frames(file: str, times: Sequence[float]) -> Pixels:
    """Frames of a clip, each labelled with its time in seconds."""
    clip = list(lf.read_clip(file))
    rate = len(clip) / (float(clip[-1].time) or 1.0)
    panels = [np.ascontiguousarray(clip[min(round(at * rate), len(clip) - 1)].pixels[..., :3][CROP]) for at in times]
    return contact_sheet(panels, [f"{at:g} s" for at in times], len(panels))


def styled() -> Pixels:
    """Each style picture, and the face in its style."""
    panels, titles = [], []
    for name in PICTURES:
        made = lf.read_image(f"{name}.png")
        picture = Image.fromarray(lf.read_image(f"styles/{name}.jpg")).resize((made.shape[1], made.shape[0]))
        panels += [np.asarray(picture), made]
        titles += [f"{name}.jpg", "the face"]
    return contact_sheet(panels, titles, 4)


def halves() -> Pixels:
    """Both faces, the generated one first, and both ways to join them."""
    generated, *joined = [lf.read_image(file) for file in (f"faces/{OTHER}.png", "spline.png", "feather.png")]
    size = (generated.shape[1], generated.shape[0])
    photo = np.asarray(Image.fromarray(lf.read_image("astronaut.jpg")[CROP]).resize(size, Image.Resampling.LANCZOS))
    return contact_sheet([generated, photo, *joined], ["a face", "the photo", "the spline", "a narrow soft edge"], 4)


SHEETS = (
    edits(
        "before-after",
        "Before and after",
        "A morphable head is fitted to the face and moves the photo's own pixels; a small network paints what parted "
        "lips uncover.",
        ("--set smile=0.8 --set jaw=0.6", "--set surprise=2"),
        3,
    ),
    edits(
        "emotions",
        "Emotions",
        "An emotion replaces the expression that the photo shows. Strength 1 is mild, 2 is obvious.",
        (*(f"--set {name}=2" for name in EMOTIONS), "--set neutralise=1"),
        4,
    ),
    edits(
        "controls",
        "Controls",
        "Controls change single parts of the face, the gaze, and the pose of the head. Objects close behind a head, "
        "such as the ring of this suit, bend with it.",
        ("--set wink-left=1", "--set brows=1", "--set gaze-x=15", "--set yaw+=12", "--set roll+=10"),
        3,
    ),
    Sheet(
        "styles",
        "Styles",
        "Eight style pictures, which were rendered by code, and the face drawn in the style of each. A style is learnt "
        "once, in about two minutes, and kept in a file for other photos.",
        tuple(f"latentface stylise astronaut.jpg --style styles/{name}.jpg -o {name}.png" for name in PICTURES),
        styled,
    ),
    Sheet(
        "video",
        "An expression video",
        "Frames of a clip in which the face shows one emotion after another.",
        ("latentface video astronaut.jpg --emotions neutral,surprise,happiness --seconds 6 --blinks 12 -o clip.mp4",),
        lambda: frames("clip.mp4", (0, 1, 3, 5)),
    ),
    Sheet(
        "projection",
        "A projection",
        "The aligned photo, its reconstruction by the default generator after pivotal tuning, and the difference.",
        ("latentface project astronaut.jpg --tune",),
        lambda: lf.read_image("astronaut.compare.png"),
    ),
    Sheet(
        "composite",
        "Two faces",
        "One half is the photo and the other a face that does not exist, joined by the multiresolution spline, which "
        "is known for joining an apple and an orange; beside it, the same halves with a narrow soft edge.",
        (
            "latentface sample --seeds 6 -o faces",
            f"latentface composite faces/{OTHER}.png astronaut.jpg --split right -o spline.png",
            f"latentface composite faces/{OTHER}.png astronaut.jpg --split right --blend feather --feather 0.02 "
            "-o feather.png",
        ),
        halves,
    ),
    Sheet(
        "samples",
        "People who do not exist",
        "Faces that the default generator synthesises from seeds.",
        ("latentface sample --seeds 0-7 --columns 4 -o samples.png",),
        lambda: lf.read_image("samples.png"),
    ),
)


def make(sheet: Sheet) -> None:
    """Run a sheet's commands in a folder with the photo and the style pictures, and write its picture."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(PHOTO, folder)
        shutil.copytree(STYLES, Path(folder) / STYLES.name)
        os.chdir(folder)
        try:
            for command in sheet.commands:
                if code := run(shlex.split(command)[1:]):
                    raise SystemExit(code)
            picture = sheet.collect()
        finally:
            os.chdir(home)
    target = DOCS / "gallery" / f"{sheet.name}.jpg"
    target.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(target, quality=QUALITY, optimize=True)


def page() -> str:
    """The page: a heading, a text, the picture and the commands of each sheet."""
    parts = [TITLE]
    for sheet in SHEETS:
        commands = "\n".join(sheet.commands)
        picture = f"![{sheet.title}](gallery/{sheet.name}.jpg)"
        parts.append(f"## {sheet.title}\n\n{sheet.text}\n\n{picture}\n\n```sh\n{commands}\n```\n")
    return "\n".join(parts)


def main(names: Sequence[str]) -> None:
    """Make the sheets of these names, or all, and the page."""
    for sheet in SHEETS:
        if not names or sheet.name in names:
            make(sheet)
    (DOCS / "gallery.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
