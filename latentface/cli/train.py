"""`latentface train`: networks trained on the user's own data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentface.cli.command import Group, check_flags, flag
from latentface.cli.flags import device_flag, report_flags, seed_flag
from latentface.cli.outputs import naming, prepared_folder
from latentface.cli.report import Report
from latentface.errors import InputError, UsageError
from latentface.modes import when

if TYPE_CHECKING:
    from latentface.training.motion_clips import Checked


TRAINED = (when("check_only", False),)


@click.group(cls=Group, short_help="Train networks on your own pictures and clips.")
def train() -> None:
    """Train networks on your own pictures and clips."""


@train.command(short_help="Train a motion model for `animate`.")
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="CLIPS...")
@flag(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    applies_to=TRAINED,
    help="Folder of the run; an existing run is resumed.",
)
@flag("--check-only", is_flag=True, help="Only list which clips can be used, and why others cannot.")
@flag(
    "--size", type=click.Choice(["compact", "vox-256"]), default="compact", show_default=True, applies_to=TRAINED,
    help="Shape of the network: that of the built-in one (128 px), or of the published one (256 px).",
)  # fmt: skip
@flag(
    "--vgg19", type=click.Path(path_type=Path), applies_to=TRAINED,
    help="File of torchvision's VGG-19 (vgg19-dcbb9e9d.pth) for the loss.",
)  # fmt: skip
@flag("--adversarial", is_flag=True, applies_to=TRAINED, help="Train a discriminator as well.")
@flag("--pairs", type=click.IntRange(min=1), applies_to=TRAINED, help="Number of pairs of frames in all.")
@flag("--batch", type=click.IntRange(min=1), applies_to=TRAINED, help="Number of pairs in a batch.")
@flag(
    "--minutes",
    type=click.FloatRange(min=0),
    default=float("inf"),
    applies_to=TRAINED,
    help="Stop after this many minutes.",
)
@device_flag
@report_flags
def motion(report: Report, clips: tuple[Path, ...], **flags: Any) -> None:
    """Train a First Order Motion Model on CLIPS: videos, folders of videos, folders of frames.

    Every clip is first decoded. Clips that are corrupt, encrypted, empty or still are listed with the reason and left
    out. A name such as PERSON#ANYTHING.mp4 identifies the person in the clip. Faces should fill the middle square of
    the frames.
    On several GPUs: torchrun --nproc-per-node N -m latentface train motion ...
    """
    if flags["output"] is None and not flags["check_only"]:
        raise UsageError("-o FOLDER is needed: where the run goes (or --check-only)")
    check_flags()
    with prepared_folder(flags["output"]):
        _train_motion(report, clips, flags)


def _train_motion(report: Report, clips: tuple[Path, ...], flags: dict[str, Any]) -> None:
    from latentface.training.motion import run_on_clips
    from latentface.training.motion_clips import find_clips, gather

    paths = find_clips(clips)
    side = 64 if flags["check_only"] else {"compact": 128, "vox-256": 256}[flags["size"]]
    with report.progress() as bar:
        bar.start("checking", len(paths))
        seen: list[Checked] = []

        def on_clip(checked: Checked) -> None:
            seen.append(checked)
            bar.step(len(seen))
            if checked.reason:
                report.say(f"left out: {checked.path}: {checked.reason}")

        data, checked = gather(paths, side, on_clip)
    left_out = [clip for clip in checked if clip.reason]
    people = len(set(data.people))
    report.say(
        f"{len(data)} of {len(paths)} clips can be used, {people} people, {sum(c.frames for c in checked)} frames"
    )
    facts = {
        "command": "train motion", "clips": len(paths), "usable": len(data), "people": people,
        "left_out": [{"path": str(clip.path), "reason": clip.reason} for clip in left_out],
    }  # fmt: skip
    if not len(data):
        raise InputError("none of the clips can be used; see the reasons above")
    if flags["check_only"]:
        report.result({**facts, "exit_code": 0})
        return
    path = run_on_clips(data, **{name: value for name, value in flags.items() if name != "check_only"})
    report.say(f"motion model -> {path}")
    report.result({**facts, "network": str(path), "exit_code": 0})


@train.command(short_help="Train a network for `translate`.")
@flag("--a", "first", required=True, type=click.Path(path_type=Path), help="Folder of pictures of the first kind.")
@flag("--b", "second", required=True, type=click.Path(path_type=Path), help="Folder of pictures of the second kind.")
@flag(
    "-o", "--output", required=True, type=click.Path(path_type=Path),
    help="Folder of the run; an existing run is resumed.",
)  # fmt: skip
@flag(
    "--perceptual", default="perceptual", show_default=True,
    help="Whose features the discriminators see: the built-in network, or torchvision's squeezenet1_1 (.pth).",
)  # fmt: skip
@flag(
    "--attention/--no-attention", default=True, show_default=True,
    help="Copy what need not change, by an attention map.",
)  # fmt: skip
@flag(
    "--pictures", type=click.IntRange(min=1), default=8_000, show_default=True,
    help="Pictures of each kind to train on in all; the same one is seen several times.",
)  # fmt: skip
@flag("--minutes", type=click.FloatRange(min=0), default=float("inf"), help="Stop after this many minutes.")
@device_flag
@report_flags
def translate(report: Report, first: Path, second: Path, output: Path, **flags: Any) -> None:
    """Train a network that translates faces between two kinds of pictures, such as renders and photographs.

    No picture needs a counterpart of the other kind. The largest face of each picture is cut out; pictures without
    one are listed and left out. The result is OUTPUT/translation.safetensors.
    """
    check_flags()
    from latentface.networks.translation import TranslationConfig
    from latentface.training.translation import run_on_faces
    from latentface.training.translation_data import find_faces

    size, left_out = TranslationConfig().size, []

    def on_picture(path: Path, reason: str | None) -> None:
        if reason:
            left_out.append({"path": str(path), "reason": reason})
            report.say(f"left out: {path}: {reason}")

    with prepared_folder(output):
        kinds = [find_faces(folder, size, on_picture) for folder in (first, second)]
        report.say(f"{len(kinds[0])} faces of the first kind, {len(kinds[1])} of the second")
        path = run_on_faces(kinds[0], kinds[1], output, **flags)
    report.say(f"translation -> {path}")
    report.result(
        {
            "command": "train translate", "faces": [len(kind) for kind in kinds], "left_out": left_out,
            "network": str(path), "exit_code": 0,
        }
    )  # fmt: skip


@train.command(short_help="Train a network for `retarget` on a few people.")
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FOLDERS...")
@flag(
    "-o", "--output", required=True, type=click.Path(path_type=Path),
    help="Folder of the run; an existing run is resumed.",
)  # fmt: skip
@flag(
    "--views", type=click.Choice(["both", "image", "keypoints"]), default="both", show_default=True,
    help="What expressions are read from: pictures, landmarks, or both.",
)  # fmt: skip
@flag(
    "--size", type=click.IntRange(32, 256), default=96, show_default=True,
    help="Side of the pictures, a multiple of 16.",
)  # fmt: skip
@flag(
    "--adversary", type=click.FloatRange(min=0), default=0.0, show_default=True,
    help="How strongly a classifier of people is trained against the codes; 0 for not at all.",
)  # fmt: skip
@flag("--minutes", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True, help="Processor time.")
@flag("--steps", type=click.IntRange(min=1), help="Number of batches, instead of a time.")
@device_flag
@seed_flag
@report_flags
def retarget(report: Report, folders: tuple[Path, ...], output: Path, **flags: Any) -> None:
    """Train retargeting on FOLDERS of people: in each a folder for every person, with pictures and clips of them.

    Five to fifty people with a hundred pictures or a minute of film each. Every picture must show one person's face;
    what cannot be used is listed with the reason and left out.
    """
    with prepared_folder(output):
        _train_retarget(report, folders, output, flags)


def _train_retarget(report: Report, folders: tuple[Path, ...], output: Path, flags: dict[str, Any]) -> None:
    from dataclasses import replace

    from latentface import api, hub
    from latentface.networks.precision import multiplies_bfloat16
    from latentface.training import retargeting
    from latentface.training.retargeting_data import gather, people_in

    device = api.pick_device(flags["device"])
    with report.progress() as bar, naming(*folders):
        bar.start("reading", sum(map(len, people_in(folders).values())))
        cast, left_out = gather(folders, flags["size"], hub.landmark_predictor(), bar.step)
    for each in left_out:
        report.say(f"left out: {each.path}: {each.reason}")
    report.say(f"{len(cast)} pictures of {len(cast.names)} people")
    options = replace(
        retargeting.OPTIONS, steps=flags["steps"], minutes=flags["minutes"], seed=flags["seed"],
        bfloat16=multiplies_bfloat16(),
    )  # fmt: skip
    views = ("image", "keypoints") if flags["views"] == "both" else (flags["views"],)
    weights = replace(retargeting.Weights(), adversary=flags["adversary"])
    path = retargeting.run(cast, output, options, weights, views, device, report.say)
    report.say(f"network for retargeting -> {path}")
    report.result(
        {
            "command": "train retarget", "people": list(cast.names), "pictures": len(cast),
            "left_out": [{"path": str(each.path), "reason": each.reason} for each in left_out],
            "network": str(path), "exit_code": 0,
        }
    )  # fmt: skip
