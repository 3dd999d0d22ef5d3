"""`latentface animate --driving camera:...`: a camera moves the photo's face in real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from queue import Full, Queue
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from latentface import api
from latentface.arrays import Float64Array, Pixels
from latentface.cli.faces import find_faces
from latentface.cli.publishing import build_publisher
from latentface.cli.report import Report
from latentface.cli.who import ALL
from latentface.errors import InputError, UsageError
from latentface.faces.crop import pick_face
from latentface.faces.presence import best_face
from latentface.faces.square import Square
from latentface.io import video
from latentface.io.camera import Camera
from latentface.io.clip import Clip, Frame
from latentface.io.colour import srgb
from latentface.io.images import read_photo
from latentface.motion import calibration
from latentface.motion.driver import keypoints_of
from latentface.networks.motion import MotionModel
from latentface.options.clips import AnimateOptions

if TYPE_CHECKING:
    from latentface.networks.vid2vid import Vid2VidModel
    from latentface.provenance.publish import Publisher

Viewer = Callable[["Pixels"], bool]  # shows a picture; False if the window was closed
STEADY = 3  # consecutive frames that must match before it starts
BEHIND = 200  # frames that the recording may lag behind; then the camera waits for it


def animate_live(report: Report, source: Path, camera: str, options: AnimateOptions, flags: dict[str, Any]) -> None:
    """Run until the camera ends, the window is closed, the time is up or Ctrl-C; recordings are marked and signed."""
    publisher = build_publisher(report, "animate", flags, [source], asdict(options))
    photo = replace(srgb(read_photo(source)), alpha=None)
    model = api.load_engine(options.engine, flags["network"], flags["device"])
    photo, found = find_faces(source, photo, flags["landmarks"], report)
    if flags["face"] == ALL:
        raise UsageError("live, one face moves at a time; say which with --who")
    faces = [pick_face(found, flags["face"], str(source))]
    if options.mode == "relative":
        options = replace(options, best_frame=False)  # the frames of a camera cannot be inspected in advance
    with ExitStack() as stack:
        viewers = _viewers(report, stack, flags, photo.rgb.shape[1::-1])
        if not viewers and flags["output"] is None:
            raise UsageError("live, but there is no window to show the result in; give -o FILE or --virtual-camera")
        device = stack.enter_context(Camera(camera))
        session = _Session(device, viewers, flags["seconds"], flags["landmarks"])
        clip = device.clip()
        if flags["calibrate"]:
            sight = _sight(photo.rgb, faces[0].landmarks, model, options.crop)
            clip = replace(clip, frames=session.calibrate(clip, sight, model, options))
        else:
            clip = replace(clip, frames=session.wait_for_face(clip))
        still = [face for face in found if face is not faces[0]]
        animation = api.animate(
            photo, clip, model, options, faces=faces, still=still, landmarks=flags["landmarks"],
            driver_face=flags["driving_face"],
        )  # fmt: skip
        shown = session.show(animation.clip)
        if flags["output"] is None:
            for _ in shown:
                pass
        else:
            _record(flags["output"], animation.clip, shown, publisher)
    figures = session.figures()
    report.say(
        f"{figures['frames']} frames, {figures['frames_per_second']:.1f} a second, {figures['dropped']} missed; "
        f"camera to screen {1000 * figures['latency_mean']:.0f} ms, 95 % under {1000 * figures['latency_95']:.0f} ms"
    )
    report.result(
        {
            "command": "animate", "live": True, "source": str(source), "driving": camera, "engine": options.engine,
            "network": api.engine_network(options.engine, flags["network"]),
            "output": None if flags["output"] is None else str(flags["output"]), **figures,
            "missing": animation.report.missing, "exit_code": 0,
        }
    )  # fmt: skip


def _record(path: Path, clip: Clip, shown: Iterator[Frame], publisher: Publisher) -> None:
    """Show frames while a thread marks and writes them, since what is shown must not wait for that."""
    frames: Queue[Frame | BaseException | None] = Queue(BEHIND)

    def queued() -> Iterator[Frame]:
        while (frame := frames.get()) is not None:
            if isinstance(frame, BaseException):
                raise frame
            yield frame

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(lambda: video.write_clip(path, publisher.clip(replace(clip, frames=queued()))))
        try:
            for frame in shown:
                _put(frames, frame, writing)
            _put(frames, None, writing)
        except BaseException as error:  # nothing is written then
            _put(frames, error, writing)
            raise
        writing.result()
    publisher.sign(path, clip.source_type)


def _put(
    frames: Queue[Frame | BaseException | None], item: Frame | BaseException | None, writing: Future[video.Written]
) -> None:
    """Queue an item, unless the writing has failed; its error is raised in the end."""
    while not writing.done():
        with suppress(Full):
            frames.put(item, timeout=1)
            return


class _Session:
    """Passes frames on to the viewers and records their latency."""

    def __init__(self, camera: Camera, viewers: list[Viewer], seconds: float | None, landmarks: str) -> None:
        self.camera, self.viewers, self.landmarks = camera, viewers, landmarks
        self.until = float("inf") if seconds is None else time.monotonic() + seconds
        self.ages: list[float] = []
        self.began, self.ended, self.missed_before, self.calibrated_after = 0.0, 0.0, 0, 0.0

    def calibrate(
        self, clip: Clip, source: calibration.Sight, model: MotionModel | Vid2VidModel | None, options: AnimateOptions
    ) -> Iterator[Frame]:
        """Show driver and source until they match, then pass on every frame."""
        frames, row, landmarks = iter(clip), 0, api.landmark_predictor(self.landmarks)
        began = time.monotonic()
        for frame in frames:
            points = best_face(frame.pixels, landmarks)
            if points is not None:
                sight = _sight(frame.pixels, points, model, options.driver_crop)
                view, done = calibration.compare_poses(sight, source)
                row = row + 1 if done else 0
                if not self._watch(view) or row == STEADY:
                    self.calibrated_after = time.monotonic() - began
                    yield frame
                    yield from frames
                    return
        raise InputError(f"camera {self.camera.source}: it ended before the poses matched; see --no-calibrate")

    def wait_for_face(self, clip: Clip) -> Iterator[Frame]:
        """The frames, starting with the first one that shows a face."""
        frames, landmarks = iter(clip), api.landmark_predictor()
        for frame in frames:
            if best_face(frame.pixels, landmarks) is not None:
                yield frame
                yield from frames
                return
        raise InputError(f"camera {self.camera.source}: it ended before a face was shown")

    def show(self, clip: Clip) -> Iterator[Frame]:
        with suppress(KeyboardInterrupt):  # the way to end it
            for frame in clip:
                going_on = self._watch(frame.pixels)
                self.ended = time.monotonic()
                if not self.ages:  # what passes before the first picture is none of the run's
                    self.began, self.missed_before = self.ended, self.camera.missed
                self.ages.append(self.camera.age(frame.time))
                yield frame
                if not going_on or time.monotonic() > self.until:
                    return

    def _watch(self, picture: Pixels) -> bool:
        return all([viewer(picture) for viewer in self.viewers])

    def figures(self) -> dict[str, float]:
        if not self.ages:
            raise InputError(f"camera {self.camera.source}: it ended before a face was shown")
        seconds, count = self.ended - self.began, len(self.ages)
        return {
            "frames": count, "seconds": round(seconds, 3),
            "frames_per_second": (count - 1) / seconds if count > 1 else 0.0,
            "dropped": self.camera.missed - self.missed_before,
            "latency_mean": float(np.mean(self.ages)), "latency_95": float(np.percentile(self.ages, 95)),
            "latency_max": float(np.max(self.ages)), "calibrated_after": round(self.calibrated_after, 3),
        }  # fmt: skip


def _sight(
    picture: Pixels, landmarks: Float64Array, model: MotionModel | Vid2VidModel | None, crop: float
) -> calibration.Sight:
    """The points shown on a face: the keypoints of the motion model, or landmarks with other engines."""
    square = Square.around(landmarks, crop * 1.1)
    if isinstance(model, MotionModel):
        points = keypoints_of(square.cut(picture), model).value[0].cpu().numpy()
    else:
        points = np.asarray((landmarks - (square.left, square.top) + 0.5) / square.side * 2 - 1, np.float32)
    return calibration.Sight(picture, landmarks, square, points)


def _viewers(report: Report, stack: ExitStack, flags: dict[str, Any], size: tuple[int, int]) -> list[Viewer]:
    """A window, and the virtual camera if requested."""
    viewers: list[Viewer] = []
    if flags["preview"]:
        try:
            import tkinter

            viewers.append(_window(stack, tkinter))
        except (ImportError, RuntimeError) as error:
            report.note(f"no preview window here ({error})")
    if flags["virtual_camera"]:
        viewers.append(_virtual_camera(stack, size))
    return viewers


def _window(stack: ExitStack, tkinter: ModuleType) -> Viewer:
    from PIL import Image, ImageTk

    try:
        root = tkinter.Tk()
    except tkinter.TclError as error:
        raise RuntimeError(str(error)) from error

    @stack.callback
    def close() -> None:
        with suppress(tkinter.TclError):  # the user closed it first
            root.destroy()

    root.title("latentface")
    label = tkinter.Label(root)
    label.pack()

    def show(picture: Pixels) -> bool:
        try:
            image = ImageTk.PhotoImage(Image.fromarray(picture))
            label.configure(image=image)
            label.image = image  # tkinter itself keeps no reference
            root.update()
        except tkinter.TclError:  # the window was closed
            return False
        return True

    return show


def _virtual_camera(stack: ExitStack, size: tuple[int, int]) -> Viewer:
    try:
        pyvirtualcam = import_module("pyvirtualcam")
    except ImportError as error:
        raise UsageError("--virtual-camera needs the package pyvirtualcam and a virtual camera") from error
    try:
        device = stack.enter_context(pyvirtualcam.Camera(width=size[0], height=size[1], fps=30))
    except RuntimeError as error:
        raise UsageError(f"no virtual camera here ({error})") from error

    def show(picture: Pixels) -> bool:
        if picture.shape[1::-1] == size:  # the calibration view has another size and stays in the window
            device.send(picture)
        return True

    return show
