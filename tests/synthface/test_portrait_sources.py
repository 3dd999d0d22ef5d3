"""Who is in a picture, which faces can be driven, and how often each is."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentface import hub
from latentface.errors import InputError, UsageError
from latentface.head.fitting import fit_head
from latentface.synthface.portrait_sources import SourceFace, is_trusted, person_of, plan, read_faces
from tests.head.face_on_model import landmarks_of


def row(name: str, source: str = "somewhere", **more: Any) -> dict[str, Any]:
    return {"name": name, "source": source, "landmarks": np.arange(136.0).reshape(68, 2).tolist(), **more}


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    (folder / "faces.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
    return folder


def faces(*sources: str, people: int | None = None) -> list[SourceFace]:
    return [
        SourceFace(10 + k, f"{k}.jpg", source, k if people is None else k % people, np.zeros((68, 2)), Path("x"))
        for k, source in enumerate(sources)
    ]


def test_rows_become_faces(tmp_path: Path) -> None:
    found = read_faces(write(tmp_path, row("a.jpg"), row("b.jpg", jaw=50, inside=1.0), row("c.jpg", inside=0.4)))
    assert [face.number for face in found] == [0, 1, 2] and [face.plain for face in found] == [True, False, False]
    assert found[0].path == tmp_path / "crops" / "a.jpg" and found[0].landmarks[3].tolist() == [6, 7]
    assert len({face.person for face in found}) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("gpo_225x275_images_A000055.jpg", "gpo_225x275"), ("clerk_335x410_images_A000055.jpg", "clerk_335x410")),
        (
            ("pif_assets_images_fellows_2020_an-other-headshot.jpg", "pif"),
            ("pif_x_fellows_2021_ai_an-other.jpg", "pif"),
        ),
        (("digitalcorps_fellows_2022_An_Other.jpg", "digitalcorps"), ("d_social-an-other.jpg", "digitalcorps")),
        (("london_inst_neutral_front_001_03.jpg", "london"), ("london_inst_smiling_front_001_08.jpg", "london")),
    ],
)
def test_names_tell_who_is_in_a_picture(first: tuple[str, str], second: tuple[str, str]) -> None:
    assert person_of(*first) == person_of(*second)


def test_numbered_photographs_are_of_people_in_order() -> None:
    names = [f"caltech_101_ObjectCategories_Faces_image_{k:04d}.jpg" for k in (1, 21, 22, 418, 435)]
    first, same, second, last, also = (person_of(name, "caltech") for name in names)
    assert first == same != second and last == also and len({first, second, last}) == 3


def test_other_names_tell_nothing(tmp_path: Path) -> None:
    assert person_of("london_inst_canada_001f.jpg", "london") != person_of(
        "london_inst_neutral_front_001_03.jpg", "london"
    )
    assert person_of("0.jpg", "faker") != person_of("1.jpg", "faker")
    one, two, three = read_faces(write(tmp_path, row("0", person="p"), row("1", person="p"), row("2", person="q")))
    assert one.person == two.person != three.person


@pytest.mark.parametrize(
    "bad", [{"name": "a", "source": "b"}, row("a") | {"landmarks": [[1, 2]]}, row("a") | {"landmarks": "none"}]
)
def test_rows_of_another_form_are_refused(tmp_path: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="line 2"):
        read_faces(write(tmp_path, row("fine"), bad))


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_faces(tmp_path)


def test_kinds_come_in_equal_parts_and_faces_by_weight() -> None:
    pool = faces(*["rare"] * 10, *["often"] * 10)
    parts = plan(pool, 400, 8, 3, {"rare": 1.0, "often": 3.0})
    assert set(Counter(part.kind for part in parts).values()) == {50}
    shown = Counter(part.face for part in parts)
    assert {shown[10 + k] for k in range(10)} <= {10} and {shown[20 + k] for k in range(10)} == {30}
    order = [part.face for part in parts]
    assert sum(a != b for a, b in pairwise(order)) == 19  # those of one face lie together
    assert parts == plan(pool, 400, 8, 3, {"rare": 1.0, "often": 3.0}) and len({p.seed for p in parts}) == 400
    assert parts != plan(pool, 400, 8, 4, {"rare": 1.0, "often": 3.0})


def test_a_person_with_many_photos_does_not_decide() -> None:
    pool = [*faces(*["a"] * 30, people=1), replace(faces("a")[0], number=99, person=7)]
    shown = Counter(part.face for part in plan(pool, 400, 8, 0))
    assert shown[99] > 80  # of 400 / 31 by photos, 200 by people


def test_without_faces_there_is_no_plan() -> None:
    with pytest.raises(UsageError, match="no face"):
        plan([], 10, 8, 0)


def test_faces_that_are_not_seen_well_are_left_out() -> None:
    face = faces("a")[0]
    fit = fit_head(hub.head_model(), landmarks_of(hub.head_model(), {}))
    assert is_trusted(face, fit)
    assert not is_trusted(face, None) and not is_trusted(replace(face, plain=False), fit)
    assert not is_trusted(face, replace(fit, confidence=0.5))
