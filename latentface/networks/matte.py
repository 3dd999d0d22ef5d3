"""A small U-Net that tells people from their background in the crop of a face."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.errors import UsageError
from latentface.networks.u_net import UNet, check_shape


@dataclass(frozen=True)
class MatteConfig:
    """Shape of a MatteNet.

    size: pixels of a side of its picture, a face as `latentface.align` crops it. widths: channels at 1/1, 1/2, 1/4 ...
    of the picture.
    """

    size: int = 128
    widths: tuple[int, ...] = (12, 20, 32, 48, 64)

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # a list when it comes from a file
        if len(self.widths) < 2:
            raise UsageError(f"widths must be two numbers or more, got {self.widths}")
        check_shape(self.size, self.size, self.widths)


class MatteNet(UNet):
    """Crops [N, 3, S, S] in [-1, 1] -> logits [N, 1, S, S] of how much of each pixel belongs to a person."""

    def __init__(self, config: MatteConfig) -> None:
        super().__init__(config.size, config.size, config.widths, 1)
        self.config = config
