"""The value of --who."""

import click
import pytest

from latentface.cli.who import ALL, ByPicture, Who
from latentface.faces.choice import Place


def test_numbers_places_and_pictures(tmp_path):
    picture = tmp_path / "anna.png"
    picture.write_bytes(b"")
    who = Who()
    assert who.convert("2", None, None) == 2 and who.convert(3, None, None) == 3
    assert who.convert("left", None, None) == Place("left")
    assert who.convert(str(picture), None, None) == ByPicture(picture)
    assert Who(everybody=True).convert("all", None, None) == ALL


@pytest.mark.parametrize("wrong", ["0", "-1", "all", "nobody.png"])
def test_what_is_none_of_them_is_refused(wrong):
    with pytest.raises(click.BadParameter):
        Who().convert(wrong, None, None)
