"""The pSp and e4e encoders: published names and shapes, numbers against plain torch, and what a file may hold."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from latentface.errors import UsageError
from latentface.networks.psp_encoder import PspConfig, PspEncoder, infer_config

State = dict[str, torch.Tensor]

#: Some of the 1024-pixel FFHQ encoders' tensors, without the prefix "encoder."; None: there is no such tensor.
PUBLISHED = {
    "input_layer.0.weight": (64, 3, 3, 3),
    "input_layer.1.running_var": (64,),
    "input_layer.2.weight": (64,),
    "body.0.res_layer.0.weight": (64,),
    "body.0.res_layer.1.weight": (64, 64, 3, 3),
    "body.0.res_layer.2.weight": (64,),
    "body.0.res_layer.4.num_batches_tracked": (),
    "body.0.res_layer.5.fc1.weight": (4, 64, 1, 1),
    "body.0.res_layer.5.fc2.weight": (64, 4, 1, 1),
    "body.0.shortcut_layer.0.weight": None,
    "body.3.shortcut_layer.0.weight": (128, 64, 1, 1),
    "body.3.shortcut_layer.1.running_mean": (128,),
    "body.4.shortcut_layer.0.weight": None,
    "body.7.res_layer.1.weight": (256, 128, 3, 3),
    "body.7.res_layer.3.weight": (256, 256, 3, 3),
    "body.21.res_layer.1.weight": (512, 256, 3, 3),
    "body.23.res_layer.5.fc1.weight": (32, 512, 1, 1),
    "body.24.res_layer.0.weight": None,
    "styles.0.convs.0.weight": (512, 512, 3, 3),
    "styles.2.convs.6.bias": (512,),
    "styles.2.convs.8.weight": None,
    "styles.3.convs.8.weight": (512, 512, 3, 3),
    "styles.6.convs.10.weight": None,
    "styles.7.convs.10.weight": (512, 512, 3, 3),
    "styles.17.convs.12.weight": None,
    "styles.17.linear.weight": (512, 512),
    "styles.17.linear.bias": (512,),
    "styles.18.linear.weight": None,
    "latlayer1.weight": (512, 256, 1, 1),
    "latlayer2.weight": (512, 128, 1, 1),
    "latlayer2.bias": (512,),
}  # fmt: skip
SMALL = PspConfig(num_ws=10, deltas=True, input_size=32, widths=(16, 32, 48, 64), units=(1, 2, 2, 1))


def random_state(config: PspConfig = SMALL, seed: int = 0) -> State:
    """Numbers for every tensor, near those that keep activations of unit size."""
    source = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = PspEncoder(config).state_dict()
    state = {}
    for name, value in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
            continue
        noise = torch.randn(value.shape, generator=source)
        state[name] = noise * (value[0].numel() ** -0.5 if value.ndim == 4 else 0.2)
        if name.endswith("running_var"):
            state[name] = 0.5 + noise.abs()
        elif value.ndim == 1 and name.endswith("weight"):
            state[name] += 1
    return state


def norm(x: torch.Tensor, state: State, name: str) -> torch.Tensor:
    """Batch normalisation with stored statistics, written out."""
    mean, var, weight, bias = (
        state[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias


def unit(x: torch.Tensor, state: State, name: str, stride: int) -> torch.Tensor:
    """A residual unit of the IR-SE backbone."""
    h = F.conv2d(norm(x, state, f"{name}.res_layer.0"), state[f"{name}.res_layer.1.weight"], padding=1)
    h = torch.where(h > 0, h, h * state[f"{name}.res_layer.2.weight"][:, None, None])
    h = norm(F.conv2d(h, state[f"{name}.res_layer.3.weight"], stride=stride, padding=1), state, f"{name}.res_layer.4")
    squeezed = torch.einsum("nchw,dc->nd", h, state[f"{name}.res_layer.5.fc1.weight"][..., 0, 0]) / h[0, 0].numel()
    gate = 1 / (1 + torch.exp(-squeezed.clamp(min=0) @ state[f"{name}.res_layer.5.fc2.weight"][..., 0, 0].T))
    side = x[:, :, ::stride, ::stride]
    if f"{name}.shortcut_layer.0.weight" in state:
        side = norm(F.conv2d(side, state[f"{name}.shortcut_layer.0.weight"]), state, f"{name}.shortcut_layer.1")
    return h * gate[:, :, None, None] + side


def head(x: torch.Tensor, state: State, row: int) -> torch.Tensor:
    index = 0
    while x.shape[-1] > 1:
        name = f"styles.{row}.convs.{index}"
        x = F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=2, padding=1)
        x, index = torch.maximum(x, 0.01 * x), index + 2
    weight = state[f"styles.{row}.linear.weight"]
    return x[..., 0, 0] @ weight.T / weight.shape[1] ** 0.5 + state[f"styles.{row}.linear.bias"]


def lateral(x: torch.Tensor, finer: torch.Tensor, state: State, name: str) -> torch.Tensor:
    up = F.interpolate(x, finer.shape[2:], mode="bilinear", align_corners=True)
    return up + F.conv2d(finer, state[f"{name}.weight"], state[f"{name}.bias"])


def reference(images: torch.Tensor, state: State, config: PspConfig) -> torch.Tensor:
    """pSp and e4e for pictures of the config's own size, from the papers."""
    x = norm(F.conv2d(images, state["input_layer.0.weight"], padding=1), state, "input_layer.1")
    x = torch.where(x > 0, x, x * state["input_layer.2.weight"][:, None, None])
    taps, number = [], 0
    for count in config.units:
        for position in range(count):
            x = unit(x, state, f"body.{number}", 1 if position else 2)
            number += 1
        taps.append(x)
    p3 = taps[3]
    p2 = lateral(p3, taps[2], state, "latlayer1")
    p1 = lateral(p2, taps[1], state, "latlayer2")
    rows = [head(p3 if row < 3 else p2 if row < 7 else p1, state, row) for row in range(config.num_ws)]
    if config.deltas:
        rows = [rows[0], *(rows[0] + delta for delta in rows[1:])]
    return torch.stack(rows, 1) + state["latent_avg"]


def build(config: PspConfig, state: State) -> PspEncoder:
    encoder = PspEncoder(config)
    encoder.load_state_dict(state)
    return encoder.eval().requires_grad_(False)


def test_names_and_shapes_are_the_published_ones() -> None:
    with torch.device("meta"):
        state = PspEncoder(PspConfig(num_ws=18, deltas=True)).state_dict()
    assert {name: tuple(state[name].shape) if name in state else None for name in PUBLISHED} == PUBLISHED
    assert len({name.split(".")[1] for name in state if name.startswith("body.")}) == 24


@pytest.mark.parametrize(
    "config", [PspConfig(18, True), PspConfig(14, False), SMALL], ids=["1024 px", "256 px", "small"]
)
def test_the_config_is_inferred(config: PspConfig) -> None:
    with torch.device("meta"):
        state = PspEncoder(config).state_dict()
    assert infer_config(state, config.deltas) == config


@pytest.mark.parametrize("deltas", [False, True])
def test_numbers_agree_with_plain_torch(deltas: bool) -> None:
    config, state = PspConfig(10, deltas, 32, SMALL.widths, SMALL.units), random_state()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    ws = build(config, state)(images)
    assert ws.shape == (2, 10, 64) and float((ws - state["latent_avg"]).std()) > 0.1
    torch.testing.assert_close(ws, reference(images, state, config), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("size", "factor"), [(64, 2), (128, 4)])
def test_larger_pictures_are_averaged(size: int, factor: int) -> None:
    encoder = build(SMALL, random_state())
    images = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(2)) * 2 - 1
    small = images.reshape(1, 3, 32, factor, 32, factor).mean((3, 5))
    torch.testing.assert_close(encoder(images), encoder(small), rtol=1e-4, atol=1e-4)
    assert encoder(images[..., :16, :16]).shape == (1, 10, 64)


def test_wrong_shapes_are_told() -> None:
    with pytest.raises(UsageError, match=r"\[N, 3, R, R\], got \[3, 32, 32\]"):
        build(SMALL, random_state())(torch.zeros(3, 32, 32))
