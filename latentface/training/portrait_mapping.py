"""The recipe of the mapping of `face-256`: z -> w spread as the codes of photographs are.

    python -m latentface.training.portrait_mapping --faces FACES --run RUN --out DIR

The codes are the outputs of RUN's encoder for the photographs and their mirror images. As for the networks of renders
(`mapping`), the Gaussian is transported onto them and leaky ReLU layers learn the map; four layers and a large number
of pairs keep them from memorising single codes, which `benchmarks/memorisation.py` measures. Codes are first shifted
away from zero, where the last leaky ReLU would distort them; the pictures they give stay the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from latentface.networks.encoder import LatentEncoder
from latentface.networks.generator import Generator
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.mapping import DEFAULTS, PAIRS, ROUNDS, MappingTask, install
from latentface.training.portrait_networks import Autoencoder, begin, write_networks
from latentface.training.portraits import Portraits, load_portraits
from latentface.training.prior import move_codes

CLEARANCE = 5.0  # standard deviations that codes are kept above zero
COLOURS = 4  # a side of the grid whose mean colours tell what a code draws


@torch.no_grad()
def code_portraits(faces: Portraits, encoder: LatentEncoder) -> tuple[Tensor, Tensor]:
    """The codes w [2n, w_dim] of photographs and their mirror images, and what is known of them, [2n, P].

    The known factors are the mean colours of a grid and the positions of eyes and mouth: the transport uses directions
    that correlate with them, since these separate clusters.
    """
    codes, known = [], []
    for mirrored in (False, True):
        for part in np.array_split(np.arange(len(faces)), max(1, len(faces) // 32)):
            images, near = faces.batch(part, np.full(len(part), mirrored))
            small = F.interpolate(images, size=(encoder.config.resolution,) * 2, mode="area")
            codes.append(encoder.parts(small)[0])
            grids = [F.adaptive_avg_pool2d(each, COLOURS).flatten(1) for each in (images, near)]
            known.append(torch.cat(grids, 1))
    return torch.cat(codes), torch.cat(known)


@torch.no_grad()
def raise_codes(codes: Tensor, generator: Generator, encoder: LatentEncoder) -> Tensor:
    """Move all codes [n, w_dim] that come within five deviations of zero away from it, in all three; the codes."""
    by = (CLEARANCE * codes.std(0) - codes.mean(0)).clamp(min=0)
    move_codes(generator, by)
    encoder.centre.add_(by)
    return codes + by


def learn_mapping(
    pair: Autoencoder, faces: Portraits, out: Path, options: LoopOptions = DEFAULTS, pairs: int = PAIRS,
    rounds: int = ROUNDS,
) -> Generator:  # fmt: skip
    """A generator like the pair's whose mapping draws codes like those of the faces; the pair's codes are raised."""
    codes, known = code_portraits(faces, pair.encoder)
    codes = raise_codes(codes, pair.generator, pair.encoder)
    task = MappingTask(codes, known, pairs, rounds, options.seed)
    loop = Loop(task, out, options)
    loop.run()
    random = torch.Generator().manual_seed(options.seed)
    return install(loop.averaged, task.whitening, pair.generator, random)


def main() -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.portrait_mapping", __doc__, DEFAULTS, data=None)
    parser.add_argument("--faces", type=Path, required=True, help="folder of faces.jsonl and crops")
    parser.add_argument("--run", type=Path, required=True, help="folder that training.portrait_generator wrote")
    given = parser.parse_args()
    options = loop_options(given, DEFAULTS)
    pair = begin(given.run, 0).requires_grad_(False).eval()
    faces, _ = load_portraits(given.faces)
    pair.generator = learn_mapping(pair, faces, given.out, options)
    print(write_networks(given.out, pair, None))


if __name__ == "__main__":
    main()
