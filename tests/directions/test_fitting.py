"""Directions: what is found in latents whose making is known, the unit of strength, files, and the built-in ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from latentface import api
from latentface.directions.fitting import extremes, fit
from latentface.directions.scaling import w_samples, without
from latentface.emotion import Emotion
from latentface.errors import InputError, LatentMismatch, UsageError, WeightsError
from latentface.latents.latent import Direction, Latent
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.options.projection import DirectionOptions
from latentface.pretrained.directions import find_directions, folder, pick, place, read_directions, write_directions
from latentface.training.directions import FACTORS, SHAPES

CONFIG = GeneratorConfig(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channel_base=256, channel_max=8)
ROWS, WIDTH = CONFIG.num_ws, CONFIG.w_dim


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(CONFIG, seed=1)


def axis(number: int) -> np.ndarray:
    return np.eye(WIDTH)[number]


def planted(count: int = 400, seed: int = 0) -> tuple[torch.Tensor, list[str], np.ndarray]:
    """Latents where "joy" moves axis 0 and a nuisance that goes with joy axis 1: [N, rows, w], labels, [N, 1]."""
    random = np.random.default_rng(seed)
    joy = random.random(count) < 0.5
    nuisance = joy + random.normal(0, 0.7, count)
    w = random.normal(0, 0.5, (count, WIDTH)) + 2 * joy[:, None] * axis(0) + 3 * nuisance[:, None] * axis(1)
    ws = torch.tensor(np.repeat(w[:, None], ROWS, 1), dtype=torch.float32)
    return ws, ["joy" if each else "calm" for each in joy], nuisance[:, None]


def cosine(direction: Direction, expected: np.ndarray, row: int = 0) -> float:
    found = direction.values[row].double().numpy()
    return float(found @ expected / np.linalg.norm(found) / np.linalg.norm(expected))


class TestFit:
    def test_conditions_are_left_alone(self, generator: Generator) -> None:
        ws, labels, nuisance = planted()
        (loose,) = fit(ws, labels, generator, against="calm")
        (held,) = fit(ws, labels, generator, against="calm", conditions=nuisance)
        assert abs(cosine(loose, axis(1))) > 0.8  # without them the nuisance is most of the pattern
        assert cosine(held, axis(0)) > 0.97 and abs(cosine(held, axis(1))) < 0.15
        assert held.name == "joy" and held.fingerprint == generator.fingerprint
        assert float((held.metadata or {})["accuracy"]) > 0.8

    def test_the_pattern_is_how_classes_differ_and_the_normal_how_they_are_told_apart(
        self, generator: Generator
    ) -> None:
        random = np.random.default_rng(0)
        joy = random.random(600) < 0.5
        shared = random.normal(0, 2, (600, 1))  # noise that axis 1 shares with axis 0 lets a plane see axis 0 better
        w = random.normal(0, 0.2, (600, WIDTH)) + joy[:, None] * axis(0) + shared * (axis(0) + axis(1))
        ws = torch.tensor(np.repeat(w[:, None], ROWS, 1), dtype=torch.float32)
        labels = ["joy" if each else "calm" for each in joy]
        found = {
            method: fit(ws, labels, generator, DirectionOptions(method=method, regularise=1.0), against="calm")[0]
            for method in ("pattern", "normal")
        }
        assert cosine(found["normal"], axis(0) - axis(1)) > 0.95
        assert cosine(found["pattern"], axis(0)) > 0.9 > cosine(found["normal"], axis(0))

    def test_every_class_against_the_rest_alone_or_together(self, generator: Generator) -> None:
        random = np.random.default_rng(0)
        numbers = random.integers(0, 3, 300)
        w = random.normal(0, 0.4, (300, WIDTH)) + 2 * np.eye(WIDTH)[numbers]
        ws = torch.tensor(np.repeat(w[:, None], ROWS, 1), dtype=torch.float32)
        labels = [f"class{number}" for number in numbers]
        for multinomial in (False, True):
            found = fit(ws, labels, generator, DirectionOptions(multinomial=multinomial))
            assert [each.name for each in found] == ["class0", "class1", "class2"]
            for number, each in enumerate(found):
                assert cosine(each, axis(number) - 0.5 * (axis(0) + axis(1) + axis(2) - axis(number))) > 0.97

    def test_rows_that_are_named_move_and_each_can_be_learned_alone(self, generator: Generator) -> None:
        ws, labels, nuisance = planted()
        options = DirectionOptions(layers="1-2", per_layer=True)
        (found,) = fit(ws, labels, generator, options, against="calm", conditions=nuisance)
        assert (found.values.norm(dim=1) > 0).tolist() == [row in (1, 2) for row in range(ROWS)]
        assert cosine(found, axis(0), row=2) > 0.97
        assert len((found.metadata or {})["accuracy"].split(",")) == 2

    def test_drawing_as_many_of_each_class(self, generator: Generator) -> None:
        ws, labels, _ = planted()
        kept = [k for k, label in enumerate(labels) if label == "calm" or k % 4 == 0]
        few = sum(labels[k] == "joy" for k in kept)
        options = DirectionOptions(balance="sample")
        (found,) = fit(ws[kept], [labels[k] for k in kept], generator, options, against="calm")
        assert (found.metadata or {})["samples"] == str(few) and few < labels.count("calm")

    def test_strength_one_is_one_deviation_of_w(self, generator: Generator) -> None:
        ws, labels, _ = planted()
        (found,) = fit(ws, labels, generator, against="calm")
        unit = found.values / found.values.norm()
        along = (w_samples(generator)[:, None].expand(-1, ROWS, -1) * unit).sum((1, 2))
        assert float(found.values.norm()) == pytest.approx(float(along.std()), rel=1e-3)

    def test_orthogonal_to_others(self, generator: Generator) -> None:
        ws, labels, _ = planted()
        (loose,) = fit(ws, labels, generator, against="calm")
        rows = torch.tensor(np.tile(axis(1), (ROWS, 1)))
        other = Direction(rows, generator.fingerprint, "nuisance")
        (found,) = fit(ws, labels, generator, against="calm", orthogonal_to=[other])
        assert abs(float((found.values * other.values).sum())) < 1e-5 < abs(float((loose.values * other.values).sum()))
        with pytest.raises(UsageError, match="lies within nuisance"):
            without(2 * other, [other])
        with pytest.raises(LatentMismatch):
            fit(ws, labels, generator, orthogonal_to=[Direction(rows, "other")])

    def test_what_cannot_be_learned_from(self, generator: Generator) -> None:
        ws, labels, nuisance = planted(40)
        with pytest.raises(InputError, match="only the class 'joy'"):
            fit(ws, ["joy"] * 40, generator)
        with pytest.raises(InputError, match="joy has 3"):
            fit(ws, ["joy"] * 3 + ["calm"] * 37, generator)
        with pytest.raises(UsageError, match="there are calm, joy"):
            fit(ws, labels, generator, against="anger")
        with pytest.raises(UsageError, match=r"expected \[40, 6, 8\]"):
            fit(ws[:, :3], labels, generator)
        with pytest.raises(UsageError, match=r"conditions of shape \[5, 1\]"):
            fit(ws, labels, generator, conditions=nuisance[:5])
        with pytest.raises(UsageError, match="rows 0 to 5"):
            fit(ws, labels, generator, DirectionOptions(layers="9"))
        with pytest.raises(InputError, match="all the same"):
            fit(torch.zeros_like(ws), labels, generator)


class TestExtremes:
    def test_top_and_bottom(self) -> None:
        part, sides = extremes(np.arange(10.0), 0.2)
        assert dict(zip(part.tolist(), sides, strict=True)) == {0: "low", 1: "low", 8: "high", 9: "high"}

    def test_what_is_rare_is_all_of_high(self) -> None:
        part, sides = extremes(np.array([0.0, 0, 0, 0, 0, 0, 0, 0, 0.4, 0.9]), 0.3)
        assert part[[side == "high" for side in sides]].tolist() == [8, 9]

    def test_conditions_are_taken_out_first(self) -> None:
        held = np.repeat([0.0, 100.0], 200)[:, None]
        own = np.tile(np.arange(200.0), 2)
        part, sides = extremes(own + held[:, 0], 0.1, held)
        high = part[[side == "high" for side in sides]]
        assert own[high].min() >= 170 and (high < 200).any() and (high >= 200).any()

    def test_scores_that_are_all_the_same(self) -> None:
        with pytest.raises(InputError, match="all the same"):
            extremes(np.ones(8), 0.3)


class TestFiles:
    def directions(self, generator: Generator) -> list[Direction]:
        rows = torch.arange(ROWS * WIDTH).reshape(ROWS, WIDTH).float()
        return [
            Direction(rows, generator.fingerprint, "joy", {"accuracy": "0.9"}),
            Direction(-rows, generator.fingerprint, "gaze"),
        ]

    def test_round_trip(self, tmp_path: Path, generator: Generator) -> None:
        write_directions(tmp_path / "a.safetensors", self.directions(generator))
        found = read_directions(tmp_path / "a.safetensors")
        assert list(found) == ["gaze", "joy"]
        assert found["joy"] == self.directions(generator)[0]

    def test_refused(self, tmp_path: Path, generator: Generator) -> None:
        joy, _ = self.directions(generator)
        path = tmp_path / "a.safetensors"
        for bad in ([], [joy, joy], [joy, Direction(joy.values, "other", "smile")], [joy - joy]):
            with pytest.raises(UsageError):
                write_directions(path, bad)
        Latent(joy.values, "f").save(path)
        with pytest.raises(WeightsError, match="not a latentface network"):
            read_directions(path)

    def test_the_users_own_are_found_by_network(
        self, tmp_path: Path, generator: Generator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LATENTFACE_CACHE", str(tmp_path))
        assert find_directions(generator.fingerprint) == {}
        write_directions(place("mine", generator.fingerprint), self.directions(generator))
        (folder() / "damaged.safetensors").write_bytes(b"half")
        assert list(api.list_directions(generator)) == ["gaze", "joy"]
        assert find_directions("other") == {}
        with pytest.raises(UsageError, match="cannot name a file"):
            place("../mine", generator.fingerprint)
        with pytest.raises(LatentMismatch, match="another network"):
            api.list_directions(Generator(CONFIG, seed=5), place("mine", generator.fingerprint))

    def test_near_names_are_offered(self, generator: Generator) -> None:
        known = {each.name: each for each in self.directions(generator)}
        assert pick("joy", known).name == "joy"
        for name, offer in (("gase", "did you mean gaze"), ("zzz", "there are gaze, joy")):
            with pytest.raises(UsageError, match=offer):
                pick(name, known)
        with pytest.raises(UsageError, match="directions fit"):
            pick("joy", {})


def test_built_in_happiness_is_seen_as_happiness() -> None:
    generator = api.load_generator()
    known = api.list_directions(generator)
    assert {e.value for e in Emotion} - {"neutral"} | {*SHAPES, *FACTORS} <= known.keys()
    ws = torch.cat([api.sample_ws(generator, seed, psi=0.6) for seed in range(4)])
    recognise = api.find_recogniser("emotion", "cpu")
    step = 3 * known["happiness"].values
    less, more = (recognise(api.synthesise(generator, part)).argmax(1) for part in (ws - step, ws + step))
    assert (more == Emotion.HAPPINESS.index).all() and not (less == Emotion.HAPPINESS.index).any()
    with pytest.raises(UsageError, match="did you mean happiness"):
        api.load_direction("hapiness", generator)
