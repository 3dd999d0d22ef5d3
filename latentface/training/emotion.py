"""Train the built-in emotion classifier on renders: `python -m latentface.training.emotion --data DIR... --out DIR`.

Each DIR holds the renderer's shards (FFHQ crops with landmarks, mask and emotion). Every render has a head of its own,
or shares it with the views beside it, so the last pictures show heads that the training never saw. The augmentation is
that of the landmarks: photographs differ from renders in the same ways for both. Loss: cross-entropy with smoothed
labels, since weak expressions of two emotions can look alike.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from latentface.errors import UsageError
from latentface.networks.classifier import EmotionNet
from latentface.networks.trunk import TrunkConfig
from latentface.training.faces import FaceData, load_faces
from latentface.training.landmark_augmentation import AugmentOptions, augment
from latentface.training.loop import Loop, LoopOptions, command_line, loop_options

CONFIG = TrunkConfig()
OPTIONS = LoopOptions(minutes=20.0)
# lifted brows would turn anger into calm
CHANGES = AugmentOptions(brow_lift=(-0.006, 0.008), bend=0.004, occluder_share=0.2, soften_share=0.4)
SMOOTHING = 0.05


class EmotionTask:
    """Batches, loss and figures: what `Loop` needs of the data. The last `held_out` pictures are for measuring."""

    kind = "emotion"

    def __init__(self, data: FaceData, config: TrunkConfig = CONFIG, held_out: int = 500, batch: int = 32) -> None:
        if not 0 < held_out < len(data):
            raise UsageError(f"{len(data)} images are too few: {held_out} are held out for measuring")
        self.data, self.config, self.batch, self.count = data, config, batch, len(data) - held_out
        self.emotions = data.labels["emotion"]

    def build(self) -> EmotionNet:
        """A fresh network."""
        return EmotionNet(self.config)

    def draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """An augmented batch: framed pictures [N, 3, S, S] and emotions [N]."""
        chosen = torch.randint(self.count, (self.batch,), generator=generator, device=generator.device).cpu()
        images, points, masks = self.data.batch(chosen, generator.device)
        framed, _ = augment(images, points, masks, self.config, CHANGES, generator)
        return framed, self.emotions[chosen].to(generator.device)

    def loss(self, network: EmotionNet, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Cross-entropy of a batch."""
        framed, emotions = batch
        return F.cross_entropy(network.classify(framed).float(), emotions, label_smoothing=SMOOTHING)

    def measure(self, network: EmotionNet) -> Mapping[str, float]:
        """Share of the held-out pictures whose emotion is named."""
        device = next(network.parameters()).device
        held = torch.split(torch.arange(self.count, len(self.data)), 64)
        answers = torch.cat([network(self.data.crops(part, device)).argmax(1).cpu() for part in held])
        return {"held_out_accuracy": float((answers == self.emotions[self.count :]).float().mean())}


def main(arguments: list[str] | None = None) -> None:
    """The command line of this recipe."""
    given = command_line("latentface.training.emotion", __doc__, OPTIONS).parse_args(arguments)
    task = EmotionTask(load_faces(given.data, ("emotion",)))
    print(Loop(task, given.out, loop_options(given, OPTIONS), given.device).run())


if __name__ == "__main__":
    main()
