"""What the tab says: the conclusion first, and nothing of a file as markup."""

from __future__ import annotations

from pathlib import Path

from latentface.provenance.verify import Verification
from latentface.studio.verify_tab import tell


def test_the_conclusion_comes_first_and_names_are_escaped() -> None:
    text = tell(Verification(Path("a.jpg"), None, (), "trainedAlgorithmicMedia", "<b>program"))
    assert text.startswith("<h3>A trained network made or changed this.</h3>")
    assert text.count("<p><b>") == 3 and "<b>program" not in text and "&lt;b&gt;program" in text
