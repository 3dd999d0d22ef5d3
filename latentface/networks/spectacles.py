"""A small U-Net that finds spectacles: where their frames lie, and where one sees through their glass."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.errors import UsageError
from latentface.networks.u_net import UNet, check_shape


@dataclass(frozen=True)
class SpectaclesConfig:
    """Shape of a SpectaclesNet and the part of the face that it sees.

    height, width: of its patch in pixels, multiples of 8. step: inter-ocular distances that a pixel is wide; the middle
    between the eyes lies in the middle of the patch's width. high: how far over the eyes it reaches, in inter-ocular
    distances. widths: channels at 1/1, 1/2, 1/4 and 1/8 of the patch.
    """

    height: int = 80
    width: int = 176
    step: float = 0.0125
    high: float = 0.45
    widths: tuple[int, int, int, int] = (16, 24, 40, 56)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list when it comes from a file
        if len(self.widths) != 4:
            raise UsageError(f"widths must be four numbers, got {self.widths}")
        check_shape(self.height, self.width, self.widths)
        if not self.step > 0:
            raise UsageError(f"step must be above 0 inter-ocular distances, got {self.step}")


class SpectaclesNet(UNet):
    """Patches [N, 3, H, W] in [-1, 1] -> logits [N, 2, H, W] of frames and of what lies inside of them."""

    def __init__(self, config: SpectaclesConfig) -> None:
        super().__init__(config.height, config.width, config.widths, 2)
        self.config = config
