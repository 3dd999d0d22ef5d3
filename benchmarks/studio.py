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

from latentface.studio.session import Subject
from latentface.studio.sliders import SLIDERS
from tests.helpers.studio_page import LONG, chromium, drop, drop_photo, go, serving, set_slider

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


def take_pictures(page: Page, photo: Path, folder: Path) -> None:
    """Screenshots of the page, on which the photo was dropped."""
    set_slider(page, "happiness", 2)
    page.wait_for_timeout(1000)
    page.screenshot(path=folder / "studio-edit.png")
    page.get_by_role("tab", name="Video").click()
    drop(page, "video-photo", photo)
    page.wait_for_selector("#video-photo img", timeout=LONG)
    page.locator("#video-preview").click()
    page.locator("#video-strip img").first.wait_for(timeout=LONG)
    page.wait_for_timeout(1000)
    page.screenshot(path=folder / "studio-video.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--edits", type=int, default=500)
    parser.add_argument("--pictures", type=Path, help="folder to put screenshots of the page into")
    words = parser.parse_args()
    taken = time_previews(words.photo, words.edits)
    median, slow = 1000 * np.quantile(taken, (0.5, 0.95))
    print(f"previews: median {median:.0f} ms, 95th percentile {slow:.0f} ms")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as served, chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        go(page, served)
        drop_photo(page, words.photo)
        print(f"start to the first preview, the browser's start included: {time.perf_counter() - began:.1f} s")
        if words.pictures is not None:
            take_pictures(page, words.photo, words.pictures)


if __name__ == "__main__":
    main()
