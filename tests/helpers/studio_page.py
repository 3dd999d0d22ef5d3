"""The page as people use it: a server of its own, and Debian's Chromium without a screen."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

LONG = 300_000  # milliseconds that anything may take on a machine that has other things to do
#: Chromium without a sandbox (tests run as root), and without anything of its own that goes to the network.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """A running `latentface studio`: its address, its folder of results, and its process."""

    address: str
    results: Path
    process: subprocess.Popen[str]

    def memory(self) -> float:
        """Megabytes that the process holds."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("the server has gone")


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Served]:
    """A server in a process of its own, which ends with the block."""
    results = folder / "results"
    command = [
        sys.executable,
        "-m",
        "latentface",
        "studio",
        "--no-browser",
        "--port",
        "0",
        "--json",
        "-o",
        str(results),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, text=True, cwd=root, env=environment, start_new_session=True
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.rstrip() == "}":
                break
        yield Served(json.loads("".join(lines))["address"], results, process)
    finally:
        assert process.stdout is not None
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def visit(served: Served, browser: Browser) -> Iterator[Page]:
    """The page, of a user who was never here; whatever it asks for elsewhere is an error."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(LONG)
    made, foreign = context.new_page(), list[str]()
    made.on("request", lambda asked: foreign.append(asked.url))
    go(made, served)
    yield made
    context.close()
    local = (served.address, "data:", "blob:")
    assert [url for url in foreign if not url.startswith(local)] == [], "the page loads something from elsewhere"


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """Debian's browser, with further flags; without it this is an error, and no reason to skip."""
    path = shutil.which("chromium")
    assert path is not None, "the tests of the page need Debian's package chromium: apt-get install chromium"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield browser
        browser.close()


def go(page: Page, served: Served) -> None:
    """Open the page, and wait until it has been told who it is."""
    page.goto(served.address)
    page.wait_for_selector("#edit-photo input[type=file]", state="attached", timeout=LONG)
    page.wait_for_function("() => (localStorage.getItem('latentface-studio') || '').length > 10", timeout=LONG)


def drop(page: Page, name: str, path: Path) -> None:
    """Give a file to the drop zone of that id, and wait for its picture to be there."""
    page.set_input_files(f"#{name} input[type=file]", str(path))


def drop_photo(page: Page, path: Path) -> None:
    """Drop a photo on the first tab, and wait for its preview."""
    drop(page, "edit-photo", path)
    page.wait_for_selector("#edit-compare img", timeout=LONG)


def tab(page: Page, name: str) -> None:
    """Go to a tab."""
    page.get_by_role("tab", name=name).click()


def on_picture(page: Page, picker: str, x: float, y: float) -> dict[str, float]:
    """A place in a picker's picture, by shares of its width and height; the picture is fitted into its element."""
    loaded = "id => { const e = document.querySelector(id + ' img'); return e && e.naturalWidth / e.naturalHeight; }"
    ratio = page.wait_for_function(loaded, arg=picker, timeout=LONG).json_value()  # until then 0 / 0
    box = page.locator(f"{picker} img").bounding_box(timeout=LONG)
    assert box is not None
    width = min(box["width"], box["height"] * ratio)
    height = width / ratio
    return {"x": (box["width"] - width) / 2 + x * width, "y": (box["height"] - height) / 2 + y * height}


def preview(page: Page) -> np.ndarray:
    """The changed picture that the page shows, uint8 RGB [H, W, 3]."""
    address = page.evaluate(
        """() => { const all = [...document.querySelectorAll('#edit-compare img')].map(each => each.src);
                   return all[all.length - 1]; }"""
    )
    answer = page.request.get(address)
    assert answer.ok, address
    return np.asarray(Image.open(BytesIO(answer.body())).convert("RGB"))


def set_slider(page: Page, name: str, value: float) -> None:
    """Type a value into a slider's number, as the keyboard does it, and wait for the preview that it brings."""
    box = page.locator(f"#edit-{name} input[type=number]")
    before = sources(page)
    box.fill(f"{value:g}")
    box.press("Tab")
    page.wait_for_function("before => " + SOURCES + " !== before", arg=before, timeout=LONG)


SOURCES = "[...document.querySelectorAll('#edit-compare img')].map(each => each.src).join(' ')"


def sources(page: Page) -> str:
    """The addresses of both pictures that the page compares."""
    found: str = page.evaluate("() => " + SOURCES)
    return found


def far(one: np.ndarray, other: np.ndarray) -> int:
    """How many pixels of two pictures differ by 8 levels or more: more than JPEG's noise."""
    assert one.shape == other.shape
    return int((np.abs(one.astype(int) - other).max(axis=2) >= 8).sum())
