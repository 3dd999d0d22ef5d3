"""Coefficients by ARKit's names, as face-capture software writes them."""

import pytest

from latentface.errors import InputError, UsageError
from latentface.head.coefficients import indices_of, parse_coefficients

NAMES = ("browInnerUpLeft", "browInnerUpRight", "jawLeft", "jawOpen", "jawRight", "mouthSmileLeft", "mouthSmileRight")


def test_names_with_and_without_a_side():
    assert indices_of(NAMES, "browInnerUp") == [0, 1] and indices_of(NAMES, "jawLeft") == [2]
    assert indices_of(NAMES, "mouthSmileRight") == [6]
    for name in ("jaw", "smile", "Left", ""):
        with pytest.raises(UsageError, match="no expression shape"):
            indices_of(NAMES, name)


def test_reads_what_capture_software_writes():
    for text in (
        '{"jawOpen": 0.5, "browInnerUp": 1, "tongueOut": 0.2}',
        '{"blendShapes": {"jawOpen": 0.5, "browInnerUp": 1}}',
    ):
        assert parse_coefficients(text, NAMES) == {"jawOpen": 0.5, "browInnerUp": 1.0}


@pytest.mark.parametrize(
    "text", ("", "[1]", '{"jawOpen": 1.5}', '{"jawOpen": "a"}', '{"jawOpn": 0.5}', '{"jawOpen": true}')
)
def test_refuses_anything_else(text):
    with pytest.raises(InputError):
        parse_coefficients(text, NAMES)
