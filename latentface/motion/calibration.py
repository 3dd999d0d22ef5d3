"""The view for matching one's pose to the photo's: boxes, keypoints and the axes of both heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from latentface.arrays import Float32Array, Float64Array, Pixels
from latentface.faces.head_pose import HeadPose, head_pose
from latentface.faces.square import Square
from latentface.motion.driver import unlikeness

SOURCE, DRIVER, MATCHED = (64, 200, 255), (255, 160, 48), (80, 255, 96)
CLOSE_ANGLE = 12.0  # difference in degrees below which two poses match
CLOSE_SHAPE = 0.006  # `unlikeness` below which two faces match; two strangers differ by .002 to .025


@dataclass(frozen=True, eq=False)
class Sight:
    """A face for the overlay: picture, landmarks [68, 2], square, keypoints [K, 2] from -1 to 1 across the square."""

    picture: Pixels
    landmarks: Float64Array
    square: Square
    keypoints: Float32Array

    @property
    def pose(self) -> HeadPose:
        """The head's pose, from the landmarks."""
        return head_pose(self.landmarks)


def matches(driver: Sight, source: Sight) -> bool:
    """Whether the driver's pose and expression are close enough to the source's to start."""
    near = driver.pose.differs(source.pose) <= CLOSE_ANGLE
    return near and unlikeness(driver.landmarks, source.landmarks) <= CLOSE_SHAPE


def advice(driver: HeadPose, source: HeadPose) -> str:
    """The next instruction in words, for the angle with the largest difference."""
    off = {"yaw": driver.yaw - source.yaw, "pitch": driver.pitch - source.pitch, "roll": driver.roll - source.roll}
    name, value = max(off.items(), key=lambda item: abs(item[1]))
    if abs(value) <= CLOSE_ANGLE:
        return "pose matches; now the same expression"
    words = {"yaw": ("right", "left"), "pitch": ("up", "down"), "roll": ("tilt right", "tilt left")}[name]
    verb = "" if name == "roll" else "turn " if name == "yaw" else "look "
    return f"{verb}{words[0] if value > 0 else words[1]} {abs(value):.0f} degrees"


def compare_poses(driver: Sight, source: Sight) -> tuple[Pixels, bool]:
    """Driver and source side by side with instructions: uint8 [H, W, 3], and whether they match."""
    done = matches(driver, source)
    height = 360
    panels = [_panel(driver, DRIVER, height), _panel(source, SOURCE, height)]
    view = Image.fromarray(np.concatenate(panels, axis=1))
    text = "matches: keep still" if done else advice(driver.pose, source.pose)
    draw = ImageDraw.Draw(view)
    draw.rectangle([0, 0, view.width, 22], fill=(0, 0, 0))
    draw.text((8, 4), text, fill=MATCHED if done else DRIVER)
    if done:
        draw.rectangle([0, 0, view.width - 1, view.height - 1], outline=MATCHED, width=4)
    return np.asarray(view), done


def _panel(sight: Sight, colour: tuple[int, int, int], height: int) -> Pixels:
    """The square's surroundings with its box, keypoints and axes."""
    margin = sight.square.side // 8
    wide = Square(sight.square.left - margin, sight.square.top - margin, sight.square.side + 2 * margin)
    view = Image.fromarray(wide.cut(sight.picture)).resize((height, height), Image.Resampling.BILINEAR)
    zoom = height / wide.side
    draw = ImageDraw.Draw(view)
    box = [margin * zoom, margin * zoom, (margin + sight.square.side) * zoom, (margin + sight.square.side) * zoom]
    draw.rectangle(box, outline=colour, width=2)
    for x, y in ((sight.keypoints + 1) / 2 * sight.square.side + margin) * zoom:
        draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)
    nose = (sight.landmarks[30] - (wide.left, wide.top)) * zoom
    for axis, shade in zip(sight.pose.axes * 3 * zoom, (0.6, 0.8, 1.0), strict=True):
        draw.line([*nose, *(nose + axis)], fill=tuple(int(shade * c) for c in colour), width=3)
    return np.asarray(view)
