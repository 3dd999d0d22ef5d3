"""The tabs whose work goes into the queue, in a browser: each verb from what is dropped to its result."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from latentface.io.video import read_clip
from tests.helpers.studio_page import LONG, Served, drop, far, tab


def test_an_expression_goes_from_photo_to_photo(
    open_page: Page, astronaut: Path, two_people: Path, served: Served
) -> None:
    tab(open_page, "Transfer")
    drop(open_page, "transfer-identity", two_people)
    drop(open_page, "transfer-expression", astronaut)
    open_page.wait_for_function(
        "() => document.querySelectorAll('#transfer-identity img, #transfer-expression img').length > 1"
    )
    open_page.locator("#transfer-go").click()
    open_page.locator("#transfer-files a").first.wait_for(timeout=LONG)
    with Image.open(served.results / "two.transfer.png") as made, Image.open(two_people) as photo:
        assert made.size == photo.size
        assert "compositeWithTrainedAlgorithmicMedia" in str(made.info)


def test_what_is_brushed_is_completed_and_nothing_else(open_page: Page, astronaut: Path, served: Served) -> None:
    tab(open_page, "Complete")
    canvas = open_page.locator("#complete-photo canvas").first
    command = open_page.locator("#complete-command textarea")
    for _ in range(6):  # the editor gives no sign when it takes pictures and strokes
        open_page.locator("#complete-photo input[type=file]").first.set_input_files(str(astronaut))
        canvas.wait_for(timeout=LONG)
        open_page.wait_for_timeout(1_500)
        brush(open_page, canvas)
        open_page.wait_for_timeout(1_500)
        with suppress(AssertionError):
            expect(command).to_have_value(re.compile("--mask"), timeout=LONG / 12)
            break
    expect(command).to_have_value(re.compile("--mask"))
    open_page.locator("#complete-go").click()
    open_page.locator("#complete-files a").first.wait_for(timeout=LONG)
    made, photo = (np.asarray(Image.open(path).convert("RGB")) for path in (complete_file(served), astronaut))
    changed = (made != photo).any(axis=2)
    assert 0.001 < changed.mean() < 0.1
    rows, columns = np.nonzero(changed)
    assert np.ptp(columns) > 2 * np.ptp(rows)  # a stroke across
    open_page.get_by_label("glasses").check()
    open_page.locator("#complete-go").click()
    expect(open_page.locator("#complete-status")).to_contain_text("no glasses found", timeout=LONG)


def brush(page: Page, canvas: Locator) -> None:
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 0.42 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.3 * box["height"], steps=8)
    page.mouse.up()


def complete_file(served: Served) -> Path:
    return next(served.results.glob("*.complete.png"))


def test_a_style_picture_without_a_face_is_explained(open_page: Page, astronaut: Path, tmp_path: Path) -> None:
    Image.new("RGB", (80, 80), "orange").save(tmp_path / "plain.png")
    tab(open_page, "Style")
    drop(open_page, "style-photo", astronaut)
    open_page.wait_for_selector("#style-photo img", timeout=LONG)
    drop(open_page, "style-style", tmp_path / "plain.png")
    expect(open_page.locator("#style-command textarea")).to_have_value(re.compile("plain.png"), timeout=LONG)
    open_page.locator("#style-go").click()
    expect(open_page.locator("#style-status")).to_contain_text("shows no face", timeout=LONG)


def test_a_video_is_rendered_and_plays(open_page: Page, astronaut: Path, served: Served) -> None:
    tab(open_page, "Video")
    drop(open_page, "video-photo", astronaut)
    open_page.wait_for_selector("#video-photo img", timeout=LONG)
    open_page.get_by_role("button", name="How it moves, and the file").locator("visible=true").click()
    open_page.get_by_label("Frames a second").click()
    open_page.get_by_role("option", name="12").click()
    open_page.locator("#video-go").click()
    open_page.locator("#video-film video").wait_for(timeout=LONG)
    open_page.wait_for_function("() => document.querySelector('#video-film video').currentTime > 0.2", timeout=LONG)
    with av.open(str(served.results / "astronaut.video.mp4")) as clip:
        assert clip.streams.video[0].frames == 66
    assert (served.results / "astronaut.emotions.json").is_file()


def test_a_clip_is_edited_from_when_to_when(open_page: Page, film: Path, served: Served) -> None:
    tab(open_page, "Clips")
    drop(open_page, "clips-clip", film)
    open_page.wait_for_selector("#clips-clip video", timeout=LONG)
    open_page.locator("#clips-drop").click()
    expect(open_page.locator("#clips-line")).not_to_contain_text("Happiness")
    for label, value in (("By how much", "2"), ("From second", "0.3"), ("To (0: the end)", "0.7")):
        open_page.get_by_label(label).fill(value)
    open_page.locator("#clips-add").click()
    expect(open_page.locator("#clips-line")).to_contain_text("Happiness 2")
    expect(open_page.locator("#clips-command textarea")).to_have_value(
        "latentface edit film.mp4 --at 0.3 happiness=0 --at 0.5 happiness=2 --at 0.7 happiness=0 -o film.edit.mp4"
    )
    open_page.locator("#clips-preview").click()
    expect(open_page.locator("#clips-strip img")).to_have_count(1)
    open_page.locator("#clips-go").click()
    open_page.locator("#clips-film video").wait_for(timeout=LONG)
    before, after = ([frame.pixels for frame in read_clip(path)] for path in (film, served.results / "film.edit.mp4"))
    changed = [far(one, other) for one, other in zip(before, after, strict=True)]
    assert max(changed) == max(changed[5:8]) > 300  # around half a second
    assert max(changed[0], changed[-1]) < changed[6] / 2  # the encoder changes some


def test_a_photo_moves_by_a_clip(open_page: Page, astronaut: Path, film: Path, served: Served) -> None:
    tab(open_page, "Animate")
    drop(open_page, "animate-photo", astronaut)
    drop(open_page, "animate-driving", film)
    open_page.wait_for_selector("#animate-photo img", timeout=LONG)
    open_page.wait_for_selector("#animate-driving video", timeout=LONG)
    open_page.get_by_label("pose").locator("visible=true").check()
    expect(open_page.locator("#animate-command textarea")).to_have_value(
        "latentface animate --source astronaut.jpg --driving film.mp4 --only pose -o astronaut.animated.mp4"
    )
    open_page.locator("#animate-go").click()
    open_page.locator("#animate-film video").wait_for(timeout=LONG)
    with av.open(str(served.results / "astronaut.animated.mp4")) as clip:
        assert clip.streams.video[0].frames == 10


def test_a_job_is_cancelled(open_page: Page, astronaut: Path, served: Served) -> None:
    tab(open_page, "Project")
    drop(open_page, "project-photo", astronaut)
    open_page.wait_for_selector("#project-photo img", timeout=LONG)
    open_page.locator("#project-go").click()
    open_page.locator("#project-curve svg").wait_for(timeout=LONG)
    expect(open_page.locator("#project-status progress")).to_have_count(1)
    first = open_page.locator("#project-picture img").get_attribute("src")  # it is shown as it grows
    open_page.wait_for_function(
        "old => { const e = document.querySelector('#project-picture img'); return e && e.src !== old; }", arg=first
    )
    open_page.locator("#project-cancel").click()
    expect(open_page.locator("#project-status")).to_contain_text("cancelled", timeout=LONG)
    assert not list(served.results.glob("*.latent.safetensors"))


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
