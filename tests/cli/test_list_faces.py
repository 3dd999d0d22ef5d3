"""`latentface faces` on a photo, with the real detector."""

import json
from pathlib import Path

from latentface.cli import run
from latentface.io.images import read_image

PHOTO = Path(__file__).parents[2] / "examples" / "astronaut.jpg"


def test_it_lists_the_faces_and_draws_them(tmp_path, capsys):
    target = tmp_path / "who.png"
    assert run(["faces", str(PHOTO), "-o", str(target), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [face["face"] for face in told["faces"]] == [1] and told["output"] == str(target)
    left, top, right, bottom = told["faces"][0]["box"]
    assert 100 < left < right < 350 and 20 < top < bottom < 300
    assert read_image(target).shape[0] > 256


def test_a_photo_without_faces_is_told(tmp_path, capsys):
    import numpy as np

    from latentface.io.images import write_image

    write_image(tmp_path / "wall.png", np.full((200, 200, 3), 120, np.uint8))
    assert run(["faces", str(tmp_path / "wall.png"), "-o", str(tmp_path / "who.png")]) == 3
    assert "wall.png" in capsys.readouterr().err and not (tmp_path / "who.png").exists()
