"""Flags and modes: every flag in every mode has an effect, or is an error that names the mode; and the help."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import click
import pytest

from latentface.cli import COMMANDS, cli
from latentface.cli.command import GENERAL, MESSAGES, PASTING, PROJECTION, SECTIONS, Flag
from latentface.cli.who import Who
from latentface.options.photos import CompositeOptions, TransferOptions
from latentface.options.projection import ProjectOptions
from tests.helpers.cli_desk import Desk

PASTE = {spec.name for spec in fields(CompositeOptions)}
FITTED = {"perceptual_weight", "pixel_weight", "feature_weight", "precision"}
SEARCH = {spec.name for spec in fields(ProjectOptions)} - {"steps", "start", "seed", "tune_steps", "tune_learning_rate"}
NO_NOISE = {"noise_regularise"}  # noise maps are optimised on request only
PROJECTING = SEARCH | {"steps", "start", "landmarks", "cache"}
CHOICE = {"most_layers", "exact_layers", "contiguous", "keep", "finest", "solver", "time_limit", "rounds", "flips"}
LIVE = {"calibrate", "preview", "virtual_camera", "seconds"}
#: What belongs to animation by keypoints, beside --network and --device.
KEYPOINTS = {"adapt_scale", "still_background", "crop", "driver_crop", "precision"}
VIEW = {"yaw", "pitch", "roll", "view"}

#: What belongs to photos and latents, not to clips.
STILL = {"strip", "grid", "directions", "save_latent", "style", "seed", *SEARCH, "steps", "start", "cache"}
CLIPS = {"curves", "mode", "rate", "keep_partial", "sound"}  # of edit: --at needs words of its own
EDIT, TRANSFER = "edit anna.png --set joy=1", "transfer --identity anna.png --expression"
VIDEO, ANIMATE = "video anna.png --emotions fear", "animate --source anna.png --driving"
#: Words that choose a mode -> the parameters that have no effect in it.
MODES = {
    EDIT: CLIPS | NO_NOISE,
    f"{EDIT} --place head": CLIPS | PASTE | NO_NOISE,
    f"{EDIT} --place warp": CLIPS | PASTE | {"only"} | NO_NOISE,
    f"{TRANSFER} bert.png --place warp": {"mode"} | PASTE | {"rate", "only", "mouth"} | NO_NOISE,
    f"{EDIT} --place paste": CLIPS | {"only"} | NO_NOISE,
    f"{EDIT} --crop": CLIPS | PASTE | {"place", "only"} | NO_NOISE,
    "edit anna.png --strip joy": CLIPS | {"save_latent", "save_preset"} | NO_NOISE,
    "edit anna.latent.safetensors --set joy=1": CLIPS | PASTE | PROJECTING | {"place", "only", "crop", "face"},
    f"{EDIT} --steps 0": CLIPS | SEARCH,
    f"{EDIT} --optimise-noise": CLIPS,
    f"{EDIT} --space w": CLIPS | {"preconditioner", "spread_regularise"} | NO_NOISE,
    f"{EDIT} --start encoder": CLIPS | {"w_noise"} | NO_NOISE,
    f"{TRANSFER} bert.png": {"mode"} | PASTE | {"rate"} | NO_NOISE,
    f"{TRANSFER} bert.png --place paste": {"mode"} | {"rate", "only", "mouth"} | NO_NOISE,
    f"{TRANSFER} bert.png --layers 3-4": {"mode"} | PASTE | CHOICE | {"rate"} | NO_NOISE,
    f"{TRANSFER} bert.png --layers paper": {"mode"} | PASTE | CHOICE | {"rate"} | NO_NOISE,
    f"{TRANSFER} bert.png --solver exhaustive": {"mode"} | PASTE | {"time_limit", "rounds", "flips", "rate"} | NO_NOISE,
    f"{TRANSFER} bert.png --steps 0": {"mode"} | PASTE | SEARCH | {"rate"},
    f"{TRANSFER} bert.safetensors": {"mode"} | PASTE | {"expression_face", "rate"} | NO_NOISE,
    f"{TRANSFER} bert.mp4": {"mode"} | PASTE | {"strip", "rate"} | NO_NOISE,
    f"{TRANSFER} frames": {"mode"} | PASTE | {"strip"} | NO_NOISE,
    "transfer --identity a.safetensors --expression bert.png": {"mode"} | PASTE | {"place", "face", "rate"} | NO_NOISE,
    "transfer --identity a.safetensors --expression b.safetensors": {"mode"}
    | PASTE
    | PROJECTING
    | {"place", "face", "expression_face", "rate"},
    "edit anna.mp4 --set joy=1": PASTE | STILL | {"place", "crop", "layers", "rate"},
    "edit frames --set joy=1": PASTE | STILL | {"place", "crop", "layers"},
    "transfer --identity anna.mp4 --expression bert.png": PASTE
    | (STILL - {"grid", "directions", "save_latent", "style"})
    | {spec.name for spec in fields(TransferOptions)} - {"strength", "only"}
    | {"rate"},
    VIDEO: PASTE | {"first", "rate"} | NO_NOISE,
    f"{VIDEO} --place paste": {"first", "rate", "only"} | NO_NOISE,
    f"{VIDEO} --crop": PASTE | {"place", "first", "rate", "only"} | NO_NOISE,
    f"{VIDEO} --steps 0": PASTE | SEARCH | {"first", "rate"},
    "video anna.png --predict": PASTE | {"rate"} | NO_NOISE,
    "video anna.png --like film.mp4": PASTE | {"first", "rate"} | NO_NOISE,
    "video anna.png --like frames": PASTE | {"first"} | NO_NOISE,
    "video a.safetensors --emotions fear": PASTE | PROJECTING | {"place", "crop", "face", "first", "rate"},
    "video a.safetensors --like film.mp4": PASTE
    | (PROJECTING - {"landmarks"})
    | {"place", "crop", "face", "first", "rate"},
    f"{ANIMATE} clip.mp4": LIVE | KEYPOINTS | VIEW | {"rate"},
    f"{ANIMATE} clip.mp4 --engine motion": LIVE | VIEW | {"rate", "only"},
    f"{ANIMATE} clip.mp4 --engine vid2vid": LIVE | {"rate", "only"},
    f"{ANIMATE} frames --engine motion": LIVE | VIEW | {"only"},
    f"{ANIMATE} clip.mp4 --mode absolute": LIVE | KEYPOINTS | VIEW | {"rate", "best_frame"},
    f"{ANIMATE} clip.mp4 --engine motion --mode absolute": LIVE | VIEW | {"rate", "adapt_scale", "best_frame", "only"},
    f"{ANIMATE} camera:none --engine motion": VIEW
    | {"rate", "sound", "keep_partial", "best_frame", "only", "mark", "sign"},
    "retarget anna.png --to x": {"steps", "save_person", "fit_steps", "rate"},
    "retarget anna.png bert.png --to x": {"save_person", "fit_steps", "rate"},
    "retarget anna.png --to bert.png": {"steps", "rate"},
    "retarget film.mp4 --to x": {"steps", "save_person", "fit_steps", "rate"},
    "retarget frames --to x": {"steps", "save_person", "fit_steps"},
    "sample --seeds 1": {"tuned"},
    "sample -o folder": {"tuned", "columns", "captions"},
    "sample --latent a.safetensors": {"psi"},
    "project anna.png": {"tune_learning_rate"} | NO_NOISE,
    "project anna.png --tune": NO_NOISE,
    "project anna.png --steps 0": SEARCH | {"tune_learning_rate"},
    "project anna.png --steps 0 --tune": SEARCH - FITTED,
    "directions fit frames": {"label", "score", "conditions", "classifier", "fraction"} | NO_NOISE,
    "directions fit --csv t.csv": {"classifier", "fraction"} | NO_NOISE,
    "directions fit --csv t.csv --score s": {"label", "classifier", "against"} | NO_NOISE,
    "directions fit --sample 10": {"label", "score", "conditions", "fraction"} | (PROJECTING - {"cache"}),
    "directions fit --renders frames": {"label", "score", "conditions", "classifier", "fraction"}
    | (PROJECTING - {"cache"}),
    "train motion none.mp4 --check-only": {"output", "size", "vgg19", "adversarial", "pairs", "batch", "minutes"},
    "train motion none.mp4 -o run": set(),
    "sequence read film.mp4": {"rate"},
    "sequence read frames": set(),
}
#: Modes without a generator.
OF_CLIPS = (
    "edit anna.mp4 --set joy=1",
    "edit frames --set joy=1",
    "transfer --identity anna.mp4 --expression bert.png",
)
MACHINE = ("network", "device", "ops_choice")
#: What is written after a flag whose type does not say it.
WORDS = {"layers": "1", "keep": "1", "solver": "cbc", "changes": "joy=1", "fps": "9", "grid": "joy joy", "rate": "25"}


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the first words name, and its name's words."""
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None
    if isinstance(command, click.Group):
        inner = command.get_command(click.Context(command), words[1])
        assert inner is not None
        return inner, words[:2]
    return command, words[:1]


def write(param: Flag) -> tuple[str, list[str]]:
    """The flag, given some value: its name and its words."""
    if param.is_flag:
        value = not param.default
        name = param.spelled(value)
        return name, [name]
    if param.name in WORDS:
        return param.spelled(), [param.spelled(), *WORDS[param.name].split()]
    if isinstance(param.type, click.Choice):
        return param.spelled(), [param.spelled(), next(c for c in param.type.choices if c != param.default)]
    numeric = isinstance(param.type, click.types.IntParamType | click.types.FloatParamType | Who)
    least, most = getattr(param.type, "min", None) or 0, getattr(param.type, "max", None)
    return param.spelled(), [param.spelled(), str(min(max(least, 1), most or 1e9)) if numeric else "none"]


@pytest.mark.parametrize("mode", MODES)
def test_every_flag_in_every_mode(desk: Desk, mode: str) -> None:
    (desk.folder / "frames").mkdir()
    command, _ = find_command(mode.split())
    takes_generator = command.name != "animate" and any(param.name == "network" for param in command.params)
    found = set()
    for param in command.params:
        if not isinstance(param, Flag) or param.section == MESSAGES or param.name in MACHINE:
            continue
        name, words = write(param)
        network = ("--network", desk.network) if takes_generator and mode not in OF_CLIPS else ()
        done = desk.run(*mode.split(), *network, *words)  # the photos are not there: nothing takes long
        assert "internal error" not in done.err, (words, done.err)
        if done.err.startswith(f"latentface: {name} has no effect "):
            assert done.code == 2 and "; it applies with" in done.err
            found.add(param.name)
    assert found == MODES[mode]


def test_a_flag_says_where_it_belongs(desk: Desk) -> None:
    done = desk.run(*f"{EDIT} --place warp --feather 0.5".split())
    assert done.err == "latentface: --feather has no effect with --place warp; it applies with --place paste\n"
    done = desk.run(*["transfer", "--identity", "a.png", "--expression", "b.mp4", "--no-strip", "--json"])
    message = "--no-strip has no effect with a clip as the expression; it applies without a clip as the expression"
    assert done.json["error"]["message"].startswith(message)
    done = desk.run(*["video", "a.png", "--predict", "--start", "fear"])
    assert done.code == 2 and "the first emotion is --first fear" in done.err


COMMAND_WORDS = sorted(
    f"{name} {inner}" if inner else name
    for name in COMMANDS
    for command in [cli.get_command(click.Context(cli), name)]
    for inner in (command.list_commands(click.Context(command)) if isinstance(command, click.Group) else [""])
)


@pytest.mark.parametrize("words", COMMAND_WORDS)
def test_help_is_in_sections(desk: Desk, words: str) -> None:
    text = desk.run(*words.split(), "--help").out
    command, _ = find_command(words.split())
    assert all(isinstance(param, Flag) for param in command.params if isinstance(param, click.Option))
    headings = [line[:-1] for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings == [section for section in SECTIONS if section in headings] and headings[-1] == MESSAGES
    for param in command.params:
        if isinstance(param, Flag):
            assert f"{param.spelled()}" in text.split(f"{param.section}:\n")[1].split("\n\n")[0]


def test_long_help_is_not_one_list(desk: Desk) -> None:
    text = desk.run("edit", "--help").out
    assert [text.index(f"\n{section}:\n") for section in (GENERAL, PASTING, PROJECTION, MESSAGES)] == sorted(
        text.index(f"\n{section}:\n") for section in (GENERAL, PASTING, PROJECTION, MESSAGES)
    )


def test_projection_has_the_same_flags_everywhere() -> None:
    names = {spec.name for spec in fields(ProjectOptions)} - {"tune_steps", "tune_learning_rate"}
    for words in ("project", "edit", "transfer", "video", "directions fit"):
        assert names <= {param.name for param in find_command(words.split())[0].params}


def test_directions_choose_the_mode_that_auto_leaves_open(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from latentface import api
    from latentface.latents.latent import Direction
    from latentface.pretrained.directions import place, write_directions

    monkeypatch.setenv("LATENTFACE_CACHE", str(desk.folder / "cache"))
    generator = api.load_generator(desk.network)
    values = generator.w_avg.cpu().expand(6, 8) + 1
    joy = Direction(values, generator.fingerprint, "joy", {"moves": "expression"})
    write_directions(place("mine", generator.fingerprint), [joy, Direction(values, generator.fingerprint, "age")])
    words = ("--network", desk.network, "--steps", 1, "--feather", 0.5)
    moved = desk.run("edit", desk.photo(), "--set", "joy=1", *words)
    assert moved.code == 2 and "--feather has no effect with --place head" in moved.err
    missing = desk.run("edit", Path("none.png"), "--set", "age=1", *words)
    assert missing.code == 3 and "none.png" in missing.err
