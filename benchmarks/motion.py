"""Motion transfer, measured: `python benchmarks/motion.py --heads heads.npz --lpips lpips_squeeze.npz`.

On 50 rendered clips of people and motions that no training saw (seeds from 1,000,000): frame 0 is the source, four
later frames are to be made. Same head: the driver is the source's own clip. Cross-head: the driver is another person
who makes the same motion, and the truth is the source's person making it, which only renders can show. Against the
unmoved source, and against a warp of the source, affine in each triangle, that brings its 68 landmarks to the driver's
(cross-head: as far as the driver's have moved, in inter-ocular distances). Every method sees pictures alone.

L1 is of values in 0..1; AKD the mean distance of 68 landmarks between result and truth, found by the same predictor in
both, in pixels of a picture 256 wide (the warp is made with the built-in one; `--judge dlib68` takes another to judge);
AED the mean distance of identity embeddings of unit length; MS-SSIM has three scales, since five do not fit 128 pixels.
`--speed` measures time a frame instead, with random vox-256 weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latentface import api, metrics, pretrained
from latentface.arrays import Float64Array, Pixels
from latentface.compositing.warping import warp_piecewise
from latentface.faces import alignment
from latentface.faces.alignment import sample_quad
from latentface.faces.crop import ffhq_quad, inter_ocular
from latentface.faces.presence import best_face
from latentface.io.images import to_tensor, to_uint8, write_image
from latentface.io.provenance import COMPOSITE
from latentface.motion.driver import Retargeting
from latentface.networks.lpips import SqueezeLpips
from latentface.networks.motion import Encoded, MotionConfig, MotionModel
from latentface.networks.motion.inference import fold
from latentface.networks.precision import convolving
from latentface.options.clips import AnimateOptions

FIRST_SEED, CLIPS, FRAMES, SHOWN = 1_000_000, 50, 9, (2, 4, 6, 8)
COLUMNS = ("L1", "AKD", "AED", "PSNR", "SSIM", "MS-SSIM", "LPIPS")
MS_WEIGHTS = (0.0448, 0.2856, 0.3001)


@dataclass(frozen=True)
class Case:
    """A source picture, the driver's first and later frames, and what should come out; all uint8 [S, S, 3]."""

    source: Pixels
    first: Pixels
    driving: list[Pixels]
    truth: list[Pixels]


def render_clips(heads: Path, cache: Path | None) -> tuple[Pixels, Pixels]:
    """Frames [CLIPS, FRAMES, S, S, 3] of persons making their motions, and of the next persons making the same."""
    if cache and cache.exists():
        with np.load(cache) as arrays:
            return arrays["own"], arrays["other"]
    from latentface.synthface.clips import render_clip, sample_motion, sample_person
    from latentface.synthface.library import load_library
    from latentface.synthface.renderer import Renderer

    renderer = Renderer(load_library(heads), size=128)

    def render(person: int, motion: int) -> list[Pixels]:
        frames = render_clip(renderer, sample_person(renderer, person), sample_motion(motion, FRAMES))
        return [frame.image for frame in frames]

    seeds = range(FIRST_SEED, FIRST_SEED + CLIPS)
    own, other = (np.array([render(seed + shift, seed) for seed in seeds]) for shift in (0, CLIPS))
    if cache:
        np.savez(cache, own=own, other=other)
    return own, other


def cases(own: Pixels, other: Pixels, cross: bool) -> Iterator[Case]:
    for a, b in zip(own, other, strict=True):
        driver = b if cross else a
        yield Case(a[0], driver[0], [driver[k] for k in SHOWN], [a[k] for k in SHOWN])


def unmoved(case: Case) -> list[Pixels]:
    return [case.source] * len(case.driving)


def piecewise(case: Case, landmarks: alignment.LandmarkPredictor) -> list[Pixels]:
    """The landmark-driven warp; where a face is not found the source stays."""
    source, first = best_face(case.source, landmarks), best_face(case.first, landmarks)
    made = []
    for frame in case.driving:
        now = best_face(frame, landmarks)
        if source is None or first is None or now is None:
            made.append(case.source)
            continue
        moved = source + (now - first) * inter_ocular(source) / inter_ocular(first)
        made.append(warp_piecewise(case.source, source, moved))
    return made


@torch.inference_mode()
def by_model(case: Case, model: MotionModel, mode: str) -> list[Pixels]:
    source, first = to_tensor(case.source), to_tensor(case.first)
    at = model.keypoints(source)
    retarget = Retargeting(at, model.keypoints(first), AnimateOptions(mode=mode))
    encoded = model.encode(source)
    frames = [model.render(encoded, at, retarget(model.keypoints(to_tensor(f)))).prediction for f in case.driving]
    return list(to_uint8(torch.cat(frames)))


@dataclass
class Judge:
    """Compares a made frame with the truth in every column."""

    landmarks: alignment.LandmarkPredictor
    identity: torch.nn.Module
    lpips: SqueezeLpips | None

    @torch.inference_mode()
    def compare(self, made: Pixels, truth: Pixels) -> list[float]:
        a, b = to_tensor(made), to_tensor(truth)
        box = face_box(truth, self.landmarks)
        akd = aed = float("nan")
        if box is not None:
            points = [self.landmarks(picture, box)[0] for picture in (made, truth)]
            akd = float(np.linalg.norm(points[0] - points[1], axis=1).mean()) * 256 / truth.shape[0]
            quad = ffhq_quad(points[1])
            codes = [self.identity(to_tensor(sample_quad(picture, quad, 128))) for picture in (made, truth)]
            aed = float((codes[0] - codes[1]).norm())
        pair = [metrics.psnr(a, b), metrics.ssim(a, b), metrics.ms_ssim(a, b, weights=MS_WEIGHTS)]
        distance = float("nan") if self.lpips is None else float(metrics.lpips(self.lpips, a, b))
        return [float((a - b).abs().mean()) / 2, akd, aed, *map(float, pair), distance]


def face_box(picture: Pixels, landmarks: alignment.LandmarkPredictor) -> Float64Array | None:
    boxes, _ = alignment.detect_faces(picture)
    return boxes[:1] if len(boxes) else None


def measure(given: argparse.Namespace) -> None:
    own, other = render_clips(given.heads, given.clips)
    landmarks = api.landmark_predictor()
    judge = Judge(
        api.landmark_predictor(given.judge),
        pretrained.load_identity(),
        SqueezeLpips(given.lpips) if given.lpips else None,
    )
    model = fold(pretrained.load_motion(given.network))
    sheet = []
    for cross in (False, True):
        mode = "relative" if cross else "absolute"
        methods: dict[str, Callable[[Case], list[Pixels]]] = {
            "unmoved source": unmoved,
            "piecewise affine warp": lambda case: piecewise(case, landmarks),
            f"{given.network} ({mode})": lambda case, mode=mode: by_model(case, model, mode),
        }
        print(f"{'cross-head' if cross else 'same head'}: {CLIPS} clips, {len(SHOWN)} frames of each")
        print(f"{'':34}" + "".join(f"{name:>9}" for name in COLUMNS))
        for name, method in methods.items():
            rows = [
                judge.compare(made, truth)
                for case in cases(own, other, cross)
                for made, truth in zip(method(case), case.truth, strict=True)
            ]
            print(f"{name[-33:]:34}" + "".join(f"{value:9.4f}" for value in np.nanmean(rows, axis=0)), flush=True)
        for case in list(cases(own, other, cross))[:6]:
            columns = [[case.source, case.source], [case.driving[1], case.driving[3]], [case.truth[1], case.truth[3]]]
            columns += [[made[1], made[3]] for made in (method(case) for method in list(methods.values())[1:])]
            sheet.append(np.concatenate([np.concatenate(column, axis=1) for column in columns], axis=1))
    if given.sheet:
        write_image(given.sheet, np.concatenate(sheet), source_type=COMPOSITE)


def time_of(work: Callable[[], object], repeats: int, clock: Callable[[], float]) -> float:
    """The median of several runs in seconds, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        begin = clock()
        work()
        times.append(clock() - begin)
    return float(np.median(times))


@torch.inference_mode()
def speed(given: argparse.Namespace) -> None:
    """Time a frame, batch 1: keypoints of the driving frame and the drawing; then with the source's features as well.

    The original code computes those for every frame. With one thread on a CPU the processor's time counts, which other
    programs on the machine disturb less.
    """
    clock = time.process_time if given.threads == 1 and given.device == "cpu" else time.perf_counter
    torch.manual_seed(0)
    networks = {"vox-256 (random weights)": MotionModel(MotionConfig()).eval()}
    networks[given.network] = pretrained.load_motion(given.network)
    for name, network in networks.items():
        plain, folded = network.to(given.device), fold(network.to(given.device))
        for kind, model in (("plain", plain), ("folded", folded), ("folded, drawn in bfloat16", folded)):
            rough = "bfloat16" in kind
            side = model.config.resolution
            picture = torch.rand(1, 3, side, side, device=given.device) * 2 - 1
            at, encoded = model.keypoints(picture), model.encode(picture)

            def frame(
                source: Encoded | None = encoded, model: MotionModel = model, picture=picture, at=at, rough=rough
            ) -> None:
                there = model.keypoints(picture)
                with convolving(rough, torch.device(given.device)):
                    drawn = model.predict(source or model.encode(picture), at, there)
                model.compose(picture, drawn)[0, 0, 0, 0].item()  # waits for the device

            own, whole = (time_of(work, given.repeats, clock) for work in (frame, lambda frame=frame: frame(None)))
            print(
                f"{name}, {side} px, {kind}: {1000 * own:.1f} ms a frame ({1 / own:.1f} a second), "
                f"{1000 * whole:.1f} ms with the source's features"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="face-motion", help="built-in name or file")
    parser.add_argument("--heads", type=Path, help="made by latentface.synthface.build")
    parser.add_argument("--clips", type=Path, help=".npz that keeps the rendered clips from run to run")
    parser.add_argument("--judge", default="builtin", help="landmarks of AKD and AED: builtin, dlib68 or a .dat file")
    parser.add_argument("--lpips", type=Path, help="SqueezeNet LPIPS weights, .npz")
    parser.add_argument("--sheet", type=Path, help="contact sheet: source, driver, truth, warp, model")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.speed:
        speed(given)
    elif given.heads or given.clips:
        measure(given)
    else:
        parser.error("nothing to measure: give --heads FILE, or --speed")


if __name__ == "__main__":
    main()
