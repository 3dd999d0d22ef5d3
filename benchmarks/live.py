"""How fast a played camera moves a photo: `python benchmarks/live.py --source photo.jpg --driving clip.mp4`.

By processor time, which other programs disturb less than the clock: milliseconds a frame to follow the driver's face
and to render the photo's. Live, the next frame is followed by another process while two are rendered, so two cores show
as many frames a second as both times together allow. `--clock` also plays the clip as a camera through the command's
own loop, and reports what the clock says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from latentface import api, hub
from latentface.io.images import read_photo
from latentface.io.video import read_clip
from latentface.motion.animator import move_frame, with_alpha
from latentface.motion.head_driver import HeadDriver
from latentface.motion.head_engine import MovingHead
from latentface.motion.head_retargeting import HeadRetargeting
from latentface.options.clips import AnimateOptions

#: Stands in for the package, since no picture is to be shown.
NO_CAMERA = """
class Camera:
    def __init__(self, **options): pass
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def send(self, picture): pass
"""
FIRST = 4  # frames that are not counted, since the first ones prepare the photo


def stages(source: Path, driving: Path, count: int) -> dict[str, float]:
    """Milliseconds of processor time a frame, after the first ones."""
    photo, model, options = read_photo(source), hub.head_model(), AnimateOptions(best_frame=False)
    face = max(api.align(photo.rgb), key=lambda crop: crop.side)
    clip = read_clip(driving)
    clip = replace(clip, frames=list(islice(clip, count)), count=count)
    head = MovingHead(photo, face.landmarks, model, hub.mouth(), [], hub.finders())
    driver = HeadDriver(clip, model, hub.landmark_predictor(), options, face.landmarks)
    transfer, picture = HeadRetargeting(model, head.fit, driver.reference, options), with_alpha(photo)
    heads, times = iter(driver), []
    for _ in range(count):
        began = time.process_time()
        moment, motion = next(heads)
        seen = time.process_time()
        move_frame(picture, [head], [transfer], moment, [motion])
        times.append((seen - began, time.process_time() - seen))
    follow, render = 1000 * np.mean(times[FIRST:], axis=0)
    most = 2000 / (follow + render)
    return {
        "follow_ms": round(follow, 1), "render_ms": round(render, 1), "two_cores_frames_a_second": round(most, 1),
    }  # fmt: skip


def by_the_clock(source: Path, driving: Path) -> dict[str, float]:
    """What `latentface animate --driving camera:FILE` reports, shown by a virtual camera that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyvirtualcam.py").write_text(NO_CAMERA)
        words = ["animate", "--source", source, "--driving", f"camera:{driving}", "--virtual-camera"]
        done = subprocess.run(
            [sys.executable, "-m", "latentface", *map(str, words), "--no-preview", "--no-calibrate", "--json"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([folder, *sys.path])},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    told = json.loads(done.stdout)
    return {name: told[name] for name in ("frames", "dropped", "frames_per_second", "latency_mean", "latency_95")}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure live animation by the head engine.")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--driving", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--clock", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(json.dumps(stages(given.source, given.driving, given.frames)))
    if given.clock:
        print(json.dumps(by_the_clock(given.source, given.driving)))


if __name__ == "__main__":
    main()
