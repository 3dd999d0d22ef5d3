"""Files of directions: written together, read back sorted, found for their network, picked by near names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentface.errors import UsageError, WeightsError
from latentface.latents.latent import Direction
from latentface.pretrained import directions
from latentface.pretrained.catalogue import BUILTIN
from latentface.pretrained.directions import find_directions, pick, place, read_directions, write_directions
from latentface.pretrained.native import read_network, write_network

pytestmark = pytest.mark.usefixtures("own_cache")


def direction(name: str, fingerprint: str = "f" * 64, seed: int = 0) -> Direction:
    values = torch.randn(4, 8, generator=torch.Generator().manual_seed(seed))
    return Direction(values, fingerprint, name, {"moves": "expression"} if name == "joy" else None)


def test_directions_come_back_by_name_and_sorted(tmp_path: Path) -> None:
    written = [direction("nod", seed=1), direction("joy")]
    write_directions(tmp_path / "a.safetensors", written)
    found = read_directions(tmp_path / "a.safetensors")
    assert list(found) == ["joy", "nod"]
    for one in written:
        assert torch.allclose(found[one.name].values, one.values, atol=2e-3)  # half precision
        assert (found[one.name].fingerprint, found[one.name].name) == (one.fingerprint, one.name)
    assert found["joy"].metadata == {"moves": "expression"} and not found["nod"].metadata


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "called nothing: expected different names"),
        ([direction("joy"), direction("joy", seed=1)], "'joy', 'joy': expected different names"),
        ([direction("")], "expected different names"),
        ([direction("joy"), direction("nod", "e" * 64)], "directions of several generators"),
    ],
)
def test_directions_that_make_no_file(given: list[Direction], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        write_directions(tmp_path / "a.safetensors", given)
    assert not (tmp_path / "a.safetensors").exists()


@pytest.mark.parametrize(
    ("kind", "config"),
    [("generator", {"known": {}, "fingerprint": "f"}), ("directions", {"known": []}), ("directions", {"known": {}})],
)
def test_files_of_another_kind_are_refused(kind: str, config: dict[str, object], tmp_path: Path) -> None:
    write_network(tmp_path / "a", kind, config, {"joy": torch.ones(4, 8)})
    with pytest.raises(WeightsError, match="contains no directions"):
        read_directions(tmp_path / "a")


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    write_network(tmp_path / "a", "directions", {"known": {}, "fingerprint": "f"}, {"joy": torch.ones(8)})
    with pytest.raises(WeightsError, match="damaged file of directions"):
        read_directions(tmp_path / "a")


def test_ones_own_directions_are_found_beside_the_built_in_and_go_first() -> None:
    built_in = next(one for one in BUILTIN if one.kind == "directions")
    known = read_directions(built_in.path)
    fingerprint = next(iter(known.values())).fingerprint
    assert find_directions(fingerprint).keys() == known.keys()
    assert find_directions("0" * 64) == {}
    rows = known["happiness"].values.shape[0]
    mine = Direction(torch.ones(rows, known["happiness"].values.shape[1]), fingerprint, "happiness")
    write_directions(place("mine", fingerprint), [mine])
    write_directions(place("others", "f" * 64), [direction("joy")])
    (directions.folder() / "broken.safetensors").write_bytes(b"x")
    found = find_directions(fingerprint)
    assert found.keys() == known.keys() and torch.equal(found["happiness"].values, mine.values)
    assert list(find_directions("f" * 64)) == ["joy"]


def test_names_are_picked_and_near_ones_offered() -> None:
    known = {"happiness": direction("happiness"), "yaw": direction("yaw")}
    assert pick("yaw", known) is known["yaw"]
    with pytest.raises(UsageError, match=r"no direction 'hapiness' for this network: did you mean happiness\?"):
        pick("hapiness", known)
    with pytest.raises(UsageError, match="there are happiness, yaw"):
        pick("zzz", known)
    with pytest.raises(UsageError, match="for mine: it has none; learn some with latentface directions fit"):
        pick("joy", {}, "mine")


def test_places_have_file_names(own_cache: Path) -> None:
    assert place("mine", "f" * 64) == own_cache / "directions" / "mine.safetensors"
    with pytest.raises(UsageError, match="cannot name a file of directions"):
        place("../mine", "f" * 64)


def test_directions_of_two_networks_under_one_name_both_stay(own_cache: Path) -> None:
    write_directions(place("fitted", "f" * 64), [direction("joy")])
    assert place("fitted", "f" * 64).name == "fitted.safetensors"  # fitted again: replaced
    other = place("fitted", "0" * 64)
    assert other.name == "fitted-000000000000.safetensors"
    write_directions(other, [Direction(torch.ones(2, 3), "0" * 64, "calm")])
    assert list(find_directions("f" * 64)) == ["joy"] and list(find_directions("0" * 64)) == ["calm"]
    place("fitted", "f" * 64).write_bytes(b"damaged")
    assert place("fitted", "f" * 64).name == "fitted.safetensors"


def test_the_file_says_what_it_holds(tmp_path: Path) -> None:
    write_directions(tmp_path / "a", [direction("joy")])
    file = read_network(tmp_path / "a")
    assert file.kind == "directions" and file.config["fingerprint"] == "f" * 64
    assert file.config["known"] == {"joy": {"moves": "expression"}}
