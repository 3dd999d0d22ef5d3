"""What latentface does, on the photo beside this file: a contact sheet of edits, and a clip of two seconds.

python examples/demo.py [FOLDER]   # by default the folder demo; under two minutes of two cores
"""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import latentface as lf
from latentface.cli.panels import contact_sheet
from latentface.io.provenance import COMPOSITE

PHOTO = Path(__file__).parent / "astronaut.jpg"
EDITS: dict[str, dict[str, float]] = {
    "laughing": {"smile": 0.8, "jaw": 0.6},
    "surprised": {"surprise": 2},
    "angry": {"anger": 2},
    "winking": {"wink-left": 1},
    "head turned": {"yaw+": 12},
}
EMOTIONS = "neutral,surprise,happiness"
SECONDS = 2
HEAD = (slice(0, 340), slice(60, 400))  # rows and columns of the photo that the sheet shows


def make_sheet(editor: lf.FaceEditor, target: Path) -> None:
    """The photo and its edits, with captions."""
    pictures = [lf.read_image(PHOTO)]
    for name, changes in EDITS.items():
        print(f"{name}: {', '.join(f'{key} {value:g}' for key, value in changes.items())}", flush=True)
        pictures.append(editor.edit(PHOTO, changes).photo.rgb)
    panels = [np.ascontiguousarray(picture[HEAD]) for picture in pictures]
    lf.write_image(target, contact_sheet(panels, ["the photo", *EDITS], 3), source_type=COMPOSITE)


def make_clip(editor: lf.FaceEditor, target: Path) -> None:
    """The face goes through emotions and comes back to the photo."""
    print(f"a clip of {SECONDS} s: {EMOTIONS}", flush=True)
    sequence = lf.EmotionSequence.of(EMOTIONS).lasting(SECONDS)
    lf.write_clip(target, editor.video(PHOTO, sequence, lf.SequenceOptions(loop=True, blinks=30)))


def has_screen(environment: Mapping[str, str], platform: str) -> bool:
    """Whether a picture can be shown: always on macOS and Windows, elsewhere if there is a display."""
    return platform in ("darwin", "win32") or bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def main(folder: Path) -> None:
    """Make both, show the sheet if there is a screen, and say last where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    sheet, clip = folder.resolve() / "edits.png", folder.resolve() / "emotions.mp4"
    editor = lf.FaceEditor()
    make_sheet(editor, sheet)
    make_clip(editor, clip)
    if has_screen(os.environ, sys.platform):
        webbrowser.open(sheet.as_uri())
    print(f"\nThe clip:              {clip}\nThe photo and edits:   {sheet}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
