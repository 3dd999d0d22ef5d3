"""Expression videos measured: `python benchmarks/video.py -o DIR [--count 210] [--minutes M] [--portraits FOLDER]`.

Each video starts from a face that the network draws from a seed (psi 0.7) and goes through two emotions that the seed
chooses; --portraits adds one video of each photo of a folder, measured in the finished frames, cropped around the face.
Beside each stands a linear cross-fade of the pixels between the same key pictures, at the same times.

Measured on all frames: Average Content Distance (mean L2 distance of the built-in identity network's embeddings) over
all pairs of frames (MoCoGAN's definition), over consecutive frames, and between the first frame and each other one; the
identity cosine to the first frame; the landmarks' mean acceleration in inter-ocular distances per second squared; the
share of held frames to which the emotion classifier gives the emotion of the script; and how sharp the frames between
held emotions are, as the share of the held frames' gradients that they keep.

DIR/rows.jsonl holds a line for each video and method: a run goes on where the last one stopped. Strips of the first
videos, and of the photos, lie beside it. Prints a Markdown table, mean and 95 % interval. --speed measures frames a
second by processor time.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentface import api, metrics
from latentface.arrays import Pixels
from latentface.cli.panels import contact_sheet
from latentface.editing.expression_video import Performance, perform
from latentface.editing.inverted_face import Face, FaceFinder
from latentface.emotion import Emotion, EmotionSegment, EmotionSequence
from latentface.emotions.sequencer import frame_times
from latentface.faces.alignment import crop_face
from latentface.faces.expression_measures import crop_landmarks
from latentface.io.clip import Clip
from latentface.io.images import list_photos, to_tensor, write_image
from latentface.io.provenance import COMPOSITE
from latentface.io.video import write_clip
from latentface.latents.latent import Latent
from latentface.options.clips import SequenceOptions, VideoOptions
from latentface.pretrained import load_emotion, load_identity, load_landmarks

FPS, SECONDS = 10, 0.8  # seconds for each of the two emotions: 16 frames a video
OPTIONS = SequenceOptions(hold=0.5, blinks=0.0, sway=0.0)
METHODS = ("latent", "cross-fade")
COLUMNS = ("ACD, all pairs", "ACD, consecutive", "ACD, to the first", "cosine", "acceleration", "hits %", "sharpness %")
SHOWN = 8


def script(seed: int) -> EmotionSequence:
    """Two different emotions out of seven."""
    chosen = np.random.default_rng(seed).permutation(len(Emotion))[:2]
    return EmotionSequence(tuple(EmotionSegment(list(Emotion)[k], 1.0, SECONDS) for k in chosen))


class Bench:
    """The networks, and what they say of the frames of a video."""

    def __init__(self, network: str) -> None:
        self.generator = api.load_generator(network)
        self.identity, self.emotion, self.landmarks = load_identity(), load_emotion(), load_landmarks()

    def sampled(self, count: int) -> Iterator[tuple[str, Performance]]:
        for seed in range(count):
            latent = Latent(api.sample_ws(self.generator, seed, 0.7)[0].cpu(), self.generator.fingerprint)
            yield f"seed {seed}", self.shown(Face(latent), seed)

    def photos(self, folder: Path) -> Iterator[tuple[str, Performance]]:
        finder = FaceFinder(self.generator)
        for number, path in enumerate(list_photos(folder)):
            yield path.name, self.shown(finder.face(path), number)

    def shown(self, face: Face, seed: int) -> Performance:
        return perform(face, script(seed), self.generator, OPTIONS, VideoOptions(fps=str(FPS), batch=16))

    def frames(self, shown: Performance) -> Pixels:
        """uint8 [T, S, S, 3]: the face in every frame."""
        pictures = [frame.pixels for frame in shown]
        if shown.placer is not None:
            pictures = [crop_face(picture, shown.placer.crop.landmarks, 256).image for picture in pictures]
        return np.stack(pictures)

    def judged(self, frames: Pixels, shown: Performance) -> list[float]:
        """The columns of the table."""
        crops = to_tensor(frames)
        with torch.no_grad():
            embeddings, points = self.identity(crops), crop_landmarks(self.landmarks, crops)
            named = self.emotion(crops).argmax(1).numpy()
        wanted, held = told(shown)
        gradients = np.abs(np.diff(frames.astype(np.float32), axis=1)).mean(axis=(1, 2, 3))
        distances = [float(metrics.content_distance(embeddings, pairs)) for pairs in ("all", "consecutive", "first")]
        return [
            *distances, float((embeddings[1:] @ embeddings[0]).mean()), float(metrics.landmark_roughness(points, FPS)),
            100 * float((named == wanted)[held].mean()), 100 * float(gradients[~held].mean() / gradients[held].mean()),
        ]  # fmt: skip


def told(shown: Performance) -> tuple[np.ndarray, np.ndarray]:
    """For each frame the emotion that the script has there, and whether it is held."""
    timeline = shown.sequencer.timeline
    left, _ = timeline.between(frame_times(timeline.seconds, shown.count))
    held = (timeline.weights[left] == timeline.weights[left + 1]).all(1)
    return timeline.weights[left].argmax(1), held


def cross_fade(frames: Pixels, shown: Performance) -> Pixels:
    """The same clip with the pixels of the nearest held frames mixed in place of drawn ones."""
    held = np.flatnonzero(told(shown)[1] | (np.arange(len(frames)) == 0))
    right = np.searchsorted(held, np.arange(len(frames))).clip(0, len(held) - 1)
    left = np.where(held[right] == np.arange(len(frames)), right, right - 1)
    gap = np.maximum(held[right] - held[left], 1)
    way = ((np.arange(len(frames)) - held[left]) / gap)[:, None, None, None]
    return np.asarray(((1 - way) * frames[held[left]] + way * frames[held[right]]).round(), np.uint8)


def measure(given: argparse.Namespace) -> None:
    """Every video that is not in rows.jsonl yet, then the table."""
    bench, log, began = Bench(given.network), given.output / "rows.jsonl", time.monotonic()
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    done = {row["video"] for row in lines}
    sources = [("drawn faces", bench.sampled(given.count))]
    if given.portraits:
        sources.append(("photos", bench.photos(given.portraits)))
    with log.open("a") as stream:
        for kind, videos in sources:
            for name, shown in videos:
                if name in done:
                    continue
                frames = bench.frames(shown)
                for method, pictures in zip(METHODS, (frames, cross_fade(frames, shown)), strict=True):
                    row = {"video": name, "kind": kind, "method": method, "values": bench.judged(pictures, shown)}
                    lines.append(row)
                    print(json.dumps(row), file=stream, flush=True)
                    keep(given.output, name, method, pictures)
                if given.minutes and time.monotonic() - began > 60 * given.minutes:
                    return report(lines)
    report(lines)


def keep(folder: Path, name: str, method: str, pictures: Pixels) -> None:
    """A strip of every other frame of the first drawn faces and of the photos."""
    if not name.startswith("seed") or int(name.split()[1]) < SHOWN:
        strip = contact_sheet(list(pictures[::2]), None, len(pictures[::2]))
        write_image(folder / f"{Path(name).stem}-{method}.png", strip, source_type=COMPOSITE)


def report(lines: list[dict[str, Any]]) -> None:
    """Print the table."""
    print(f"| videos of | method | videos | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 3)}")
    for kind in dict.fromkeys(row["kind"] for row in lines):
        for method in METHODS:
            values = np.array([r["values"] for r in lines if (r["kind"], r["method"]) == (kind, method)])
            means, spread = values.mean(0), 1.96 * values.std(0) / np.sqrt(len(values))
            cells = [f"{mean:.3g} ± {half:.2g}" for mean, half in zip(means, spread, strict=True)]
            print(f"| {kind} | {method} | {len(values)} | {' | '.join(cells)} |")


def speed(given: argparse.Namespace) -> None:
    """Frames a second by the processor's time on one thread, encoding included, for the crop and for a photo."""
    torch.set_num_threads(1)
    bench = Bench(given.network)
    path = list_photos(given.portraits)[0]
    found = FaceFinder(bench.generator).face(path)
    for drawing in (VideoOptions(crop=True), VideoOptions(), VideoOptions(place="paste")):
        shown = perform(found, script(0), bench.generator, OPTIONS, drawing)
        best = min(_seconds(shown.clip, given.output / "speed.mp4") for _ in range(3))
        width, height = shown.clip.size
        kind = "crop" if drawing.crop else drawing.place
        print(f"{kind:6} {width} x {height}: {1000 * best:.1f} ms of processor a frame, {1 / best:.1f} frames a second")


def _seconds(clip: Clip, path: Path) -> float:
    began = time.process_time()
    frames = write_clip(path, clip).frames
    return (time.process_time() - began) / frames


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure expression videos.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for rows and strips")
    parser.add_argument("--network", default="synthface-128")
    parser.add_argument("--count", type=int, default=210, help="videos of drawn faces")
    parser.add_argument("--portraits", type=Path, help="also a video of each photo of this folder")
    parser.add_argument("--minutes", type=float, help="stop after the video that is under way then")
    parser.add_argument("--speed", action="store_true", help="measure time instead, on the first of --portraits")
    given = parser.parse_args()
    if given.speed and not given.portraits:
        parser.error("--speed needs --portraits")
    given.output.mkdir(parents=True, exist_ok=True)
    (speed if given.speed else measure)(given)


if __name__ == "__main__":
    main()
