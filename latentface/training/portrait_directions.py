"""The recipe of the directions and expressions of `face-256`, from photographed people whose heads were driven.

    python -m latentface.training.portrait_directions --rigged RIGGED --run RUN --out DIR

Every driven picture (`latentface.synthface.portraits`) is brought to W+ by the encoder of RUN, as a user's photo is.
Classes of the directions are the emotions that people were driven through, against the neutral face, or the highest and
lowest values of a coefficient, a turn, or a colour; everything else that is known is a condition, so that no direction
carries another one with it. The same codes and coefficients make the subspace of expressions (`latents.subspace`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentface.arrays import Float32Array, Float64Array
from latentface.directions.fitting import extremes, fit
from latentface.directions.scaling import scaled, w_samples
from latentface.emotion import Emotion
from latentface.errors import InputError
from latentface.head.gaze import Gaze
from latentface.latents.latent import Direction
from latentface.latents.subspace import Subspace
from latentface.networks.encoder import LatentEncoder
from latentface.networks.generator import Generator
from latentface.options.projection import DirectionOptions
from latentface.pretrained.directions import write_directions
from latentface.pretrained.native import write_network
from latentface.training.data import image_batch, load_shards
from latentface.training.directions import FAINT, FRACTION, RARE, SHAPES, spread_out
from latentface.training.expressions import DIRECTIONS
from latentface.training.portrait_networks import read_pair

KEYS = ("images", "landmarks", "coefficients", "coefficient_names", "pose", "light", "kind", "kind_names")
CONTROLS = ("gaze-right", "gaze-up", "yaw", "pitch", "skin-light", "hair-light")
PATCH = 4  # pixels on each side of a place whose colour is taken
BATCH = 64


@dataclass(frozen=True, eq=False)
class DrivenCodes:
    """Codes of N driven pictures and what is known of them.

    Attributes:
        ws: [N, num_ws, w_dim].
        kinds: what each was driven through, an emotion's name or "speech", [N].
        expression: ARKit coefficients, the gaze's among them, [N, E]. names: theirs.
        others: what else varies, by name, [N] each: the directions' own scores, and conditions.
    """

    ws: Tensor
    kinds: NDArray[np.str_]
    expression: Float64Array
    names: tuple[str, ...]
    others: dict[str, Float64Array]

    def conditions(self, *without: str) -> Float64Array:
        """All numbers but those named, [N, K]: coefficients by their ARKit names, others by theirs."""
        kept = [k for k, name in enumerate(self.names) if name not in without]
        rest = [values for name, values in self.others.items() if name not in without]
        return np.concatenate([self.expression[:, kept], np.stack(rest, 1)], axis=1)


def learn(codes: DrivenCodes, generator: Generator, options: DirectionOptions | None = None) -> list[Direction]:
    """Every built-in direction, sorted by name; raises as `directions.fitting.fit`."""
    options = replace(options or DirectionOptions(), layers="0")
    w = codes.ws.mean(1, keepdim=True).expand_as(codes.ws)  # what is learnt on a row is moved on all it concerns
    felt = np.flatnonzero(np.isin(codes.kinds, [emotion.value for emotion in Emotion]))
    calm = codes.conditions(*codes.names)[felt]
    found = fit(w[felt], codes.kinds[felt].tolist(), generator, options, against=Emotion.NEUTRAL.value, conditions=calm)
    for name in (*SHAPES, *CONTROLS):
        columns = _columns(codes, name)
        scores = codes.others[name] if name in CONTROLS else codes.expression[:, columns].mean(1)
        taken = [codes.names[k] for k in columns] + ([name] if name in CONTROLS else [])
        fraction = FRACTION if name in CONTROLS else FAINT.get(name, RARE)
        held = codes.conditions(*taken)
        part, sides = extremes(scores, fraction, held)
        (direction,) = fit(w[part], sides, generator, options, against="low", conditions=held[part])
        found.append(replace(direction, name=name))
    samples = w_samples(generator)
    return sorted((scaled(spread_out(each), samples) for each in found), key=lambda direction: direction.name)


def learn_expressions(codes: DrivenCodes, fingerprint: str) -> Subspace:
    """What expressions move in W+; see `Subspace.fit`."""
    rest = np.stack(list(codes.others.values()), 1)
    factors = torch.from_numpy(np.concatenate([codes.expression, rest], 1)).float()
    chosen = slice(0, codes.expression.shape[1])
    return Subspace.fit(codes.ws, factors, chosen, fingerprint, min(DIRECTIONS, codes.expression.shape[1]))


def _columns(codes: DrivenCodes, direction: str) -> list[int]:
    """The coefficients whose mean is a direction's score; those that a control is computed of."""
    if direction.startswith("gaze"):
        return [k for k, name in enumerate(codes.names) if name.startswith("eyeLook")]
    wanted = SHAPES.get(direction, ())
    return [k for k, name in enumerate(codes.names) if name.removesuffix("Left").removesuffix("Right") in wanted]


@torch.no_grad()
def load_codes(folder: Path, encoder: LatentEncoder) -> DrivenCodes:
    """The codes of all driven pictures of a folder; InputError when there are none."""
    shards = load_shards(folder, [key for key in KEYS if not key.endswith("_names")])
    with np.load(min(folder.glob("shard-*.npz")), allow_pickle=False) as first:
        names, kinds = (tuple(str(name) for name in first[key]) for key in ("coefficient_names", "kind_names"))
    images = shards["images"]
    ws = [
        encoder(image_batch(images, part, images.shape[1]))
        for part in np.array_split(np.arange(len(images)), -(-len(images) // BATCH))
    ]
    expression = shards["coefficients"].astype(np.float64)
    gaze = [Gaze.of(names, row) for row in expression]
    pose, light = shards["pose"].astype(np.float64), shards["light"].astype(np.float64)
    skin, hair = np.array([lightness(*each) for each in zip(images, shards["landmarks"], strict=True)]).T
    others = {
        "gaze-right": np.array([each.yaw for each in gaze]),
        "gaze-up": -np.array([each.pitch for each in gaze]),
        "yaw": pose[:, 0], "pitch": pose[:, 1], "roll": pose[:, 2],
        "skin-light": skin, "hair-light": hair,
        **{f"light {k}": light[:, k] for k in range(light.shape[1])},
    }  # fmt: skip
    return DrivenCodes(torch.cat(ws), np.array([kinds[k] for k in shards["kind"]]), expression, names, others)


def lightness(image: NDArray[np.uint8], landmarks: Float32Array) -> tuple[float, float]:
    """How light skin and hair are, 0..1, in a picture uint8 [S, S, 3] with landmarks [68, 2].

    Skin on both cheeks, between the nose's wings and the jaw; hair above the brows, as far again as from the brows to
    the chin, where a hairless head shows skin.
    """
    nasion, chin = landmarks[27], landmarks[8]
    cheeks = [(landmarks[31] + landmarks[3]) / 2, (landmarks[35] + landmarks[13]) / 2]
    top = nasion + 0.85 * (nasion - chin)
    return float(np.mean([_patch(image, at) for at in cheeks])), _patch(image, top)


def _patch(image: NDArray[np.uint8], at: Float32Array) -> float:
    side = image.shape[0]
    x, y = (int(np.clip(round(float(v)), PATCH, side - 1 - PATCH)) for v in at)
    return float(image[y - PATCH : y + PATCH + 1, x - PATCH : x + PATCH + 1].mean()) / 255


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser(prog="python -m latentface.training.portrait_directions", description=__doc__)
    parser.add_argument("--rigged", type=Path, required=True, help="folder of latentface.synthface.portraits")
    parser.add_argument("--run", type=Path, required=True, help="folder of training.portrait_generator or _mapping")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    given = parser.parse_args(arguments)
    generator, encoder = read_pair(given.run)
    codes = load_codes(given.rigged, encoder)
    if len(codes.ws) < 100:
        raise InputError(f"{given.rigged} holds {len(codes.ws)} pictures; directions take some thousands")
    name = f"face-{generator.config.resolution}"
    directions = learn(codes, generator)
    for direction in directions:
        print(f"{direction.name:12} held-out accuracy {(direction.metadata or {})['accuracy']}", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    write_directions(given.out / f"{name}-directions.safetensors", directions)
    space = learn_expressions(codes, generator.fingerprint)
    state = {"reader": space.reader, "basis": space.basis}
    config = {"fingerprint": generator.fingerprint}
    write_network(given.out / f"{name}-expressions.safetensors", "expressions", config, state, torch.float32)


if __name__ == "__main__":
    main()
