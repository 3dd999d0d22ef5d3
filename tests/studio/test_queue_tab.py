"""Jobs as cards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from latentface.studio.desk import Shared
from latentface.studio.jobs import Job
from latentface.studio.queue_tab import job_cards


def test_cards_show_results_as_links_and_names_are_no_markup(tmp_path: Path) -> None:
    shared, result = Shared(tmp_path / "shared"), tmp_path / "a <b> & c.png"
    (tmp_path / "shared").mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(result)
    shown = job_cards([Job(2, "me", "Video", "running", 0.5, "frame 3"), Job(1, "me", "Edit", "done", 1.0, "done",
                      files=(result,))], shared)  # fmt: skip
    assert shown.count('<article class="card">') == 2
    assert 'value="50"' in shown
    assert "a &lt;b&gt; &amp; c.png" in shown
    assert "<b> &" not in shown
    assert "%20%3Cb%3E" in shown


def test_without_jobs_it_says_what_will_be_there(tmp_path: Path) -> None:
    assert "No jobs yet" in job_cards([], Shared(tmp_path))
