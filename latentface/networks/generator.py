"""StyleGAN2 generator: mapping network z -> ws and synthesis network ws -> image (Karras et al. 2020).

Parameter names are those of the StyleGAN2-ADA state dict, so published weights need at most renaming.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import torch
from torch import nn

from latentface.errors import UsageError
from latentface.networks.config import GeneratorConfig
from latentface.networks.layers import EqualLinear, SynthesisLayer, ToRGBLayer, UpConv1x1, initialise
from latentface.ops import checksums, make_filter, upsample2d, without_autocast

__all__ = ["Generator", "GeneratorConfig", "MappingNetwork", "SynthesisNetwork"]

NOISE_MODES = ("const", "none", "random")


class MappingNetwork(nn.Module):
    """z [N, z_dim] (and label c [N, c_dim]) -> ws [N, num_ws, w_dim]; keeps the mean w as `w_avg` [w_dim]."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.z_dim
        if config.c_dim:
            self.embed = EqualLinear(config.c_dim, config.w_dim)
            width += config.w_dim
        for k in range(config.num_mapping_layers):
            layer = EqualLinear(width, config.w_dim, lr_multiplier=config.lr_multiplier, activation="lrelu")
            self.add_module(f"fc{k}", layer)
            width = config.w_dim
        self.register_buffer("w_avg", torch.zeros(config.w_dim))

    w_avg: torch.Tensor
    __call__: Callable[..., torch.Tensor]

    def forward(
        self,
        z: torch.Tensor,
        c: torch.Tensor | None = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> torch.Tensor:
        """Map z to ws, with w <- w_avg + psi (w - w_avg) on the rows below `truncation_cutoff` (all if None).

        Raises:
            UsageError: z or c of another shape than the config asks for.
        """
        x = torch.cat(self._inputs(z, c), dim=1)  # [N, z_dim (+ w_dim)]
        for k in range(self.config.num_mapping_layers):
            x = self.get_submodule(f"fc{k}")(x)
        ws = x[:, None].repeat(1, self.config.num_ws, 1)  # [N, num_ws, w_dim]
        return self.truncate(ws, truncation_psi, truncation_cutoff)

    def truncate(self, ws: torch.Tensor, psi: float, cutoff: int | None = None) -> torch.Tensor:
        """The truncation trick on ws [N, num_ws, w_dim]."""
        if psi == 1.0:
            return ws
        cutoff = ws.shape[1] if cutoff is None else cutoff
        near = self.w_avg + psi * (ws[:, :cutoff] - self.w_avg)
        return torch.cat([near, ws[:, cutoff:]], dim=1)

    def _inputs(self, z: torch.Tensor, c: torch.Tensor | None) -> list[torch.Tensor]:
        config = self.config
        if z.ndim != 2 or z.shape[1] != config.z_dim:
            raise UsageError(f"z has shape {list(z.shape)}: this network expects [N, {config.z_dim}]")
        inputs = [normalise(z)]
        if config.c_dim:
            if c is None or c.shape != (z.shape[0], config.c_dim):
                came = None if c is None else list(c.shape)
                raise UsageError(f"label c has shape {came}: this network expects [{z.shape[0]}, {config.c_dim}]")
            inputs.append(normalise(self.embed(c)))
        elif c is not None and c.shape[-1] != 0:
            raise UsageError(f"label c has shape {list(c.shape)}, but this network has no labels: leave c out")
        return inputs


def normalise(x: torch.Tensor) -> torch.Tensor:
    """The vectors x / sqrt(mean(x^2) + 1e-8), the mean over the last axis."""
    return x * (x.square().mean(-1, keepdim=True) + 1e-8).rsqrt()


class SynthesisBlock(nn.Module):
    """All layers of one resolution; has a constant input at 4 x 4 and upsamples its input at higher resolutions."""

    def __init__(self, config: GeneratorConfig, resolution: int, kernel: torch.Tensor) -> None:
        super().__init__()
        out, clamp = config.channels(resolution), config.conv_clamp
        last = resolution == config.resolution
        self.first = resolution == 4
        self.residual = config.architecture == "resnet" and not self.first
        self.register_buffer("kernel", kernel, persistent=False)
        if self.first:
            self.const = nn.Parameter(torch.empty(out, 4, 4))
        else:
            inner = config.channels(resolution // 2)
            self.conv0 = SynthesisLayer(inner, out, config.w_dim, resolution, kernel, up=2, conv_clamp=clamp)
            if self.residual:
                self.skip = UpConv1x1(inner, out, kernel)
        self.conv1 = SynthesisLayer(out, out, config.w_dim, resolution, kernel, conv_clamp=clamp)
        self.torgb: ToRGBLayer | None = None
        if last or config.architecture == "skip":
            self.torgb = ToRGBLayer(out, config.img_channels, config.w_dim, conv_clamp=clamp)
        self.num_convs = 1 if self.first else 2

    kernel: torch.Tensor

    def reset_parameters(self, generator: torch.Generator) -> None:
        if self.first:
            nn.init.normal_(self.const, generator=generator)

    def forward(
        self,
        x: torch.Tensor | None,
        img: torch.Tensor | None,
        ws: torch.Tensor,
        noise: Sequence[torch.Tensor | None],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Take ws [N, num_convs + 1, w_dim], one for each convolution and one for to-RGB; return features and image."""
        if x is None:
            x = self.const.expand(ws.shape[0], -1, -1, -1)  # [N, C, 4, 4]
            x = self.conv1(x, ws[:, 0], noise[0])
        elif self.residual:
            side = self.skip(x, gain=math.sqrt(0.5))
            x = self.conv0(x, ws[:, 0], noise[0])
            x = side + self.conv1(x, ws[:, 1], noise[1], gain=math.sqrt(0.5))
        else:
            x = self.conv0(x, ws[:, 0], noise[0])
            x = self.conv1(x, ws[:, 1], noise[1])
        assert x is not None
        if self.torgb is not None:
            img = self._add_rgb(img, self.torgb(x, ws[:, self.num_convs]))
        return x, img

    def _add_rgb(self, img: torch.Tensor | None, rgb: torch.Tensor) -> torch.Tensor:
        # the image is summed over all resolutions, so it stays in float32 whatever the precision of the convolutions
        rgb = rgb.to(torch.promote_types(rgb.dtype, torch.float32))
        if img is None:
            return rgb
        with without_autocast(img):
            return upsample2d(img, self.kernel) + rgb


class SynthesisNetwork(nn.Module):
    """ws [N, num_ws, w_dim] -> image [N, img_channels, R, R], nominally in [-1, 1], not clamped."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        kernel = make_filter(config.resample_filter)
        for resolution in config.resolutions:
            self.add_module(f"b{resolution}", SynthesisBlock(config, resolution, kernel))

    __call__: Callable[..., torch.Tensor]

    def forward(
        self,
        ws: torch.Tensor,
        noise_mode: str = "const",
        noise: Sequence[torch.Tensor] | None = None,
        generator: torch.Generator | None = None,
        resolution: int | None = None,
    ) -> torch.Tensor:
        """Synthesise the image of each latent in ws.

        Args:
            ws: [N, num_ws, w_dim].
            noise_mode: "const" (the stored maps), "none", or "random" (new maps from `generator`).
            noise: maps in layer order that replace the stored ones, each [N or 1, 1, r, r] or [r, r].
            generator: source of the random maps, on the device of ws; global random state is never used.
            resolution: stop at this resolution, which is an intermediate output of architecture "skip": [N, C, r, r].

        Raises:
            UsageError: ws or noise of the wrong shape, an unknown mode, "random" without a generator, a resolution
                that has no output.
        """
        config = self.config
        if ws.ndim != 3 or ws.shape[1:] != (config.num_ws, config.w_dim):
            expected = f"[N, {config.num_ws}, {config.w_dim}]"
            raise UsageError(f"ws has shape {list(ws.shape)}: this network expects {expected}")
        if resolution not in (None, *self.drawn):
            raise UsageError(f"this network has no output of side {resolution}, only of {self.drawn}")
        maps = self._noise_maps(ws, noise_mode, noise, generator)
        x: torch.Tensor | None = None
        img: torch.Tensor | None = None
        at = 0  # index of the first w, and of the first noise map, of the block
        for side in config.resolutions:
            block = self.get_submodule(f"b{side}")
            count = 1 if side == 4 else 2
            x, img = block(x, img, ws[:, at : at + count + 1], maps[at : at + count])
            at += count
            if side == resolution:
                break
        assert img is not None
        return img

    @property
    def drawn(self) -> tuple[int, ...]:
        """Sides of the intermediate images, ascending, with the full one last."""
        config = self.config
        return tuple(config.resolutions) if config.architecture == "skip" else (config.resolution,)

    def noise_layers(self) -> list[SynthesisLayer]:
        """The layers that take a noise map, in layer order: b4.conv1, b8.conv0, b8.conv1, ..."""
        return [module for module in self.modules() if isinstance(module, SynthesisLayer)]

    def noise_shapes(self) -> list[tuple[int, int]]:
        """(r, r) of each noise map, in layer order; there are num_ws - 1 of them."""
        return [(layer.resolution, layer.resolution) for layer in self.noise_layers()]

    def _noise_maps(
        self,
        ws: torch.Tensor,
        mode: str,
        noise: Sequence[torch.Tensor] | None,
        generator: torch.Generator | None,
    ) -> list[torch.Tensor | None]:
        layers = self.noise_layers()
        if mode not in NOISE_MODES:
            raise UsageError(f"noise_mode {mode!r} is unknown: use one of {', '.join(NOISE_MODES)}")
        if noise is not None:
            if mode != "const":
                raise UsageError(f"noise maps were given together with noise_mode={mode!r}: use noise_mode='const'")
            return [*_checked_maps(noise, self.noise_shapes(), ws)]
        if mode == "none":
            return [None] * len(layers)
        if mode == "const":
            return [layer.noise_const[None, None] for layer in layers]
        if generator is None:
            raise UsageError("noise_mode='random' needs a source: pass generator=torch.Generator().manual_seed(seed)")
        n = ws.shape[0]
        return [torch.randn(n, 1, *s, generator=generator, device=ws.device) for s in self.noise_shapes()]


def _checked_maps(
    noise: Sequence[torch.Tensor], shapes: Sequence[tuple[int, int]], ws: torch.Tensor
) -> list[torch.Tensor]:
    maps = [each[None, None] if each.ndim == 2 else each for each in noise]
    fits = len(maps) == len(shapes) and all(
        each.ndim == 4 and each.shape[0] in (1, ws.shape[0]) and each.shape[1:] == (1, *shape)
        for each, shape in zip(maps, shapes, strict=False)
    )
    if not fits:
        came = [list(each.shape) for each in noise]
        raise UsageError(f"noise maps have shapes {came}: expected [1 or {ws.shape[0]}, 1, r, r] with r, r = {shapes}")
    return maps


class Generator(nn.Module):
    """Mapping and synthesis together, filled with random weights from `seed`, or left unfilled for None.

    Call `mapping` and `synthesis` for the two halves, or the generator itself for z -> image. Follows its inputs'
    device; convolutions follow torch.autocast, styles and the image stay in float32.

    Attributes:
        base: fingerprint of the generator that this one was grown from, or None. Both have the same w, and W+ latents
            of the base, with their last row repeated (`extended`), are latents of this one.
    """

    base: str | None = None

    def __init__(self, config: GeneratorConfig, *, seed: int | None = 0) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = SynthesisNetwork(config)
        if seed is not None:
            initialise(self, seed)
        self._fingerprint: tuple[object, str] | None = None

    def forward(
        self,
        z: torch.Tensor,
        c: torch.Tensor | None = None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        noise_mode: str = "const",
        generator: torch.Generator | None = None,
    ) -> torch.Tensor:
        """Map z [N, z_dim] to images [N, img_channels, R, R]; the options are those of the two halves."""
        ws = self.mapping(z, c, truncation_psi, truncation_cutoff)
        return self.synthesis(ws, noise_mode=noise_mode, generator=generator)

    @property
    def w_avg(self) -> torch.Tensor:
        """Mean w [w_dim], the centre of truncation and the start of projection."""
        return self.mapping.w_avg

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the config and of every weight and noise map in float32; equal for equivalent networks.

        It is independent of the device and cached until the content of a tensor changes.
        """
        state = self.state_dict()
        key = (self.config, checksums(state.values()))
        if self._fingerprint is None or self._fingerprint[0] != key:
            self._fingerprint = (key, _digest(self.config, state))
        return self._fingerprint[1]


def _digest(config: GeneratorConfig, state: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    for name in sorted(state):
        values = state[name].detach().to("cpu", torch.float32).contiguous()
        digest.update(f"{name}{list(values.shape)}".encode())
        digest.update(values.numpy().tobytes())
    return digest.hexdigest()
