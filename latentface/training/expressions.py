"""Fit what expressions move in W+: `python -m latentface.training.expressions --data DIR... --heads HEADS --out FILE`.

Each DIR holds the renderer's shards with their factors. Every render is inverted by the generator's encoder, as a
user's photo would be. Latents are regressed on all factors of the scenes and the expression's factors on the latents
(`subspace.Subspace.fit`). The last pictures are held out: for them, the explained share of the variance is printed, of
the expression part of the latents and of the factors.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentface import api
from latentface.errors import InputError
from latentface.latents.subspace import Subspace
from latentface.pretrained.native import write_network
from latentface.synthface.factors import FactorCode
from latentface.synthface.library import load_library

DIRECTIONS, HELD_OUT, BATCH = 20, 1000, 50


def encode_shards(folders: Sequence[Path], network: str) -> tuple[Tensor, Tensor]:
    """Latents [N, num_ws, w_dim] and factors [N, P] of every render; InputError when there is none."""
    paths = [path for folder in folders for path in sorted(folder.glob("shard-*.npz"))]
    if not paths:
        raise InputError(f"{', '.join(map(str, folders))}: no shard-*.npz files; render some with latentface.synthface")
    generator, ws, factors = api.load_generator(network), [], []
    for path in paths:
        with np.load(path) as shard:
            if "factors" not in shard.files:
                raise InputError(f"{path} holds no factors: render with a newer latentface")
            pictures = shard["images"]
            ws += [api.encode(list(pictures[k : k + BATCH]), generator) for k in range(0, len(pictures), BATCH)]
            factors.append(torch.from_numpy(shard["factors"]).float())
    return torch.cat(ws), torch.cat(factors)


def explained(found: Tensor, truth: Tensor) -> float:
    """The explained share of the variance of truth [N, P]."""
    return 1 - float((found - truth).square().sum() / (truth - truth.mean(0)).square().sum())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of shards with factors")
    parser.add_argument("--heads", type=Path, required=True, help="the heads they were rendered from")
    parser.add_argument("--network", default="synthface-128")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    given = parser.parse_args(arguments)
    chosen = FactorCode.of(load_library(given.heads)).slices["expression"]
    ws, factors = encode_shards(given.data, given.network)
    fingerprint = api.load_generator(given.network).fingerprint
    seen = slice(0, len(ws) - HELD_OUT)
    space = Subspace.fit(ws[seen], factors[seen], chosen, fingerprint, DIRECTIONS)
    state = {"reader": space.reader, "basis": space.basis}
    write_network(given.out, "expressions", {"fingerprint": fingerprint}, state, torch.float32)
    mean, deviation = factors[seen].mean(0), factors[seen].std(0).clamp(min=1e-3)
    z = ((factors - mean) / deviation)[:, chosen]
    found = torch.einsum("klw,nlw->nk", space.reader, ws - ws[seen].mean(0))
    there = torch.linalg.lstsq(found[seen], z[seen]).solution  # from coefficients back to factors
    print(f"{len(ws)} renders; held out, {explained((found @ there)[-HELD_OUT:], z[-HELD_OUT:]):.3f} of the factors")


if __name__ == "__main__":
    main()
