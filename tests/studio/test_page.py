"""The page in a browser, as people use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from latentface.editor import FaceEditor
from latentface.studio.sliders import SLIDERS
from tests.helpers.studio_page import (
    LONG,
    Served,
    chromium,
    drop,
    drop_photo,
    far,
    go,
    preview,
    serving,
    set_slider,
    sources,
)

#: Ratio that WCAG 2.1 AA asks of text (1.4.3).
CONTRAST = 4.5
MEASURE_CONTRAST = Path(__file__).with_name("contrast.js").read_text()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("studio")) as made:
        yield made


expect.set_options(timeout=LONG)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def page(served: Served, browser: Browser) -> Iterator[Page]:
    """The page, of a user who was never here; whatever it asks for elsewhere is an error."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(LONG)
    made, foreign = context.new_page(), []
    made.on("request", lambda asked: foreign.append(asked.url))
    go(made, served)
    yield made
    context.close()
    local = (served.address, "data:", "blob:")
    assert [url for url in foreign if not url.startswith(local)] == [], "the page loads something from elsewhere"


def test_a_photo_is_dropped_edited_undone_and_saved(page: Page, astronaut: Path, tmp_path: Path) -> None:
    drop_photo(page, astronaut)
    before = preview(page)
    set_slider(page, "happiness", 2)
    happy = preview(page)
    assert far(before, happy) > 100
    set_slider(page, "neutralise", 1)
    assert far(happy, preview(page)) > 100
    shown = sources(page)
    page.locator("#edit-undo").click()
    page.wait_for_function("old => !document.body.innerHTML.includes(old.split(' ').pop())", arg=shown, timeout=LONG)
    assert np.array_equal(preview(page), happy)
    expect(page.locator("#edit-neutralise input[type=number]")).to_have_value("0")
    expect(page.locator("#edit-command textarea")).to_have_value(
        "latentface edit astronaut.jpg --face 1 --set happiness=2 -o astronaut.edit.png"
    )
    page.locator("#edit-save").click()
    with page.expect_download(timeout=LONG) as waiting:
        page.locator("#edit-files a").first.click(timeout=LONG)
    path = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(path)
    assert path.name == "astronaut.edit.png"
    saved = Image.open(path)
    assert np.array_equal(np.asarray(saved), FaceEditor().edit(astronaut, {"happiness": 2.0}).photo.rgb)
    assert "compositeWithTrainedAlgorithmicMedia" in str(saved.info)


def test_every_slider_moves_pixels(page: Page, astronaut: Path) -> None:
    drop_photo(page, astronaut)
    before = preview(page)
    for group in ("Eyes", "Brows", "Head"):
        page.locator("button.label-wrap", has_text=group).click()
    for slider in SLIDERS:
        set_slider(page, slider.name, slider.high)
        assert far(before, preview(page)) > 50, slider.title
        set_slider(page, slider.name, 0)
    assert np.array_equal(preview(page), before)


def test_the_second_face_is_picked_by_a_click(page: Page, two_people: Path) -> None:
    drop_photo(page, two_people)
    page.locator("#edit-picker img").click(position=on_picture(page, 0.85, 0.6), timeout=LONG)
    chosen = page.locator("#edit-face input:checked")
    page.wait_for_function("old => ![...document.querySelectorAll('#edit-compare img')].some(e => old.includes(e.src))",
                           arg=sources(page), timeout=LONG)  # fmt: skip
    expect(chosen).to_have_value("2")
    before = preview(page)
    set_slider(page, "jaw", 1)
    assert far(before, preview(page)) > 100
    assert "--face 2 --set jaw+=1" in page.locator("#edit-command textarea").input_value()


def on_picture(page: Page, x: float, y: float) -> dict[str, float]:
    """A place in the picker's picture, by shares of its width and height; the picture is fitted into its element."""
    box = page.locator("#edit-picker img").bounding_box(timeout=LONG)
    assert box is not None
    ratio = page.evaluate(
        "() => { const e = document.querySelector('#edit-picker img'); return e.naturalWidth / e.naturalHeight; }"
    )
    width = min(box["width"], box["height"] * ratio)
    height = width / ratio
    return {"x": (box["width"] - width) / 2 + x * width, "y": (box["height"] - height) / 2 + y * height}


def test_a_reload_loses_nothing(page: Page, astronaut: Path) -> None:
    drop_photo(page, astronaut)
    set_slider(page, "surprise", 1.5)
    shown = preview(page)
    page.reload()
    page.wait_for_selector("#edit-compare img", timeout=LONG)
    expect(page.locator("#edit-surprise input[type=number]")).to_have_value("1.5")
    assert np.array_equal(preview(page), shown)
    expect(page.locator("#edit-undo")).to_be_enabled()


def test_the_keyboard_is_enough(page: Page, astronaut: Path) -> None:
    drop_photo(page, astronaut)
    before, shown = preview(page), sources(page)
    page.locator("#edit-happiness input[type=range]").focus()
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#edit-happiness input[type=number]")).to_have_value("1.5")
    page.wait_for_function(
        "old => document.querySelectorAll('#edit-compare img')[1].src !== old.split(' ')[1]", arg=shown
    )
    page.wait_for_timeout(1500)
    assert far(before, preview(page)) > 100
    page.locator("#edit-undo").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#edit-happiness input[type=number]")).to_have_value("0", timeout=LONG)


def test_an_expression_goes_from_photo_to_photo(page: Page, astronaut: Path, two_people: Path, served: Served) -> None:
    page.get_by_role("tab", name="Transfer").click()
    drop(page, "transfer-identity", two_people)
    drop(page, "transfer-expression", astronaut)
    page.wait_for_function(
        "() => document.querySelectorAll('#transfer-identity img, #transfer-expression img').length > 1"
    )
    page.locator("#transfer-go").click()
    page.locator("#transfer-files a").first.wait_for(timeout=LONG)
    with Image.open(served.results / "two.transfer.png") as made, Image.open(two_people) as photo:
        assert made.size == photo.size
        assert "compositeWithTrainedAlgorithmicMedia" in str(made.info)


def test_a_video_is_rendered_and_plays(page: Page, astronaut: Path, served: Served) -> None:
    page.get_by_role("tab", name="Video").click()
    drop(page, "video-photo", astronaut)
    page.wait_for_selector("#video-photo img", timeout=LONG)
    page.get_by_label("Frames a second").click()
    page.get_by_role("option", name="12").click()
    page.locator("#video-go").click()
    page.locator("#video-film video").wait_for(timeout=LONG)
    page.wait_for_function("() => document.querySelector('#video-film video').currentTime > 0.2", timeout=LONG)
    with av.open(str(served.results / "astronaut.video.mp4")) as clip:
        assert clip.streams.video[0].frames == 66
    assert (served.results / "astronaut.emotions.json").is_file()


def test_a_job_is_cancelled(page: Page, astronaut: Path, served: Served) -> None:
    page.get_by_role("tab", name="Project").click()
    drop(page, "project-photo", astronaut)
    page.wait_for_selector("#project-photo img", timeout=LONG)
    page.locator("#project-go").click()
    page.locator("#project-curve svg").wait_for(timeout=LONG)
    page.locator("#project-cancel").click()
    expect(page.locator("#project-status")).to_contain_text("cancelled", timeout=LONG)
    assert not list(served.results.glob("*.latent.safetensors"))


def test_what_cannot_be_used_is_explained(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    drop(page, "edit-photo", tmp_path / "white.png")
    expect(page.get_by_text("no face")).to_be_visible(timeout=LONG)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_wide_and_narrow_windows(served: Served, browser: Browser, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(LONG)
    page = context.new_page()
    go(page, served)
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(300)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, "the page is wider than its window"
        found = page.evaluate(MEASURE_CONTRAST)
        assert len(found) > 30
        poor = {each["text"]: round(each["ratio"], 2) for each in found if each["ratio"] < CONTRAST}
        assert not poor
    context.close()


def test_every_control_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('input:not([type=file]), textarea, select, button')]
            .filter(each => each.offsetParent !== null && !each.disabled)
            .filter(each => !(each.getAttribute('aria-label') || each.getAttribute('title') || each.labels?.length
                              || each.innerText?.trim()))
            .map(each => each.outerHTML.slice(0, 200))"""
    )
    assert nameless == []


def test_many_edits_take_no_memory(page: Page, astronaut: Path, served: Served) -> None:
    """500 edits may take 50 MB; a tenth of them here, after as many to warm up."""
    drop_photo(page, astronaut)

    def move(first: int, times: int) -> None:
        for step in range(first, first + times):  # each value differs from the one before
            set_slider(page, "smile", 0.2 + 0.05 * (step % 2) + 0.1 * (step % 3))

    move(0, 25)
    before = served.memory()
    move(25, 50)
    assert served.memory() - before < 15
