"""What the page says of a job."""

from __future__ import annotations

from latentface.studio.job_panel import curve_svg, status_html
from latentface.studio.jobs import Job


def test_a_status_has_a_bar_while_something_happens() -> None:
    assert status_html(None) == ""
    assert "appears here" in status_html(None, "It appears here.")
    running = status_html(Job(1, "", "Video", "running", 0.42, "frame 3"))
    assert "Video: running (frame 3)" in running
    assert 'value="42"' in running
    assert "<progress" not in status_html(Job(1, "", "Video", "done", 1.0, "done"))


def test_names_of_files_are_no_markup() -> None:
    told = status_html(Job(1, "", "Edit", "failed", 0.0, "<img src=x onerror=alert(1)>.png: no face"))
    assert "<img" not in told
    assert "&lt;img" in told


def test_a_curve_goes_from_the_first_value_to_the_last() -> None:
    assert curve_svg([1.0]) == ""
    drawn = curve_svg([3.0, 1.0, 2.0])
    assert 'points="0.0,5.0 150.0,75.0 300.0,40.0"' in drawn
    assert "loss 3.000 to 2.000 in 3 steps" in drawn
