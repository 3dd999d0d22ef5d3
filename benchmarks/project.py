"""Projection quality and time: `python benchmarks/project.py --photos DIR [--lpips FILE.npz] [--sheet FILE.png]`.

Every photo of the folder is aligned and projected alone with the default options, unless flags say otherwise. Prints,
for each photo and as means, seconds of projection, the built-in distance, PSNR, SSIM and (with the SqueezeNet LPIPS
weights) LPIPS between crop and reconstruction, the P-norm of the latent (about 1 for latents the mapping makes) and
the verdict. The sheet shows crops above reconstructions.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentface import api, metrics, pretrained, projector
from latentface.errors import NoFaceFound
from latentface.images import list_photos, read_image, to_tensor, write_image
from latentface.inversion import measure_w
from latentface.networks.perceptual import SqueezeLpips
from latentface.options import ProjectOptions


def parse() -> tuple[argparse.Namespace, ProjectOptions]:
    """The command line; every field of ProjectOptions is a flag."""
    parser = argparse.ArgumentParser(description="Project photos and measure how close the reconstructions come.")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--network", default="synthface-128")
    parser.add_argument("--perceptual", default="perceptual", help="built-in name or file of the distance")
    parser.add_argument("--landmarks", default="builtin", help="builtin, dlib68 or a .dat file")
    parser.add_argument("--lpips", type=Path, help="SqueezeNet LPIPS weights, .npz")
    parser.add_argument("--sheet", type=Path, help="contact sheet to write")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--limit", type=int, help="only the first photos")
    for field in fields(ProjectOptions):
        kind: Any = type(field.default)
        convert = (lambda text: text.lower() in ("1", "true", "yes")) if kind is bool else kind
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=convert, default=field.default)
    given = parser.parse_args()
    return given, ProjectOptions(**{field.name: getattr(given, field.name) for field in fields(ProjectOptions)})


def main() -> None:
    given, options = parse()
    if given.threads:
        torch.set_num_threads(given.threads)
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
        found = projector.project(crop, generator, options, distance=distance)
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
            write_image(given.sheet, np.concatenate(columns, axis=1))


def line(row: list[float]) -> str:
    """One row of the table."""
    seconds, distance, psnr, ssim, lpips, norm = row
    return f"{seconds:9.1f}{distance:10.4f}{psnr:8.2f}{ssim:8.3f}{lpips:8.3f}{norm:8.2f}"


if __name__ == "__main__":
    main()
