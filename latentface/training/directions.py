"""The recipe of the built-in directions: renders and their scenes -> directions of one generator.

    python -m latentface.training.directions --data DIR... --heads heads.npz --pair RUN/checkpoint.pt --out FILE

The w of a render comes from the scene coder that was trained with the generator: it is the code from which the
generator learned to synthesise that render. Classes are the emotions against the neutral face, or the highest and
lowest values of one factor of the scene; the direction is conditioned on all other factors, so that it does not change
them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from latentface import pretrained
from latentface.arrays import Float64Array, Int64Array
from latentface.directions.fitting import extremes, fit
from latentface.directions.scaling import scaled, w_samples
from latentface.emotion import Emotion
from latentface.errors import UsageError, WeightsError
from latentface.latents.latent import Direction
from latentface.networks.generator import Generator
from latentface.options.projection import DirectionOptions
from latentface.pretrained.directions import write_directions
from latentface.synthface.factors import FactorCode
from latentface.synthface.library import load_library
from latentface.synthface.scene import paired
from latentface.training.data import image_batch, load_shards
from latentface.training.scene_coder import SceneCoder

#: The first rows determine shapes, up to 32 x 32 pixels; finer rows determine colour, which no expression changes.
SHAPE_ROWS = 8
#: Direction -> the expression shapes whose mean weight is its score (without _L and _R: both sides).
SHAPES = {
    "smile": ("mouthSmile",),
    "mouth-open": ("jawOpen",),
    "pucker": ("mouthPucker",),
    "eyes-closed": ("eyeBlink",),
    "brows-up": ("browInnerUp", "browOuterUp"),
    "brows-down": ("browDown",),
}
#: Direction -> factor, entries of it, and the sign of the score.
FACTORS = {
    "gaze-right": ("gaze", (0,), 1),
    "gaze-up": ("gaze", (1,), -1),
    "yaw": ("head", (0,), 1),
    "pitch": ("head", (1,), 1),
    "skin-light": ("skin_tone", (0, 1, 2), 1),
    "hair-light": ("hair_colour", (0, 1, 2), 1),
}
#: Fraction of the faces in either class: those with most and with least of a factor or shape. 6 % blink, and other
#: shapes are seldom strong either; a shape that is weak in w needs more faces to average out chance correlations.
FRACTION, RARE, FAINT = 0.3, 0.06, {"brows-up": 0.2, "pucker": 0.2}
TURNS = ("yaw", "pitch")
COLOURS = ("skin-light", "hair-light")  # on every row


@dataclass(frozen=True, eq=False)
class Scenes:
    """Codes w [N, w_dim] of N renders, their factors [N, P] and emotions [N], and the names of the factors."""

    w: torch.Tensor
    factors: Float64Array
    emotions: Int64Array
    code: FactorCode

    def columns(self, direction: str) -> list[int]:
        """The entries of the factors whose mean is a direction's score."""
        if direction in FACTORS:
            factor, entries, _ = FACTORS[direction]
            return [self.code.slices[factor].start + entry for entry in entries]
        shapes = [name for shape in SHAPES[direction] for name in paired(shape, 1.0)]
        first = self.code.slices["expression"].start
        return [first + self.code.expression_names.index(name) for name in shapes]


def learn(scenes: Scenes, generator: Generator, options: DirectionOptions | None = None) -> list[Direction]:
    """Every built-in direction, sorted by name."""
    options = replace(options or DirectionOptions(), layers="0")  # the codes are the same in every row
    ws = scenes.w[:, None].expand(-1, generator.config.num_ws, -1)
    names = [list(Emotion)[number].value for number in scenes.emotions]
    calm = np.delete(scenes.factors, scenes.code.slices["expression"], axis=1)
    found = fit(ws, names, generator, options, against=Emotion.NEUTRAL.value, conditions=calm)
    for name in (*SHAPES, *FACTORS):
        columns = scenes.columns(name)
        sign, fraction = (FACTORS[name][2], FRACTION) if name in FACTORS else (1, FAINT.get(name, RARE))
        others = np.delete(scenes.factors, columns, axis=1)
        part, sides = extremes(sign * scenes.factors[:, columns].mean(1), fraction, others)
        (direction,) = fit(ws[part], sides, generator, options, against="low", conditions=others[part])
        found.append(replace(direction, name=name))
    spread = w_samples(generator)
    return sorted((scaled(spread_out(each), spread) for each in found), key=lambda direction: direction.name)


def spread_out(direction: Direction) -> Direction:
    """A direction that was learned on the first row, copied to every row that it applies to."""
    last = len(direction.values) if direction.name in COLOURS else SHAPE_ROWS
    values = torch.zeros_like(direction.values)
    values[:last] = direction.values[0]
    moves = "head" if direction.name in TURNS else "colour" if direction.name in COLOURS else "expression"
    facts = {**(direction.metadata or {}), "layers": f"0-{last - 1}", "moves": moves}
    return replace(direction, values=values, metadata=facts)


def load_scenes(folders: Sequence[Path], code: FactorCode, coder: SceneCoder, resolution: int) -> Scenes:
    """The renders of shards and their codes; raises as `load_shards`."""
    parts = [load_shards(folder, ("images", "factors", "emotion")) for folder in folders]
    images, factors, emotions = (np.concatenate([part[k] for part in parts]) for k in ("images", "factors", "emotion"))
    if factors.shape[1] != code.length:
        raise UsageError(f"renders of {factors.shape[1]} factors, heads of {code.length}: give the heads they show")
    w = []
    with torch.no_grad():
        for chosen in np.array_split(np.arange(len(images)), -(-len(images) // 64)):
            w.append(coder(image_batch(images, chosen, resolution), torch.from_numpy(factors[chosen]).float()))
    return Scenes(torch.cat(w), factors.astype(np.float64), emotions.astype(np.int64), code)


def load_coder(pair: Path, generator: Generator, factors: int) -> SceneCoder:
    """The averaged scene coder of a checkpoint of `training.generator`; WeightsError when it is not one."""
    try:
        state: Mapping[str, torch.Tensor] = torch.load(pair, weights_only=True)["average"]
    except (OSError, KeyError, RuntimeError) as error:
        raise WeightsError(f"{pair}: no checkpoint of latentface.training.generator ({error})") from None
    coder = SceneCoder(generator.config.resolution, factors, generator.config.w_dim)
    coder.load_state_dict({k.removeprefix("coder."): value for k, value in state.items() if k.startswith("coder.")})
    return coder.eval().requires_grad_(False)


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser(prog="python -m latentface.training.directions", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of shard-*.npz")
    parser.add_argument("--heads", type=Path, required=True, help="made by latentface.synthface.build")
    parser.add_argument("--pair", type=Path, required=True, help="checkpoint.pt of latentface.training.generator")
    parser.add_argument("--generator", default="synthface-128", help="built-in name or file")
    parser.add_argument("--out", type=Path, required=True, help="file of directions to write")
    given = parser.parse_args(arguments)
    generator = pretrained.load_generator(given.generator)
    code = FactorCode.of(load_library(given.heads))
    coder = load_coder(given.pair, generator, code.length)
    directions = learn(load_scenes(given.data, code, coder, generator.config.resolution), generator)
    for direction in directions:
        print(f"{direction.name:12} held-out accuracy {(direction.metadata or {})['accuracy']}", flush=True)
    write_directions(given.out, directions)


if __name__ == "__main__":
    main()
