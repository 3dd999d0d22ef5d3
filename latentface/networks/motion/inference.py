"""A motion model optimised for inference: the same numbers, up to rounding, with less work."""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from latentface.networks.motion.blocks import ConvNorm, Residual, Up
from latentface.networks.motion.model import MotionModel

FOLDED_CHANNELS = (
    2**19
)  # limit for input times output channels; above it, reading 16 weights instead of 9 costs more than it saves
WINOGRAD_CHANNELS = 128  # with fewer channels, moving the tiles costs more than the saved multiplications


def fold(model: MotionModel) -> MotionModel:
    """A copy for inference; it agrees with the model to about 1e-5 and can be neither trained nor saved.

    Batch norms are folded into the convolutions before them; nearest-neighbour upsampling into those after it
    (`FoldedUp`); the convolutions to masks and to the occlusion are one; the last convolution computes blocks of pixels
    (`BlockConv`); on a CPU the wide residual blocks use Winograd's algorithm. Memory is ordered channels last.
    """
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    whole_tiles = (model.config.multiple >> model.config.generator_blocks) % 4 == 0
    winograd = whole_tiles and next(folded.parameters()).device.type == "cpu"
    for block in folded.modules():
        if isinstance(block, ConvNorm):
            block.conv, block.norm = _fuse(block.conv, block.norm), nn.Identity()
        elif isinstance(block, Residual):
            block.conv1, block.norm2 = _fuse(block.conv1, block.norm2), nn.Identity()
            if winograd and block.conv1.in_channels >= WINOGRAD_CHANNELS:
                for name in ("conv1", "conv2"):
                    setattr(block, name, WinogradConv(getattr(block, name)))
    for parent in list(folded.modules()):
        for name, child in parent.named_children():
            if isinstance(child, Up) and child.conv.in_channels * child.conv.out_channels <= FOLDED_CHANNELS:
                setattr(parent, name, FoldedUp(child.conv))
    dense = folded.generator.dense_motion_network
    dense.both = _side_by_side(dense.mask, dense.occlusion)
    setattr(folded.generator, "final", BlockConv(folded.generator.final))  # noqa: B010 (another kind of module)
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fuse(convolution: nn.Module, norm: nn.Module) -> nn.Conv2d:
    assert isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    return fuse_conv_bn_eval(convolution, norm)


def _side_by_side(first: nn.Conv2d, second: nn.Conv2d) -> nn.Conv2d:
    """Two convolutions of the same maps as one, whose output channels are those of the first and of the second."""
    both = copy.deepcopy(first)
    both.out_channels += second.out_channels
    assert first.bias is not None and second.bias is not None
    both.weight = nn.Parameter(torch.cat([first.weight, second.weight]), requires_grad=False)
    both.bias = nn.Parameter(torch.cat([first.bias, second.bias]), requires_grad=False)
    return both


class FoldedUp(nn.Module):
    """Nearest x 2, conv 3 x 3, relu as one 2 x 2 convolution at the small size: 16 multiplications instead of 36.

    Of the three rows that an output row reads, two are copies of one small row, so their weights add up; which two
    depends on whether the output row is even or odd. The same holds for columns.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        even, odd = [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        sums = torch.tensor([even, odd], device=convolution.weight.device)  # [parity, 2, 3]
        four = torch.einsum("aur,bvs,ocrs->abocuv", sums, sums, convolution.weight)
        assert convolution.bias is not None
        self.register_buffer("weight", four.flatten(0, 2).contiguous())
        self.register_buffer("bias", convolution.bias.repeat(4))

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, h, w] at twice the size: [N, O, 2h, 2w]."""
        count, _, height, width = x.shape
        parts = F.relu(F.conv2d(x, self.weight, self.bias, padding=1)).chunk(4, dim=1)  # [N, O, H + 1, W + 1] each
        shape = (count, parts[0].shape[1], 2 * height, 2 * width)
        out = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        for index, part in enumerate(parts):
            a, b = divmod(index, 2)
            out[:, :, a::2, b::2] = part[:, :, a : a + height, b : b + width]
        return out


class BlockConv(nn.Module):
    """A convolution to few channels as one with stride 2 to the four pixels of a block, which suits vector units."""

    weight: Tensor
    bias: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        outputs, inputs, side, _ = convolution.weight.shape
        block = convolution.weight.new_zeros(outputs, 2, 2, inputs, side + 1, side + 1)
        for a in range(2):
            for b in range(2):
                block[:, a, b, :, a : a + side, b : b + side] = convolution.weight
        assert convolution.bias is not None
        self.register_buffer("weight", block.flatten(0, 2))
        self.register_buffer("bias", convolution.bias.repeat_interleave(4))
        self.padding = side // 2

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of x [N, C, H, W], both sides even: [N, O, H, W]."""
        return F.pixel_shuffle(F.conv2d(x, self.weight, self.bias, stride=2, padding=self.padding), 2)


# F(4 x 4, 3 x 3) of Lavin and Gray 2016: of a 6 x 6 tile, four by four outputs.
_INPUT = torch.tensor(
    [[4.0, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0],
     [0, 4, 0, -5, 0, 1]])  # fmt: skip
_KERNEL = torch.tensor(
    [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6], [1 / 24, 1 / 12, 1 / 6],
     [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]])  # fmt: skip
_OUTPUT = torch.tensor([[1.0, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])


class WinogradConv(nn.Module):
    """A 3 x 3 convolution, padded by 1, of sides that are multiples of 4: a quarter of the multiplications."""

    weight: Tensor
    bias: Tensor
    into: Tensor
    out_of: Tensor

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        kernels = torch.einsum("ar,bs,ocrs->abco", _KERNEL, _KERNEL, convolution.weight)
        assert convolution.bias is not None
        self.register_buffer("weight", kernels.flatten(0, 1).contiguous())  # [36, C, O]
        self.register_buffer("bias", convolution.bias)
        self.register_buffer("into", torch.kron(_INPUT, _INPUT))  # [36, 36]
        self.register_buffer("out_of", torch.kron(_OUTPUT, _OUTPUT))  # [16, 36]

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of x [N, C, H, W], both sides multiples of 4: [N, O, H, W]."""
        count, channels, height, width = x.shape
        down, across = height // 4, width // 4
        padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()  # [N, H + 2, W + 2, C]
        image, row, column, _ = padded.stride()
        tiles = padded.as_strided((6, 6, count, down, across, channels), (row, column, image, 4 * row, 4 * column, 1))
        turned = (self.into @ tiles.reshape(36, -1)).view(36, -1, channels)
        product = torch.bmm(turned, self.weight)  # [36, tiles, O]
        made = (self.out_of @ product.view(36, -1)).view(4, 4, count, down, across, -1)
        out = made.permute(2, 3, 0, 4, 1, 5).reshape(count, height, width, -1) + self.bias
        return out.permute(0, 3, 1, 2)
