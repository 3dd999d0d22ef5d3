"""The recipe of `vid2vid`, the free-view talking head, on rigged portraits.

    python -m latentface.training.vid2vid --faces FACES --rigged DIR... --out DIR --minutes 45

After Wang, Mallya and Liu (CVPR 2021), but supervised: in a rigged picture the head's pose, expression and keypoints in
space are known, and so is where its points lie in another picture of the same person. The network that reads heads
learns them directly, and the motion field is fitted to the points; the generator is trained meanwhile by the known
heads, or in half of the steps by those that the network read. The last step writes the weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentface import hub, pretrained
from latentface.errors import InputError, UsageError
from latentface.networks.perceptual import FeatureDistance
from latentface.networks.vid2vid import Head, Vid2VidConfig, Vid2VidModel
from latentface.networks.vid2vid.geometry import warp_volume
from latentface.networks.vid2vid.motion_field import VolumeMotion
from latentface.synthface.portrait_sources import is_trusted, read_faces
from latentface.synthface.portraits import fit_faces
from latentface.training.loop import Loop, LoopOptions, begin_from, command_line, loop_options
from latentface.training.motion_losses import BuiltinDistance, Pyramid
from latentface.training.vid2vid_data import COUNT, Frames, HeadPairs, PairSampler, read_frames

COMPACT = Vid2VidConfig(
    resolution=128, square=0.85, num_keypoints=COUNT, depth=6, volume=8, compress=2, rigid=True, reader="regression",
    dense_width=16, dense_max=64, dense_blocks=3, dense_kernel=3, dense_mix=False, generator_width=16,
    generator_max=48, bottleneck_blocks=2, blend=True,
)  # fmt: skip
OPTIONS = LoopOptions(minutes=45.0, learning_rate=1e-3, warm_up=100, average=0.998, measure_every=100)
HELD_OUT = 20  # every so manieth person is kept for measurements
SHOWN = 64  # held-out pairs on which the network is measured
#: Weights of the losses.
WEIGHTS = {"angles": 4.0, "place": 10.0, "shape": 10.0, "points": 20.0, "flow": 40.0, "mask": 0.5, "pixel": 10.0,
           "warped": 10.0, "perceptual": 10.0}  # fmt: skip
NEAR = 0.08  # half pictures: how far from its keypoint a point follows it


@dataclass(frozen=True, eq=False)
class Vid2VidTask:
    """Reading heads and re-rendering people, on pairs of rigged pictures."""

    config: Vid2VidConfig
    pairs: PairSampler
    shown: HeadPairs
    perceptual: FeatureDistance
    batch: int = 8

    @property
    def kind(self) -> str:
        """Name of the network's kind and of its file."""
        return "vid2vid"

    def build(self) -> Vid2VidModel:
        """A fresh network that begins by showing the warped source, without occlusion.

        The reader begins with the encoder of the built-in network that reads expressions.
        """
        model = Vid2VidModel(self.config)
        begin_from(model.reader, pretrained.resolve("head-reader"))
        motion = model.generator.dense_motion_network
        with torch.no_grad():
            for layer, channel in ((motion.occlusion, 0), (model.generator.final, 3)):
                assert layer.bias is not None
                layer.bias[channel] = 2.0
        return model

    def sample_batch(self, generator: torch.Generator) -> HeadPairs:
        """Pairs of pictures."""
        return self.pairs.sample(self.batch, generator)

    def loss(self, network: Vid2VidModel, batch: HeadPairs) -> Tensor:
        """The weighted sum of all losses."""
        count = len(batch.source)
        read = network.keypoints(torch.cat([batch.source, batch.driving]))
        terms = _reading_losses(read[:count], batch.source_head)
        for name, term in _reading_losses(read[count:], batch.driving_head).items():
            terms[name] = (terms[name] + term) / 2
        half = count // 2  # the first half is moved by the known heads, the second by those that were read
        heads = [
            Head.cat([known[:half], found.detach()[half:]])
            for known, found in ((batch.source_head, read[:count]), (batch.driving_head, read[count:]))
        ]
        generator = network.generator
        source, driving = (batch.source + 1) / 2, (batch.driving + 1) / 2
        encoded = generator.encode(source)
        motion: VolumeMotion = generator.dense_motion_network(encoded.volume, *heads)
        terms |= _motion_losses(motion, batch, heads[1])
        drawn = generator.paint(encoded, motion)
        made = generator.compose(source, drawn)
        terms["pixel"] = (made - driving).abs().mean()
        terms["warped"] = (generator.deform(source, drawn) - driving).abs().mean()
        pyramid, distance = Pyramid((1.0, 0.5)), BuiltinDistance(self.perceptual)
        ours, theirs = pyramid(made), pyramid(driving)
        terms["perceptual"] = torch.stack([distance(ours[s], theirs[s]) for s in ours]).sum()
        return torch.stack([WEIGHTS[name] * term.float() for name, term in terms.items()]).sum()

    def measure(self, network: Vid2VidModel) -> Mapping[str, float]:
        """Error of the pose (degrees), of keypoints (pixels) and PSNR (dB), on held-out people."""
        batch = self.shown
        source, driving = network.keypoints(batch.source), network.keypoints(batch.driving)
        made = network.render(batch.source, source, driving).prediction
        error = (made - batch.driving).square().flatten(1).mean(1) / 4
        still = (batch.source - batch.driving).square().flatten(1).mean(1) / 4
        off = (driving.value - batch.driving_head.value)[..., :2].norm(dim=-1).mean() * self.config.resolution / 2
        figures = {"pose": (driving.angles - batch.driving_head.angles).abs().mean(), "keypoints": off}
        figures |= {"psnr": (-10 * error.log10()).mean(), "unmoved": (-10 * still.clamp(min=1e-6).log10()).mean()}
        return {name: float(value) for name, value in figures.items()}


def _reading_losses(read: Head, known: Head) -> dict[str, Tensor]:
    """L1 of angles (30 degrees), of scale and translation, of canonical and deformed shape, and of the keypoints."""
    place = (read.scale.log() - known.scale.log()).abs().mean()
    place = place + (read.translation - known.translation).abs().mean()
    shape = (read.canonical - known.canonical).abs().mean() + (read.deformation - known.deformation).abs().mean()
    return {
        "angles": (read.angles - known.angles).abs().mean() / 30,
        "place": place,
        "shape": shape,
        "points": (read.value - known.value).abs().mean(),
    }


def _motion_losses(motion: VolumeMotion, batch: HeadPairs, driving: Head) -> dict[str, Tensor]:
    """The losses by points whose motion is known: of the field in space and in the plane, and of the masks."""
    here, wanted = batch.driving_points, batch.source_points
    at = here[:, :, None, None]  # [N, M, 1, 1, 3]
    found = warp_volume(motion.field.permute(0, 4, 1, 2, 3), at, align_corners=True)[..., 0, 0]  # [N, 3, M]
    weight = batch.visible / batch.visible.float().mean()
    inside = (here.abs().amax(-1) < 1) * weight
    space = ((found.transpose(1, 2) - wanted).abs().mean(-1) * inside).mean()
    flat, _ = motion.seen
    seen = F.grid_sample(flat.permute(0, 3, 1, 2), here[:, :, None, :2], align_corners=True)[..., 0]
    plane = ((seen.transpose(1, 2) - wanted[..., :2]).abs().mean(-1) * inside).mean()
    shares = warp_volume(motion.mask, at, align_corners=True)[:, 1:, :, 0, 0]  # [N, K, M]
    nearest = (-torch.cdist(driving.value, here).square() / (2 * NEAR**2)).softmax(1)
    mask = (-(nearest * shares.clamp(min=1e-4).log()).sum(1) * inside).mean()
    return {"flow": space + plane, "mask": mask}


def load_frames(faces: Path, rigged: list[Path], cache: Path) -> tuple[Frames, Frames]:
    """Frames to train on, and those of held-out people, of the photos in `faces` and of folders of rigged pictures."""
    sources = read_faces(faces)
    fits = fit_faces(sources, cache)
    trusted = [face for face in sources if is_trusted(face, fits[face.name])]
    model = hub.head_model()
    known = {name: fit for name, fit in fits.items() if fit is not None}
    parts = []
    for held_out in (False, True):
        photos = {f.name: f.path for f in trusted if (f.person % HELD_OUT == 0) == held_out}
        found = [read_frames(folder, known, photos, model) for folder in rigged]
        parts.append(_all(found))
    return parts[0], parts[1]


def _all(parts: list[Frames]) -> Frames:
    """Frames of several folders as one; their people are counted on."""
    first = np.cumsum([0, *(int(part.person.max()) + 1 for part in parts)]).tolist()
    return Frames(
        torch.cat([part.pictures for part in parts]),
        Head.cat([part.head for part in parts]),
        torch.cat([part.points for part in parts]),
        torch.cat([part.visible for part in parts]),
        torch.cat([part.person + k for part, k in zip(parts, first, strict=False)]),
    )


def read_config(path: Path) -> Vid2VidConfig:
    """The sizes of the built-in network, with those that a JSON file gives instead.

    Raises:
        InputError: the file cannot be read, or is not an object of the fields of `Vid2VidConfig`.
        UsageError: the sizes are impossible, or do not fit rigged pictures.
    """
    try:
        config = replace(COMPACT, **json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: {error}; expected a JSON object of fields of Vid2VidConfig") from None
    if (config.num_keypoints, config.rigid, config.reader, config.blend) != (COUNT, True, "regression", True):
        raise UsageError(f"{path}: num_keypoints={COUNT}, rigid, blend and reader='regression' belong to the recipe")
    return config


def main() -> None:
    """Train, and write the network."""
    parser = command_line("latentface.training.vid2vid", __doc__, OPTIONS, data=None)
    parser.add_argument("--faces", type=Path, required=True, help="folder of photos (see synthface.portrait_sources)")
    parser.add_argument("--rigged", type=Path, nargs="+", required=True, help="folders of rigged pictures of them")
    parser.add_argument("--config", type=Path, help="JSON file of other sizes (fields of Vid2VidConfig)")
    parser.add_argument("--batch", type=int, default=8)
    given = parser.parse_args()
    options = loop_options(given, OPTIONS)
    config = read_config(given.config) if given.config else COMPACT
    train, held_out = load_frames(given.faces, given.rigged, given.rigged[0] / "fits.jsonl")
    pairs, kept = PairSampler(train, config.resolution), PairSampler(held_out, config.resolution)
    shown = kept.sample(SHOWN, torch.Generator().manual_seed(options.seed))
    task = Vid2VidTask(config, pairs, shown, hub.perceptual(given.device), given.batch)
    Loop(task, given.out, options, given.device).run()


if __name__ == "__main__":
    main()
