"""How quickly the page answers, and what it looks like: run from the root of the project, with Debian's chromium.

python -m benchmarks.studio [--photo PHOTO] [--edits 500] [--pictures docs]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page

from latentface.editor import FaceEditor
from latentface.io.images import write_photo
from latentface.io.video import write_clip
from latentface.options.clips import VideoOptions
from latentface.studio.session import Subject
from latentface.studio.sliders import SLIDERS
from tests.helpers.studio_page import LONG, Served, chromium, drop, drop_photo, go, serving, set_slider

PHOTO = Path("examples/astronaut.jpg")


def time_previews(photo: Path, edits: int) -> np.ndarray:
    """Seconds of the engine's previews, each slider in turn at random values, after one of each to warm up."""
    subject, random = Subject.read(photo), np.random.default_rng(0)
    for slider in SLIDERS:
        subject.preview({slider.key: slider.high})
    taken = []
    for count in range(edits):
        slider = SLIDERS[count % len(SLIDERS)]
        value = float(random.uniform(0.2, 1.0)) * slider.high
        began = time.perf_counter()
        subject.preview({slider.key: value})
        taken.append(time.perf_counter() - began)
    return np.array(taken)


def measure_growth(page: Page, served: Served, edits: int) -> float:
    """Megabytes by which the server grows in so many edits, after 50 to warm up."""

    def move(first: int, times: int) -> None:
        for step in range(first, first + times):  # one slider after the other, there and back
            slider = SLIDERS[step // 2 % len(SLIDERS)]
            set_slider(page, slider.name, 0 if step % 2 else slider.high)

    move(0, 50)
    before = served.memory()
    move(50, edits)
    return served.memory() - before


class Photographer:
    """Takes a picture of each tab with something on it."""

    def __init__(self, page: Page, photo: Path, folder: Path) -> None:
        self.page, self.photo, self.folder = page, photo, folder
        editor = FaceEditor()
        scratch = Path(tempfile.mkdtemp())
        self.other, self.film = scratch / "surprised.jpg", scratch / "clip.mp4"
        write_photo(self.other, editor.edit(photo, {"surprise": 2.0}).photo)
        write_clip(self.film, editor.video(photo, "neutral,surprise,happiness=0.5", drawing=VideoOptions(fps="12")))

    def take_all(self) -> None:
        """The tabs in their order, each named after its title."""
        self.edit()
        self.tool("Transfer", {"identity": self.photo, "expression": self.other})
        self.tool("Video", {"photo": self.photo}, preview=True)
        self.blocks([("Happiness", "2", "0.5", "3"), ("Raise brows", "0.8", "2.5", "5")])
        self.tool("Clips", {"clip": self.film}, preview=True)
        self.tool("Animate", {"photo": self.photo, "driving": self.film})
        self.tool("Project", {"photo": self.photo})
        self.tool("Mix", {"first": self.photo, "second": self.other})
        self.page.get_by_role("tab", name="Queue").click()
        self.take("queue")

    def edit(self) -> None:
        """A laugh, half of it covered by the photo as it was."""
        page = self.page
        page.get_by_role("button", name="Laugh").locator("img").wait_for(timeout=LONG)
        page.get_by_role("button", name="Laugh").click()
        page.wait_for_timeout(3000)
        box = page.locator("#edit-compare").bounding_box()
        assert box is not None
        x, y = (box["x"] + 0.04 * box["width"], box["y"] + box["height"] / 2)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.5 * box["width"], y, steps=10)
        page.mouse.up()
        self.take("edit")

    def blocks(self, rows: list[tuple[str, str, str, str]]) -> None:
        """Changes on the Clips tab, in the place of those that it begins with."""
        page = self.page
        page.get_by_role("tab", name="Clips").click()
        page.locator("#clips-drop").click()
        page.wait_for_timeout(2000)
        for what, *numbers in rows:
            page.get_by_label("What changes").click()
            page.get_by_role("option", name=what).click()
            for label, number in zip(("By how much", "From second", "To (0: the end)"), numbers, strict=True):
                page.get_by_label(label).fill(number)
            page.locator("#clips-add").click()
            page.wait_for_timeout(1000)

    def tool(self, title: str, files: dict[str, Path], preview: bool = False) -> None:
        """Drop files, let the work be done, and show its result."""
        page, name = self.page, title.lower()
        page.get_by_role("tab", name=title).click()
        for control, path in files.items():
            drop(page, f"{name}-{control}", path)
        page.wait_for_timeout(4000)
        if preview:
            page.locator(f"#{name}-preview").click()
            page.locator(f"#{name}-strip img").first.wait_for(timeout=LONG)
        page.locator(f"#{name}-go").click()
        page.locator(f"#{name}-files a").first.wait_for(timeout=LONG)
        self.take(name)

    def take(self, name: str) -> None:
        """The window as it is now."""
        self.page.mouse.move(0, 0)
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=self.folder / f"studio-{name}.jpg", type="jpeg", quality=85)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--edits", type=int, default=500, help="0 leaves the measurements out")
    parser.add_argument("--pictures", type=Path, help="folder to put a picture of each tab into")
    words = parser.parse_args()
    if words.edits:
        taken = time_previews(words.photo, words.edits)
        median, slow = 1000 * np.quantile(taken, (0.5, 0.95))
        print(f"previews: median {median:.0f} ms, 95th percentile {slow:.0f} ms")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served, chromium() as browser:
        page = browser.new_page(viewport={"width": 1320, "height": 980})
        page.set_default_timeout(LONG)
        go(page, served)
        drop_photo(page, words.photo)
        print(f"start to the first preview, the browser's start included: {time.perf_counter() - began:.1f} s")
        if words.pictures is not None:
            Photographer(page, words.photo, words.pictures).take_all()
        if words.edits:
            page.get_by_role("tab", name="Edit").click()
            print(f"{words.edits} edits: {measure_growth(page, served, words.edits):+.0f} MB")


if __name__ == "__main__":
    main()
