"""The free-view talking head, measured beside the other engines of `animate`, and its streams beside H.264.

    python benchmarks/vid2vid.py --faces FACES --rigged DIR --lpips lpips_squeeze.npz --clips 20 --sheet sheet.png

A clip is a held-out person's photo and pictures of that person driven by the head model, whose pose is known. Same
person: the source is the photo, and the driver's frames are to come out. Across people: the driver is the next person,
and the head has to turn by as much as the driver's does. Every engine sees pictures alone.

Pose: mean absolute error of yaw, pitch and roll in degrees, by a head fitted to the result (the floor is that error in
the true pictures). AKD: mean distance of 68 landmarks between result and truth in pixels of 256. Identity: distance of
unit embeddings to the photo's. The rigged pictures were made by the head engine's own model, which favours that engine.

Streams (`--streams`): bits a frame of a keypoint stream without its picture, the LPIPS of what is rendered from it, and
the bits a frame, without the first, that x264 needs for the same LPIPS.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from latentface import api, hub, metrics
from latentface.arrays import Float64Array, Pixels
from latentface.errors import InputError, NoFaceFound
from latentface.faces import alignment
from latentface.head.fit import HeadFit
from latentface.io.clip import Clip
from latentface.io.images import read_image, to_tensor, write_image
from latentface.io.provenance import COMPOSITE
from latentface.motion import head_stream
from latentface.networks.lpips import SqueezeLpips
from latentface.options.clips import AnimateOptions
from latentface.synthface.portrait_sources import is_trusted, read_faces
from latentface.synthface.portraits import fit_faces
from latentface.training.data import load_shards
from latentface.training.vid2vid import HELD_OUT
from latentface.training.vid2vid_data import KEYS, LIGHT

ENGINES = ("vid2vid", "motion", "head")
FRAMES = 3  # driven pictures of each person
RATE = Fraction(25)


@dataclass(frozen=True)
class Person:
    """A photo, uint8 [256, 256, 3], its pose, driven pictures of the person, and their poses."""

    photo: Pixels
    pose: Float64Array
    driven: list[Pixels]
    poses: list[Float64Array]

    @property
    def clip(self) -> Clip:
        """The photo and the driven pictures, as a driver."""
        return Clip.of([self.photo, *self.driven], RATE, (self.photo.shape[1], self.photo.shape[0]))


def read_people(faces: Path, rigged: Path, count: int) -> list[Person]:
    """Held-out people with enough driven pictures under the light of their photo."""
    sources = read_faces(faces)
    fits = fit_faces(sources, rigged / "fits.jsonl")
    held = {face.name: face for face in sources if is_trusted(face, fits[face.name]) and face.person % HELD_OUT == 0}
    shards = load_shards(rigged, KEYS)
    steady = np.abs(shards["light"].astype(float)).sum(1) <= LIGHT
    people = []
    for name, face in held.items():
        rows = np.flatnonzero((shards["name"] == name) & steady)[:FRAMES]
        fit = fits[name]
        if len(rows) == FRAMES and fit is not None and len(people) < count:
            poses = [shards["pose"][k].astype(np.float64) for k in rows]
            pictures = [shards["images"][k].astype(np.uint8) for k in rows]
            people.append(Person(read_image(face.path), np.array(fit.pose), pictures, poses))
    return people


def animate(engine: str, source: Pixels, driver: Clip, network: str) -> list[Pixels]:
    """The driven frames by an engine; the unmoved source where it finds no face."""
    options = AnimateOptions(engine=engine, best_frame=False, smooth=0.0)
    try:
        model = api.load_engine(engine, network if engine == "vid2vid" else None)
        made = api.animate(source, driver, model, options).clip
        return [frame.pixels for frame in made][1:]
    except (NoFaceFound, InputError):
        return [source] * FRAMES


def fitted(picture: Pixels) -> HeadFit | None:
    try:
        return api.fit_head(api.align(picture)[0], picture)
    except InputError:
        return None


def pose_error(picture: Pixels, wanted: Float64Array) -> float:
    fit = fitted(picture)
    return float("nan") if fit is None else float(np.abs(np.array(fit.pose) - wanted).mean())


@torch.inference_mode()
def compare(made: Pixels, truth: Pixels | None, photo: Pixels, lpips: SqueezeLpips) -> list[float]:
    """Identity, AKD, PSNR and LPIPS; the last three need the truth. Not numbers where no face is found."""
    try:
        return _compare(made, truth, photo, lpips)
    except NoFaceFound:
        return [float("nan")] * (1 if truth is None else 4)


def _compare(made: Pixels, truth: Pixels | None, photo: Pixels, lpips: SqueezeLpips) -> list[float]:
    crops = [alignment.align(picture, size=128, landmarks=api.landmark_predictor()) for picture in (made, photo)]
    codes = hub.embed_faces(np.stack([found[0].image for found in crops]))
    row = [float(np.linalg.norm(codes[0] - codes[1]))]
    if truth is None:
        return row
    marks = [
        alignment.align(picture, size=128, landmarks=api.landmark_predictor())[0].landmarks for picture in (made, truth)
    ]
    a, b = to_tensor(made), to_tensor(truth)
    akd = float(np.linalg.norm(marks[0] - marks[1], axis=1).mean()) * 256 / truth.shape[0]
    return [*row, akd, float(metrics.psnr(a, b)), float(metrics.lpips(lpips, a, b))]


def measure(people: list[Person], network: str, lpips: SqueezeLpips, sheet: Path | None) -> None:
    """Print both tables, and write pictures of the first people."""
    rows: dict[tuple[str, str], list[list[float]]] = {}
    panels = []
    for k, person in enumerate(people):
        other = people[(k + 1) % len(people)]
        same = {"truth": person.driven} | {name: animate(name, person.photo, person.clip, network) for name in ENGINES}
        cross = {name: animate(name, person.photo, other.clip, network) for name in ENGINES}
        for name, frames in same.items():
            for made, truth, pose in zip(frames, person.driven, person.poses, strict=True):
                row = [pose_error(made, pose), *compare(made, truth, person.photo, lpips)]
                rows.setdefault(("same person", name), []).append(row)
        for name, frames in cross.items():
            for made, pose in zip(frames, other.poses, strict=True):
                row = [pose_error(made, person.pose + pose - other.pose), *compare(made, None, person.photo, lpips)]
                rows.setdefault(("across people", name), []).append(row)
        columns = [person.photo, *(frames[-1] for frames in same.values())]
        panels.append(np.concatenate([*columns, other.driven[-1], *(frames[-1] for frames in cross.values())], axis=1))
        print(f"{k + 1} of {len(people)}", flush=True)
    print(f"{len(people)} clips, {FRAMES} frames of each\n{'':32}    pose  identity  AKD  PSNR  LPIPS")
    for (what, name), values in rows.items():
        missing = int(np.isnan(np.array(values)).any(axis=1).sum())
        print(
            f"{what}, {name:16}"
            + "".join(f"{value:9.3f}" for value in np.nanmean(values, axis=0))
            + f"  {missing} without a face"
        )
    if sheet:
        write_image(sheet, np.concatenate(panels), source_type=COMPOSITE)


def x264(frames: list[Pixels], crf: int) -> tuple[float, list[Pixels]]:
    """Bits a frame without the first (in the packets), and the decoded frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=RATE, options={"crf": str(crf), "preset": "slow"})
            stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
        with av.open(str(path)) as container:
            sizes = sorted((packet.pts, packet.size) for packet in container.demux(video=0) if packet.size)
        with av.open(str(path)) as container:
            decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return 8 * sum(size for _, size in sizes[1:]) / (len(frames) - 1), decoded


def measure_streams(clips: list[Path], network: str, lpips: SqueezeLpips, most: int) -> None:
    """Print bits a frame and LPIPS of streams, and of H.264 from small to large."""
    model, landmarks = api.load_talking_head(network), api.landmark_predictor()
    from latentface.io.video import read_clip

    def distance(made: list[Pixels], truth: list[Pixels]) -> float:
        pairs = zip(made[1:], truth[1:], strict=True)
        return float(np.mean([float(metrics.lpips(lpips, to_tensor(a), to_tensor(b))) for a, b in pairs]))

    for path in clips:
        truth = [frame.pixels[..., :3] for frame, _ in zip(read_clip(path), range(most), strict=False)]
        clip = Clip.of(truth, RATE, (truth[0].shape[1], truth[0].shape[0]))
        print(f"{path.name}: the first frame alone, LPIPS {distance([truth[0]] * len(truth), truth):.4f}")
        for precision in (1.0, 4.0):
            content = head_stream.to_bytes(head_stream.pack_clip(clip, model, landmarks, precision))
            made = [frame.pixels for frame in head_stream.play(head_stream.from_bytes(content), model)]
            bits = 8 * head_stream.payload_size(content) / len(truth)
            found = distance(made, truth)
            print(f"{path.name}: stream, precision {precision}: {bits:.0f} bits a frame, LPIPS {found:.4f}", flush=True)
        for crf in (51, 47, 43, 39, 35, 31, 27):
            bits, made = x264(truth, crf)
            print(
                f"{path.name}: H.264, crf {crf}: {bits:.0f} bits a frame, LPIPS {distance(made, truth):.4f}", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, help="folder of photos (see synthface.portrait_sources)")
    parser.add_argument("--rigged", type=Path, help="folder of rigged pictures of them, with fits.jsonl")
    parser.add_argument("--lpips", type=Path, required=True, help="SqueezeNet LPIPS weights, .npz")
    parser.add_argument("--network", default="vid2vid", help="free-view talking head: built-in name or file")
    parser.add_argument("--clips", type=int, default=50, help="people to measure")
    parser.add_argument("--sheet", type=Path, help="contact sheet: photo, truth, engines; driver, engines")
    parser.add_argument("--streams", type=Path, nargs="+", help="clips of talking heads to pack")
    parser.add_argument("--frames", type=int, default=75, help="of each of these clips")
    given = parser.parse_args()
    torch.set_num_threads(1)
    lpips = SqueezeLpips(given.lpips)
    if given.streams:
        measure_streams(given.streams, given.network, lpips, given.frames)
    elif given.faces and given.rigged:
        measure(read_people(given.faces, given.rigged, given.clips), given.network, lpips, given.sheet)
    else:
        parser.error("nothing to measure: give --faces and --rigged, or --streams")


if __name__ == "__main__":
    main()
