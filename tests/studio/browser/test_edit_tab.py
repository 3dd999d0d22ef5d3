"""The first tab in a browser: a photo is dropped, its face changed by sliders and presets, and the result saved."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from latentface.editor import FaceEditor
from latentface.studio.sliders import SLIDERS
from tests.helpers.studio_page import (
    LONG,
    SOURCES,
    Served,
    drop,
    drop_photo,
    far,
    on_picture,
    preview,
    set_slider,
    sources,
    tab,
)


@pytest.fixture(scope="module")
def edited(open_page: Page, astronaut: Path) -> Page:
    """A page with a photo, for tests that leave the sliders at 0."""
    drop_photo(open_page, astronaut)
    return open_page


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
    bare = FaceEditor().edit(astronaut, {"happiness": 2.0}).photo.rgb
    marked = np.abs(np.asarray(saved).astype(int) - bare)
    assert 0 < marked.max() < 16 and marked.mean() < 1
    assert "compositeWithTrainedAlgorithmicMedia" in str(saved.info)


def test_before_and_after_are_compared_by_dragging(edited: Page) -> None:
    set_slider(edited, "surprise", 3)
    edited.wait_for_timeout(1500)  # the handle may still be moving, and the presets' pictures come
    box = edited.locator("#edit-compare").bounding_box()
    assert box is not None
    after = pixels_of(edited)
    edited.mouse.move(box["x"] + 0.04 * box["width"], box["y"] + box["height"] / 2)
    edited.mouse.down()
    edited.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=8)
    edited.mouse.up()
    edited.wait_for_timeout(500)
    shown, middle = pixels_of(edited), slice(round(0.3 * box["width"]), round(0.7 * box["width"]))
    assert far(after[:, middle], shown[:, middle]) > 100
    set_slider(edited, "surprise", 0)


def pixels_of(page: Page) -> np.ndarray:
    """What is to be seen of the two pictures that are compared, uint8 RGB [H, W, 3]."""
    return np.asarray(Image.open(BytesIO(page.locator("#edit-compare").screenshot())).convert("RGB"))


def test_the_command_is_copied(edited: Page, served: Served) -> None:
    edited.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.address.rstrip("/"))
    set_slider(edited, "smile", 0.5)
    edited.locator("#edit-command button[title=Copy]").click()
    assert edited.evaluate("() => navigator.clipboard.readText()") == (
        "latentface edit astronaut.jpg --face 1 --set smile+=0.5 -o astronaut.edit.png"
    )
    set_slider(edited, "smile", 0)


def test_many_edits_take_no_memory(edited: Page, served: Served) -> None:
    """500 edits may take 50 MB; some of them here, after others to warm up."""

    def move(first: int, times: int) -> None:
        for step in range(first, first + times):  # each value differs from the one before
            set_slider(edited, "smile", 0.2 + 0.05 * (step % 2) + 0.1 * (step % 3))

    move(0, 12)
    before = served.memory()
    move(12, 12)
    assert served.memory() - before < 8
    set_slider(edited, "smile", 0)


def test_every_slider_is_tied_to_its_change(edited: Page) -> None:
    """What each does to pixels is tested without a browser, in test_session."""
    command = edited.locator("#edit-command textarea")
    for slider in SLIDERS:
        box = edited.locator(f"#edit-{slider.name} input[type=number]")
        box.fill(f"{slider.high:g}")
        box.press("Tab")
        expect(command).to_have_value(re.compile(rf" --set {re.escape(slider.key)}={slider.high:g} "))


def test_the_second_face_is_picked_by_a_click(page: Page, two_people: Path) -> None:
    drop_photo(page, two_people)
    shown = sources(page)
    page.locator("#edit-picker img").click(position=on_picture(page, "#edit-picker", 0.85, 0.6), timeout=LONG)
    expect(page.locator("#edit-face input:checked")).to_have_value("2")
    page.wait_for_function("old => ![...document.querySelectorAll('#edit-compare img')].some(e => old.includes(e.src))",
                           arg=shown, timeout=LONG)  # fmt: skip
    before = preview(page)
    set_slider(page, "jaw", 1)
    assert far(before, preview(page)) > 100
    assert "--face 2 --set jaw+=1" in page.locator("#edit-command textarea").input_value()


def wait_for_other(page: Page, shown: str) -> None:
    """Wait until other pictures are compared than those of before, as `sources` has them."""
    page.wait_for_function(f"before => {SOURCES} !== before", arg=shown, timeout=LONG)


def test_a_preset_is_applied_and_gone_on_from(page: Page, astronaut: Path) -> None:
    drop_photo(page, astronaut)
    before, shown = preview(page), sources(page)
    laugh = page.get_by_role("button", name="Laugh")
    expect(laugh.locator("img")).to_have_count(1)  # a picture of what it does
    laugh.click()
    wait_for_other(page, shown)
    expect(page.locator("#edit-happiness input[type=number]")).to_have_value("2.4")
    laughing, shown = preview(page), sources(page)
    assert far(before, laughing) > 100
    page.locator("#edit-apply").click()
    wait_for_other(page, shown)
    expect(page.locator("#edit-happiness input[type=number]")).to_have_value("0")
    applied = preview(page)
    set_slider(page, "blink", 0.8)
    assert far(applied, preview(page)) > 50
    lines = page.locator("#edit-command textarea").input_value().splitlines()
    assert lines == [
        "latentface edit astronaut.jpg --face 1 --set happiness=2.4 --set jaw+=0.3 -o astronaut.step1.png",
        "latentface edit astronaut.step1.png --face 1 --set blink+=0.8 -o astronaut.edit.png",
    ]
    for _ in range(2):  # the lids, and the step to the changed photo
        shown = sources(page)
        page.locator("#edit-undo").click()
        wait_for_other(page, shown)
    expect(page.locator("#edit-happiness input[type=number]")).to_have_value("2.4")
    assert np.array_equal(preview(page), laughing)


def test_a_reload_loses_nothing(page: Page, astronaut: Path, two_people: Path) -> None:
    drop_photo(page, astronaut)
    set_slider(page, "surprise", 1.5)
    shown = preview(page)
    tab(page, "Animate")
    drop(page, "animate-photo", two_people)
    page.locator("#animate-face-picker img").click(position=on_picture(page, "#animate-face-picker", 0.85, 0.6))
    expect(page.locator("#animate-face input")).to_have_value("2")
    page.get_by_label("lips").locator("visible=true").check()
    page.wait_for_timeout(1000)
    page.reload()
    page.wait_for_selector("#edit-compare img", timeout=LONG)
    expect(page.locator("#edit-surprise input[type=number]")).to_have_value("1.5")
    assert np.array_equal(preview(page), shown)
    expect(page.locator("#edit-undo")).to_be_enabled()
    tab(page, "Animate")
    page.wait_for_selector("#animate-photo img", timeout=LONG)
    expect(page.locator("#animate-face input")).to_have_value("2")
    expect(page.get_by_label("lips").locator("visible=true")).to_be_checked()


def test_what_cannot_be_used_is_explained(page: Page, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "white.png")
    drop(page, "edit-photo", tmp_path / "white.png")
    expect(page.get_by_text("no face")).to_be_visible(timeout=LONG)
