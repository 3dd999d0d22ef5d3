"""Projection quality and time: `python benchmarks/project.py --photos DIR [--lpips FILE.npz] [--sheet FILE.png]`.

Every photo of the folder is aligned and projected alone with the default options, unless flags say otherwise. Prints,
for each photo and as means, seconds of projection, the built-in distance, PSNR, SSIM and (with the SqueezeNet LPIPS
weights) LPIPS between crop and reconstruction, the P-norm of the latent (about 1 for latents the mapping makes) and
the verdict. The sheet shows crops above reconstructions.

--race asks how soon. The photos are projected together by the classic recipe (Karras et al. 2020: from the mean, 1000
steps of Adam at 0.1 with ramps and noise maps, perceptual distance alone, float32; in W+, which reaches more than
their W), by the default in ever more steps, until it is as near by LPIPS, and by 50 steps of it with ever more of pivot
tuning. Seconds are the processor's, one thread, so that other programs count little. --random SIDE races on a network
of random weights (config-f) and a target drawn by it.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentface import api, hub, metrics, pretrained
from latentface.errors import NoFaceFound
from latentface.inversion import projector
from latentface.inversion.search import measure_w, shrink
from latentface.io.images import list_photos, read_image, to_tensor, to_uint8, write_image
from latentface.io.provenance import COMPOSITE
from latentface.networks.generator import Generator, GeneratorConfig
from latentface.networks.lpips import SqueezeLpips
from latentface.options.projection import ProjectOptions

CLASSIC = ProjectOptions(
    start="mean",
    preconditioner="none",
    steps=1000,
    learning_rate=0.1,
    prior_regularise=0.0,
    pixel_weight=0.0,
    w_noise=0.05,
    coarse=0.0,
    optimise_noise=True,
    precision="float32",
)
TRIED = (10, 15, 20, 30, 45, 60, 90, 120, 180, 250, 400, 700, 1000)  # steps of the default
TUNED = {25: 0.001, 50: 0.002, 100: 0.004}  # steps of pivot tuning after BEFORE_TUNING of the default, and their rates
BEFORE_TUNING = 50


def race(given: argparse.Namespace) -> None:
    """Print LPIPS and processor seconds of the classic recipe, and of the default until it is as near."""
    lpips = SqueezeLpips(given.lpips)
    crops: list[Any]
    if given.random:
        generator = Generator(GeneratorConfig(resolution=given.random), seed=1).requires_grad_(False)
        with torch.no_grad():
            z = torch.randn(1, generator.config.z_dim, generator=torch.Generator().manual_seed(7))
            crops = [*to_uint8(generator.synthesis(generator.mapping(z)).clamp(-1, 1))]
    else:
        generator = api.load_generator(given.network)
        side = generator.config.resolution
        crops = [api.align(read_image(path), side)[0].image for path in list_photos(given.photos)[: given.limit]]
    truth = torch.cat([to_tensor(crop) for crop in crops])
    statistics = measure_w(generator)
    api.project(crops, generator, ProjectOptions(steps=2))  # loads and builds what there is

    def run(name: str, options: ProjectOptions) -> tuple[float, float]:
        began = time.process_time()
        found = api.project(crops, generator, options)
        seconds = (time.process_time() - began) / len(crops)
        drawn = torch.cat([to_tensor(each.image) for each in found])
        far = float(metrics.lpips(lpips, shrink(drawn), shrink(truth)).mean())
        norm = float(statistics.penalty(torch.stack([each.latent.ws for each in found])).mean())
        print(f"{name}: LPIPS {far:.4f}, {seconds:.1f} s a photo, P-norm {norm:.1f}", flush=True)
        return far, seconds

    tried = [steps for steps in TRIED if steps <= (given.most or TRIED[-1])]
    goal, long = run(f"classic, {given.classic} steps", replace(CLASSIC, steps=given.classic))
    searches = {f"default, {steps} steps": ProjectOptions(steps=steps) for steps in tried}
    tunings = {
        f"{BEFORE_TUNING} steps, {steps} of tuning": ProjectOptions(
            steps=BEFORE_TUNING, tune_steps=steps, tune_learning_rate=rate
        )
        for steps, rate in TUNED.items()
    }
    for contestants in (searches, tunings):
        for name, options in contestants.items():
            far, seconds = run(name, options)
            if far <= goal:
                print(f"as near {long / seconds:.1f} times sooner")
                break
        else:
            print("not as near")


def parse() -> tuple[argparse.Namespace, ProjectOptions]:
    """The command line; every field of ProjectOptions is a flag."""
    parser = argparse.ArgumentParser(description="Project photos and measure how close the reconstructions come.")
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--network", default="synthface-128")
    parser.add_argument("--perceptual", default="perceptual", help="built-in name or file of the distance")
    parser.add_argument("--landmarks", default="builtin", help="builtin, dlib68 or a .dat file")
    parser.add_argument("--lpips", type=Path, help="SqueezeNet LPIPS weights, .npz")
    parser.add_argument("--sheet", type=Path, help="contact sheet to write")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--race", action="store_true", help="how much sooner the default is as near as the classic")
    parser.add_argument("--random", type=int, help="race on random weights of this resolution, without photos")
    parser.add_argument("--classic", type=int, default=1000, help="steps of the classic recipe")
    parser.add_argument("--most", type=int, help="steps of the default at which the race is given up")
    parser.add_argument("--limit", type=int, help="only the first photos")
    for field in fields(ProjectOptions):
        kind: Any = type(field.default)
        convert = (lambda text: text.lower() in ("1", "true", "yes")) if kind is bool else kind
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=convert, default=field.default)
    given = parser.parse_args()
    if not (given.photos or (given.race and given.random)):
        parser.error("give --photos, or --race --random")
    return given, ProjectOptions(**{field.name: getattr(given, field.name) for field in fields(ProjectOptions)})


def main() -> None:
    given, options = parse()
    if given.threads:
        torch.set_num_threads(given.threads)
    if given.race:
        torch.set_num_threads(1)
        race(given)
        return
    generator = pretrained.load_generator(given.network)
    distance = pretrained.load_perceptual(given.perceptual)
    lpips = SqueezeLpips(given.lpips) if given.lpips else None
    statistics = measure_w(generator)
    columns: list[np.ndarray] = []
    rows: list[list[float]] = []
    print(f"{'photo':24}{'seconds':>9}{'distance':>10}{'PSNR':>8}{'SSIM':>8}{'LPIPS':>8}{'P-norm':>8}  verdict")
    for path in list_photos(given.photos)[: given.limit]:
        try:
            crop = api.align(read_image(path), generator.config.resolution, given.landmarks)[0]
        except NoFaceFound as error:
            print(f"{path.name:24} {error}")
            continue
        began = time.perf_counter()
        start = api.start_of(crop, generator, options.start)
        coordinates = hub.preconditioner(generator, options.preconditioner)
        found = projector.project(crop, generator, options, distance=distance, start=start, preconditioner=coordinates)
        seconds = time.perf_counter() - began
        a, b = to_tensor(found.image), to_tensor(crop.image)
        far = float(metrics.lpips(lpips, a, b)) if lpips else float("nan")
        norm = float(statistics.penalty(found.latent.ws[None]))
        row = [seconds, found.distance, float(metrics.psnr(a, b)), float(metrics.ssim(a, b)), far, norm]
        rows.append(row)
        columns.append(np.concatenate([crop.image, found.image]))
        print(f"{path.name:24}{line(row)}  {found.verdict}", flush=True)
    if rows:
        print(f"{f'mean of {len(rows)}':24}{line(np.mean(rows, axis=0).tolist())}")
        if given.sheet:
            write_image(given.sheet, np.concatenate(columns, axis=1), source_type=COMPOSITE)


def line(row: list[float]) -> str:
    """One row of the table."""
    seconds, distance, psnr, ssim, lpips, norm = row
    return f"{seconds:9.1f}{distance:10.4f}{psnr:8.2f}{ssim:8.3f}{lpips:8.3f}{norm:8.2f}"


if __name__ == "__main__":
    main()
