"""Train the built-in emotion classifier: `python -m latentface.training.emotion --faces DIR --rigged DIR --out DIR`.

It learns from people driven by the head through the emotions, and from photographs that are surely happy or neutral
(`photo_emotions`); driven pictures of the people who are held out measure it. The classifier stands on a trained
landmark network, which stays as it is: the points it finds in each picture and in augmented copies are kept, and the
layers above it learn from those. The augmentation is that of the landmarks, but leaves the brows where the emotion puts
them. Loss: cross-entropy with smoothed labels, since weak expressions can look alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.emotion import Emotion
from latentface.errors import UsageError
from latentface.networks.classifier import EmotionConfig, EmotionNet, observe
from latentface.networks.landmarks import LandmarkNet
from latentface.networks.trunk import framed_part
from latentface.pretrained import load_landmarks
from latentface.pretrained.native import Base, read_network, write_network
from latentface.training.faces import FaceData, join
from latentface.training.landmark_augmentation import AugmentOptions, augment
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options
from latentface.training.photo_emotions import load_driven, load_photographs
from latentface.training.photo_landmarks import names_of_held_people

OPTIONS = LoopOptions(
    steps=1200, minutes=None, learning_rate=1e-3, weight_decay=3e-2, warm_up=100, average=0.99, measure_every=400
)
CHANGES = AugmentOptions(brow_lift=(-0.006, 0.008), bend=0.004, occluder_share=0.2, soften_share=0.4)
SMOOTHING = 0.05
NOISE = 0.2  # noise added to the observations, in their standard deviations


class EmotionTask:
    """Batches, loss and figures: what `Loop` needs of the data. The last `held_out` pictures are for measuring.

    copies: number of augmented copies of each of the others. bfloat16: whether observations are computed in bfloat16.
    """

    kind = "emotion"

    def __init__(
        self,
        data: FaceData,
        landmarks: LandmarkNet,
        held_out: int = 500,
        copies: int = 2,
        batch: int = 256,
        bfloat16: bool = True,
    ) -> None:
        if not 0 < held_out < len(data):
            raise UsageError(f"{len(data)} images are too few: {held_out} are held out for measuring")
        count = len(data) - held_out
        self.landmarks, self.batch, self.bfloat16 = landmarks, batch, bfloat16
        self.held = data.part(count, len(data))
        self.emotions = data.labels["emotion"][:count].repeat(1 + copies)
        self.seen = torch.cat([self._see(data.part(0, count), seed) for seed in (None, *range(1, 1 + copies))])
        shown = torch.bincount(self.emotions, minlength=len(Emotion)).double()
        self.chances = 1 / shown[self.emotions]  # all emotions that are shown are seen equally often
        plain = self.seen[:count].float()
        self.mean, self.deviation = plain.mean(0), plain.std(0).clamp(min=1e-3)

    @torch.no_grad()
    def _see(self, data: FaceData, seed: int | None) -> Tensor:
        """The observations of the landmark network on plain or augmented pictures: float16 [N, W]."""
        device = next(self.landmarks.parameters()).device
        generator = torch.Generator(device).manual_seed(seed or 0)
        parts = []
        for chosen in torch.split(torch.arange(len(data)), 64):
            if seed is None:
                framed = framed_part(data.crops(chosen, device), self.landmarks.config)
            else:
                framed, _ = augment(*data.batch(chosen, device), self.landmarks.config, CHANGES, generator)
            with torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat16):
                parts.append(observe(self.landmarks, framed).half().cpu())
        return torch.cat(parts)

    def build(self) -> EmotionNet:
        """A fresh network on the frozen landmark network."""
        network = EmotionNet(EmotionConfig(self.landmarks.config))
        network.landmarks.load_state_dict(self.landmarks.state_dict())
        network.landmarks.requires_grad_(False)
        network.mean.copy_(self.mean)
        network.scale.copy_(1 / self.deviation)
        return network

    def sample_batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Observations [N, W] with noise, and emotions [N]."""
        device = generator.device
        chances = self.chances.to(device)
        chosen = torch.multinomial(chances, self.batch, replacement=True, generator=generator).cpu()
        seen = self.seen[chosen].to(device).float()
        noise = torch.randn(seen.shape, generator=generator, device=device)
        return seen + NOISE * self.deviation.to(device) * noise, self.emotions[chosen].to(device)

    def loss(self, network: EmotionNet, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Cross-entropy of a batch."""
        seen, emotions = batch
        return F.cross_entropy(network.head(network.embed(seen)).float(), emotions, label_smoothing=SMOOTHING)

    def measure(self, network: EmotionNet) -> Mapping[str, float]:
        """Accuracy on the held-out pictures."""
        parts = torch.split(torch.arange(len(self.held)), 64)
        device = network.mean.device
        answers = torch.cat([network(self.held.crops(part, device)).argmax(1).cpu() for part in parts])
        return {"held_out_accuracy": float((answers == self.held.labels["emotion"]).float().mean())}


def gather(faces: Path, rigged: Path) -> tuple[FaceData, int]:
    """What to learn from, and how many of the last pictures are held out."""
    apart = names_of_held_people(faces)
    learnt, held = load_driven(rigged, apart)
    return join([learnt, load_photographs(faces, rigged / "fits.jsonl", apart), held]), len(held)


def share_landmarks(path: Path, landmarks: str) -> None:
    """Write a network file again in eight bits, without the landmark network inside where that is a built-in one."""
    file, base = read_network(path), Base.inside(landmarks, "landmarks.")
    write_network(path, file.kind, file.config, file.state, torch.int8, base)


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    parser = command_line("latentface.training.emotion", __doc__, OPTIONS, data=None)
    parser.add_argument("--landmarks", default="landmarks", help="landmark network: built-in name or file")
    parser.add_argument("--faces", type=Path, required=True, help="folder of photographs (faces.jsonl, crops)")
    parser.add_argument("--rigged", type=Path, required=True, help="folder of shards of them driven by the head")
    given = parser.parse_args(arguments)
    options = loop_options(given, OPTIONS)
    data, held_out = gather(given.faces, given.rigged)
    task = EmotionTask(data, load_landmarks(given.landmarks, given.device), held_out, bfloat16=options.bfloat16)
    path = Loop(task, given.out, options, given.device).run()
    share_landmarks(path, given.landmarks)
    print(path)


if __name__ == "__main__":
    main()
