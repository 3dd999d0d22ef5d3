"""How fast a generator draws, against its bare convolutions: `python benchmarks/synthesis.py [--resolution R]`.

The bare convolutions are those of the same pass (F.conv2d and F.conv_transpose2d, channels_last, same dtype), timed
in the same run in turn with the drawing. Forward and backward to ws is compared with twice their time. Each figure is
the least processor time of the rounds; --ops reference measures plain torch instead of the fused operations.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from latentface import pretrained
from latentface.cli.memory import keep_memory
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.ops import native

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def bare_convolutions(generator: Generator, batch: int, dtype: torch.dtype) -> Callable[[], None]:
    """A function that runs every convolution of the synthesis network on inputs made beforehand."""
    calls = []

    def lay(*shape: int) -> torch.Tensor:
        return torch.randn(*shape).to(dtype).contiguous(memory_format=torch.channels_last)

    for name, module in generator.synthesis.named_modules():
        weight = getattr(module, "weight", None)
        if weight is None or weight.ndim != 4:
            continue
        out, inner, k, _ = weight.shape
        resolution, up = int(name.split(".")[0][1:]), getattr(module, "up", 1)
        side = resolution // 2 if up == 2 or name.endswith("skip") else resolution
        x = lay(batch, inner, side, side)
        if up == 2:
            calls.append((F.conv_transpose2d, x, lay(inner, out, k, k), {"stride": 2}))
        else:
            calls.append((F.conv2d, x, lay(out, inner, k, k), {"padding": k // 2}))

    def run() -> None:
        for function, x, weight, options in calls:
            function(x, weight, **options)

    return run


def measure(jobs: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """Least processor time of each job in seconds, all of them in turn."""
    best = dict.fromkeys(jobs, float("inf"))
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            began = time.process_time()
            job()
            if turn:  # the first turn warms up
                best[name] = min(best[name], time.process_time() - began)
    return best


def jobs_of(generator: Generator, batch: int, dtype: torch.dtype) -> dict[str, Callable[[], None]]:
    ws = torch.randn(batch, generator.config.num_ws, generator.config.w_dim, generator=torch.Generator().manual_seed(0))
    bare = bare_convolutions(generator, batch, dtype)

    def in_dtype(job: Callable[[], None], gradients: bool) -> Callable[[], None]:
        def run() -> None:
            with torch.set_grad_enabled(gradients), torch.autocast("cpu", torch.bfloat16, dtype == torch.bfloat16):
                job()

        return run

    def backward() -> None:
        with torch.autocast("cpu", torch.bfloat16, dtype == torch.bfloat16):
            loss = generator.synthesis(ws.requires_grad_()).square().mean()
        loss.backward()

    return {
        "convolutions": in_dtype(bare, False),
        "forward": in_dtype(lambda: generator.synthesis(ws), False),
        "both": backward,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Time a generator against its bare convolutions.")
    parser.add_argument("--network", help="a network instead of random weights of the published shape")
    parser.add_argument("--resolution", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ops", choices=native.CHOICES, default="auto")
    parser.add_argument("--give-back", action="store_true", help="let freed memory go back to the system each time")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES))
    given = parser.parse_args()
    if not given.give_back:
        keep_memory()
    config = GeneratorConfig(resolution=given.resolution)
    generator = pretrained.load_generator(given.network) if given.network else Generator(config)
    generator = generator.eval().requires_grad_(False)
    print(f"{generator.config.resolution} px, batch {given.batch}, {torch.get_num_threads()} threads, ops {given.ops}")
    with native.chosen(given.ops):
        for name in given.dtypes:
            best = measure(jobs_of(generator, given.batch, DTYPES[name]), given.rounds)
            bare = best["convolutions"]
            print(
                f"{name:>9}: convolutions {bare * 1e3:6.0f} ms   forward {best['forward'] * 1e3:6.0f} ms = "
                f"{best['forward'] / bare:.2f}x   forward + backward {best['both'] * 1e3:6.0f} ms = "
                f"{best['both'] / bare / 2:.2f}x of twice"
            )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
