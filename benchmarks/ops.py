"""The fused operations against plain torch and against copying: `python benchmarks/ops.py [--side S] [--channels C]`.

Least processor time of some rounds, all variants in turn, and for each how many times a copy of the same bytes it
takes: 1.0 would be as fast as memory allows for an operation that reads and writes each value once.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from latentface.cli.memory import keep_memory
from latentface.ops import bias_act, make_filter, native, upfirdn2d, upsample2d

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def least(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least processor time of each job in seconds, all of them in turn; the first turn warms up."""
    best = dict.fromkeys(jobs, float("inf"))
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            began = time.process_time()
            job()
            if turn:
                best[name] = min(best[name], time.process_time() - began)
    return best


def operations(x: torch.Tensor) -> dict[str, Callable[[], object]]:
    channels, side = x.shape[1], x.shape[2]
    bias, noise = torch.randn(channels), torch.randn(1, 1, side, side)
    taps = make_filter((1.0, 3.0, 3.0, 1.0))
    small = x[:, :, : side // 2, : side // 2].contiguous(memory_format=native_format(x))
    learnt, grad = x.clone().requires_grad_(), torch.randn_like(x)

    def backward() -> None:
        y = bias_act(learnt, bias, noise=noise, gain=1.4)
        torch.autograd.grad(y, learnt, grad)

    return {
        "noise, bias, lrelu": lambda: bias_act(x, bias, noise=noise, gain=1.4),
        "the same and back": backward,
        "blur": lambda: upfirdn2d(x, taps, padding=(2, 1, 2, 1)),
        "2x up": lambda: upsample2d(small, taps),
        "2x down": lambda: upfirdn2d(x, taps, down=2, padding=(1, 1, 1, 1)),
    }


def native_format(x: torch.Tensor) -> torch.memory_format:
    return torch.channels_last if native.is_channels_last(x) else torch.contiguous_format


def chosen(choice: str, job: Callable[[], object]) -> Callable[[], object]:
    def run() -> None:
        with native.chosen(choice):
            job()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description="Time the fused operations.")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    given = parser.parse_args()
    keep_memory()
    shape = (1, given.channels, given.side, given.side)
    print(f"{list(shape)}, {torch.get_num_threads()} threads")
    for dtype in given.dtypes:
        for layout in given.layouts:
            x = torch.randn(shape).to(DTYPES[dtype]).contiguous(memory_format=LAYOUTS[layout])
            out = torch.empty_like(x)
            copy = least({"copy": lambda out=out, x=x: out.copy_(x)}, given.rounds)["copy"]
            print(f"{dtype}, {layout}: a copy takes {copy * 1e3:.1f} ms")
            for name, job in operations(x).items():
                best = least({c: chosen(c, job) for c in ("native", "reference")}, given.rounds)
                mine, plain = best["native"], best["reference"]
                print(
                    f"  {name:<20} {mine * 1e3:7.1f} ms = {mine / copy:5.1f} copies   plain torch "
                    f"{plain * 1e3:7.1f} ms = {plain / copy:5.1f} copies   {plain / mine:4.1f}x"
                )


if __name__ == "__main__":
    main()
