"""The page as a whole in a browser: its tabs on wide and narrow windows, by keyboard, and behind a password."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.studio_page import LONG, Served, far, go, preview, serving, sources, tab

#: Ratio that WCAG 2.1 AA asks of text (1.4.3).
CONTRAST = 4.5
TABS = ("Edit", "Transfer", "Video", "Clips", "Animate", "Project", "Mix", "Style", "Complete", "Verify", "Queue")
MEASURE_CONTRAST = Path(__file__).with_name("contrast.js").read_text()


def test_the_keyboard_is_enough(page: Page, astronaut: Path, tmp_path: Path) -> None:
    photo = shutil.copy(astronaut, tmp_path / "keys.jpg")
    page.get_by_role("tab", name="Edit").focus()
    with page.expect_file_chooser() as chooser:
        press_until(page, "Tab", "document.activeElement.closest('#edit-photo .upload-container')")
        page.keyboard.press("Enter")
    chooser.value.set_files(photo)
    page.wait_for_selector("#edit-compare img", timeout=LONG)
    before, shown = preview(page), sources(page)
    press_until(page, "Tab", "document.activeElement.matches('#edit-happiness input[type=range]')")
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#edit-happiness input[type=number]")).to_have_value("1.5")
    page.wait_for_function(
        "old => document.querySelectorAll('#edit-compare img')[1].src !== old.split(' ')[1]", arg=shown
    )
    page.wait_for_timeout(1500)
    assert far(before, preview(page)) > 100
    press_until(page, "Shift+Tab", "document.activeElement.id === 'edit-undo'")
    page.keyboard.press("Enter")
    expect(page.locator("#edit-happiness input[type=number]")).to_have_value("0", timeout=LONG)
    press_until(page, "Tab", "document.activeElement.id === 'edit-redo'")
    page.keyboard.press("Enter")
    expect(page.locator("#edit-happiness input[type=number]")).to_have_value("1.5", timeout=LONG)
    press_until(page, "Tab", "document.activeElement.id === 'edit-save'")
    page.keyboard.press("Enter")
    page.locator("#edit-files a").first.wait_for(timeout=LONG)
    with page.expect_download(timeout=LONG) as waiting:
        press_until(page, "Tab", "document.activeElement.closest('#edit-files a')")
        page.keyboard.press("Enter")
    assert waiting.value.suggested_filename.startswith("keys")


def press_until(page: Page, key: str, there: str) -> None:
    """Press a key until something has the focus, as people without a mouse do."""
    for _ in range(150):
        page.keyboard.press(key)
        if page.evaluate(f"() => Boolean({there})"):
            return
    raise AssertionError(f"{key} does not lead to where {there}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_wide_and_narrow_windows(served: Served, browser: Browser, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(LONG)
    page = context.new_page()
    go(page, served)
    for width in (390, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        for name in TABS:
            show_tab(page, name)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, f"{name} is too wide"
            found = page.evaluate(MEASURE_CONTRAST)
            assert len(found) >= 8
            poor = {each["text"]: round(each["ratio"], 2) for each in found if each["ratio"] < CONTRAST}
            assert not poor, name
    context.close()


def show_tab(page: Page, name: str) -> None:
    """Go to a tab, which lies in a menu where the window is narrow."""
    there = page.locator(f"[role=tab][data-tab-id={name.lower()}]").locator("visible=true")
    if not there.count():
        page.locator(".overflow-menu > button").click()
        there = page.locator(".overflow-dropdown button", has_text=name)
    there.first.click()
    page.wait_for_timeout(300)


def test_every_control_has_a_name(page: Page) -> None:
    for name in TABS:
        tab(page, name)
        page.wait_for_timeout(300)
        assert page.evaluate(NAMELESS) == [], name


NAMELESS = """() => [...document.querySelectorAll('input:not([type=file]), textarea, select, button')]
            .filter(each => each.offsetParent !== null && !each.disabled)
            .filter(each => !(each.getAttribute('aria-label') || each.getAttribute('title') || each.labels?.length
                              || each.innerText?.trim()))
            .map(each => each.outerHTML.slice(0, 200))"""


def test_other_machines_log_in(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, "--host", "0.0.0.0", "--auth", "me:a long password") as served:
        address = served.address.replace("0.0.0.0", "127.0.0.1")
        context = browser.new_context()
        context.set_default_timeout(LONG)
        page = context.new_page()
        page.goto(address)
        for password, there in (("a wrong password", "Incorrect"), ("a long password", "Photos")):
            page.get_by_label("username").fill("me")
            page.get_by_label("password").fill(password)
            page.get_by_role("button", name="Login").click()
            if there == "Incorrect":
                expect(page.get_by_text(there)).to_be_visible()
                assert page.request.get(f"{address}config").status == 401
        page.wait_for_selector("#edit-photo input[type=file]", state="attached")
        assert page.request.get(f"{address}config").ok
        context.close()
