"""A small U-Net that finds what is in front of a face: hands, microphones, phones, cups, cloths, strands of hair."""

from __future__ import annotations

from dataclasses import dataclass

from latentface.errors import UsageError
from latentface.networks.u_net import UNet, check_shape


@dataclass(frozen=True)
class OccluderConfig:
    """Shape of an OccluderNet.

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


class OccluderNet(UNet):
    """Crops [N, 3, S, S] in [-1, 1] -> logits [N, 1, S, S] of what is in front of the face."""

    def __init__(self, config: OccluderConfig) -> None:
        super().__init__(config.size, config.size, config.widths, 1)
        self.config = config
