"""The page in a browser, as people use it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from latentface.editor import FaceEditor
from latentface.io.video import read_clip
from latentface.studio.sliders import SLIDERS
from tests.helpers.studio_page import (
    LONG,
    SOURCES,
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
TABS = ("Edit", "Transfer", "Video", "Clips", "Animate", "Project", "Mix", "Verify", "Queue")
MEASURE_CONTRAST = Path(__file__).with_name("contrast.js").read_text()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("studio")) as made:
        yield made


expect.set_options(timeout=LONG)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Iterator[Browser]:
    """Chromium, with the astronaut in front of its camera."""
    seen = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    film_of(astronaut, seen)
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium(*camera, f"--use-file-for-fake-video-capture={seen}") as made:
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
    bare = FaceEditor().edit(astronaut, {"happiness": 2.0}).photo.rgb
    marked = np.abs(np.asarray(saved).astype(int) - bare)
    assert 0 < marked.max() < 16 and marked.mean() < 1
    assert "compositeWithTrainedAlgorithmicMedia" in str(saved.info)


def test_every_slider_moves_pixels(page: Page, astronaut: Path) -> None:
    drop_photo(page, astronaut)
    before = preview(page)
    for slider in SLIDERS:
        set_slider(page, slider.name, slider.high)
        assert far(before, preview(page)) > 50, slider.title
        set_slider(page, slider.name, 0)
    assert np.array_equal(preview(page), before)


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


def tab(page: Page, name: str) -> None:
    """Go to a tab."""
    page.get_by_role("tab", name=name).click()


def wait_for_other(page: Page, shown: str) -> None:
    """Wait until other pictures are compared than those of before, as `sources` has them."""
    page.wait_for_function(f"before => {SOURCES} !== before", arg=shown, timeout=LONG)


def on_picture(page: Page, picker: str, x: float, y: float) -> dict[str, float]:
    """A place in a picker's picture, by shares of its width and height; the picture is fitted into its element."""
    box = page.locator(f"{picker} img").bounding_box(timeout=LONG)
    assert box is not None
    ratio = page.evaluate(
        "id => { const e = document.querySelector(id + ' img'); return e.naturalWidth / e.naturalHeight; }", picker
    )
    width = min(box["width"], box["height"] * ratio)
    height = width / ratio
    return {"x": (box["width"] - width) / 2 + x * width, "y": (box["height"] - height) / 2 + y * height}


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


def test_before_and_after_are_compared_by_dragging(page: Page, astronaut: Path) -> None:
    drop_photo(page, astronaut)
    set_slider(page, "surprise", 3)
    page.wait_for_timeout(1500)  # the handle may still be moving, and the presets' pictures come
    box = page.locator("#edit-compare").bounding_box()
    assert box is not None
    after = pixels_of(page)
    page.mouse.move(box["x"] + 0.04 * box["width"], box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    shown, middle = pixels_of(page), slice(round(0.3 * box["width"]), round(0.7 * box["width"]))
    assert far(after[:, middle], shown[:, middle]) > 100


def pixels_of(page: Page) -> np.ndarray:
    """What is to be seen of the two pictures that are compared, uint8 RGB [H, W, 3]."""
    return np.asarray(Image.open(BytesIO(page.locator("#edit-compare").screenshot())).convert("RGB"))


def test_the_command_is_copied(page: Page, astronaut: Path, served: Served) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served.address.rstrip("/"))
    drop_photo(page, astronaut)
    set_slider(page, "smile", 0.5)
    page.locator("#edit-command button[title=Copy]").click()
    assert page.evaluate("() => navigator.clipboard.readText()") == (
        "latentface edit astronaut.jpg --face 1 --set smile+=0.5 -o astronaut.edit.png"
    )


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


def test_the_keyboard_is_enough(page: Page, astronaut: Path) -> None:
    page.get_by_role("tab", name="Edit").focus()
    with page.expect_file_chooser() as chooser:
        press_until(page, "Tab", "document.activeElement.closest('#edit-photo .upload-container')")
        page.keyboard.press("Enter")
    chooser.value.set_files(astronaut)
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
    assert waiting.value.suggested_filename.startswith("astronaut")


def press_until(page: Page, key: str, there: str) -> None:
    """Press a key until something has the focus, as people without a mouse do."""
    for _ in range(150):
        page.keyboard.press(key)
        if page.evaluate(f"() => Boolean({there})"):
            return
    raise AssertionError(f"{key} does not lead to where {there}")


def test_an_expression_goes_from_photo_to_photo(page: Page, astronaut: Path, two_people: Path, served: Served) -> None:
    tab(page, "Transfer")
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


def test_what_is_brushed_is_completed_and_nothing_else(page: Page, astronaut: Path, served: Served) -> None:
    tab(page, "Complete")
    canvas = page.locator("#complete-photo canvas").first
    command = page.locator("#complete-command textarea")
    for _ in range(6):  # the editor gives no sign when it takes pictures and strokes
        page.locator("#complete-photo input[type=file]").first.set_input_files(str(astronaut))
        canvas.wait_for(timeout=LONG)
        page.wait_for_timeout(1_500)
        brush(page, canvas)
        page.wait_for_timeout(1_500)
        with suppress(AssertionError):
            expect(command).to_have_value(re.compile("--mask"), timeout=LONG / 12)
            break
    expect(command).to_have_value(re.compile("--mask"))
    page.locator("#complete-go").click()
    page.locator("#complete-files a").first.wait_for(timeout=LONG)
    made, photo = (np.asarray(Image.open(path).convert("RGB")) for path in (complete_file(served), astronaut))
    changed = (made != photo).any(axis=2)
    assert 0.001 < changed.mean() < 0.1
    rows, columns = np.nonzero(changed)
    assert np.ptp(columns) > 2 * np.ptp(rows)  # a stroke across
    page.get_by_label("glasses").check()
    page.locator("#complete-go").click()
    expect(page.locator("#complete-status")).to_contain_text("no glasses found", timeout=LONG)


def brush(page: Page, canvas: Locator) -> None:
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.42 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.3 * box["height"], steps=8)
    page.mouse.up()


def complete_file(served: Served) -> Path:
    return next(served.results.glob("*.complete.png"))


def test_a_style_picture_without_a_face_is_explained(page: Page, astronaut: Path, tmp_path: Path) -> None:
    Image.new("RGB", (80, 80), "orange").save(tmp_path / "plain.png")
    tab(page, "Style")
    drop(page, "style-photo", astronaut)
    page.wait_for_selector("#style-photo img", timeout=LONG)
    drop(page, "style-style", tmp_path / "plain.png")
    expect(page.locator("#style-command textarea")).to_have_value(re.compile("plain.png"), timeout=LONG)
    page.locator("#style-go").click()
    expect(page.locator("#style-status")).to_contain_text("shows no face", timeout=LONG)


def test_a_video_is_rendered_and_plays(page: Page, astronaut: Path, served: Served) -> None:
    tab(page, "Video")
    drop(page, "video-photo", astronaut)
    page.wait_for_selector("#video-photo img", timeout=LONG)
    page.get_by_role("button", name="How it moves, and the file").locator("visible=true").click()
    page.get_by_label("Frames a second").click()
    page.get_by_role("option", name="12").click()
    page.locator("#video-go").click()
    page.locator("#video-film video").wait_for(timeout=LONG)
    page.wait_for_function("() => document.querySelector('#video-film video').currentTime > 0.2", timeout=LONG)
    with av.open(str(served.results / "astronaut.video.mp4")) as clip:
        assert clip.streams.video[0].frames == 66
    assert (served.results / "astronaut.emotions.json").is_file()


def test_a_clip_is_edited_from_when_to_when(page: Page, film: Path, served: Served) -> None:
    tab(page, "Clips")
    drop(page, "clips-clip", film)
    page.wait_for_selector("#clips-clip video", timeout=LONG)
    page.locator("#clips-drop").click()
    expect(page.locator("#clips-line")).not_to_contain_text("Happiness")
    for label, value in (("By how much", "2"), ("From second", "0.3"), ("To (0: the end)", "0.7")):
        page.get_by_label(label).fill(value)
    page.locator("#clips-add").click()
    expect(page.locator("#clips-line")).to_contain_text("Happiness 2")
    expect(page.locator("#clips-command textarea")).to_have_value(
        "latentface edit film.mp4 --at 0.3 happiness=0 --at 0.5 happiness=2 --at 0.7 happiness=0 -o film.edit.mp4"
    )
    page.locator("#clips-preview").click()
    expect(page.locator("#clips-strip img")).to_have_count(1)
    page.locator("#clips-go").click()
    page.locator("#clips-film video").wait_for(timeout=LONG)
    before, after = ([frame.pixels for frame in read_clip(path)] for path in (film, served.results / "film.edit.mp4"))
    changed = [far(one, other) for one, other in zip(before, after, strict=True)]
    assert max(changed) == max(changed[5:8]) > 300  # around half a second
    assert max(changed[0], changed[-1]) < changed[6] / 2  # the encoder changes some


def test_a_photo_moves_by_a_clip(page: Page, astronaut: Path, film: Path, served: Served) -> None:
    tab(page, "Animate")
    drop(page, "animate-photo", astronaut)
    drop(page, "animate-driving", film)
    page.wait_for_selector("#animate-photo img", timeout=LONG)
    page.wait_for_selector("#animate-driving video", timeout=LONG)
    page.get_by_label("pose").locator("visible=true").check()
    expect(page.locator("#animate-command textarea")).to_have_value(
        "latentface animate --source astronaut.jpg --driving film.mp4 --only pose -o astronaut.animated.mp4"
    )
    page.locator("#animate-go").click()
    page.locator("#animate-film video").wait_for(timeout=LONG)
    with av.open(str(served.results / "astronaut.animated.mp4")) as clip:
        assert clip.streams.video[0].frames == 10


def test_the_camera_moves_a_photo(page: Page, astronaut: Path) -> None:
    tab(page, "Animate")
    drop(page, "animate-photo", astronaut)
    camera = page.locator("#animate-driving")
    camera.get_by_label("Capture from camera").click()
    camera.locator("button", has_text="access").click()
    recording = camera.locator("button[aria-label*=recording]")
    recording.click()
    page.wait_for_timeout(1500)
    recording.click()  # the same button stops it
    recording.wait_for(state="hidden")
    page.wait_for_selector("#animate-photo img")
    page.locator("#animate-go").click()
    page.locator("#animate-film video").wait_for()


def film_of(photo: Path, path: Path) -> None:
    """A photo as what a camera sees, 640 x 480."""
    picture = Image.open(photo).convert("RGB").crop((0, 0, 512, 480)).resize((640, 480))
    with av.open(str(path), "w", format="mjpeg") as film:
        stream = film.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
        film.mux([packet for step in (*[frame] * 10, None) for packet in stream.encode(step)])


def test_a_job_outlives_its_page(page: Page, film: Path, served: Served) -> None:
    tab(page, "Clips")
    drop(page, "clips-clip", film)
    page.wait_for_selector("#clips-clip video", timeout=LONG)
    page.locator("#clips-go").click()
    expect(page.locator("#clips-status progress")).to_have_count(1)
    context = page.context
    page.close()  # in the middle of it
    again = context.new_page()
    again.goto(served.address)
    tab(again, "Clips")
    again.locator("#clips-film video").wait_for(timeout=LONG)
    tab(again, "Queue")
    expect(again.locator("#queue-cards .card a")).to_have_count(1)
    with again.expect_download() as waiting:
        again.locator("#queue-cards .card a").click()
    assert waiting.value.suggested_filename.startswith("film")


def test_a_job_is_cancelled(page: Page, astronaut: Path, served: Served) -> None:
    tab(page, "Project")
    drop(page, "project-photo", astronaut)
    page.wait_for_selector("#project-photo img", timeout=LONG)
    page.locator("#project-go").click()
    page.locator("#project-curve svg").wait_for(timeout=LONG)
    expect(page.locator("#project-status progress")).to_have_count(1)
    first = page.locator("#project-picture img").get_attribute("src")  # it is shown as it grows
    page.wait_for_function(
        "old => { const e = document.querySelector('#project-picture img'); return e && e.src !== old; }", arg=first
    )
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


def test_many_edits_take_no_memory(page: Page, astronaut: Path, served: Served) -> None:
    """500 edits may take 50 MB; some of them here, after others to warm up."""
    drop_photo(page, astronaut)

    def move(first: int, times: int) -> None:
        for step in range(first, first + times):  # each value differs from the one before
            set_slider(page, "smile", 0.2 + 0.05 * (step % 2) + 0.1 * (step % 3))

    move(0, 20)
    before = served.memory()
    move(20, 25)
    assert served.memory() - before < 15
