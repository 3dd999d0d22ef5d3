"""The value of --who: a number, a place, a picture of the person, or everybody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from latentface.faces.choice import Likeness
    from latentface.faces.crop import FaceCrop

ALL = "all"


@dataclass(frozen=True)
class ByPicture:
    """A face by a picture of the person; the picture is read when a face is asked for."""

    path: Path

    @cached_property
    def _likeness(self) -> Likeness:
        from latentface import api
        from latentface.io.images import read_image

        return api.likeness(read_image(self.path), str(self.path))

    def __call__(self, crops: Sequence[FaceCrop]) -> int:
        """The number of the face, from 1."""
        return self._likeness(crops)

    def __str__(self) -> str:
        return str(self.path)


class Who(click.ParamType):  # type: ignore[type-arg, unused-ignore]  # generic in newer versions of click only
    """A number from 1, a place, a file, or `ALL` where everybody can be meant."""

    name = "who"

    def __init__(self, everybody: bool = False) -> None:
        self.everybody = everybody

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What stands for the value in the help."""
        return "N|PLACE|PICTURE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, a rule that tells it, or `ALL`."""
        from latentface.faces.choice import PLACES, Place

        if not isinstance(value, str):
            return value
        if value.lstrip("-").isdigit():
            if int(value) < 1:
                self.fail(f"{value}: faces are counted from 1", param, ctx)
            return int(value)
        if value in PLACES:
            return Place(value)
        if value == ALL and self.everybody:
            return ALL
        if Path(value).is_file():
            return ByPicture(Path(value))
        words = [*PLACES, *([ALL] if self.everybody else [])]
        self.fail(f"{value!r} is no number, none of {', '.join(words)}, and no picture of a person", param, ctx)
