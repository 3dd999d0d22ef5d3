"""Examples of the documentation, and a folder in which they run: fewer steps and frames than a reader would take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import latentface as lf
from latentface.batch import local
from latentface.cli import run as run_command
from latentface.io.clip import Clip
from latentface.networks.translation import TranslationConfig, TranslationNet
from latentface.options.clips import VideoOptions
from latentface.options.photos import TransferOptions
from latentface.options.projection import ProjectOptions
from latentface.options.styles import StyleOptions, StyliseOptions
from latentface.pretrained.native import write_network
from tests.helpers.batch_works import run_here
from tests.helpers.tiny_cast import write_tiny_network

ROOT = Path(__file__).parent.parent.parent
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
#: What takes time, and how much of it a test takes at most; None and more become this.
MOST: dict[type, dict[str, int]] = {
    ProjectOptions: {"steps": 2, "tune_steps": 2},
    TransferOptions: {"refine_steps": 1, "finest": 8},
    StyleOptions: {"learning_steps": 2},
    StyliseOptions: {"texture_steps": 2},
}
SLOW_CLIP = "3"  # frames a second
#: Programs other than latentface that an example may call.
OTHERS = ("make", "pip", "python")


@dataclass(frozen=True)
class Snippet:
    """One fenced block: its page and line, its language, and its text without the fence's own indentation."""

    page: str
    line: int
    language: str
    text: str


def pages() -> list[Path]:
    """The README, what stands beside it, and every page of the documentation."""
    beside = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md") if (ROOT / name).exists()]
    return [*beside, *sorted((ROOT / "docs").rglob("*.md"))]


def snippets(page: Path) -> list[Snippet]:
    """The blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(ROOT).as_posix()
    found = []
    for match in FENCE.finditer(text):
        body = re.sub(f"^{match[1]}", "", match[3], flags=re.MULTILINE)
        found.append(Snippet(name, text.count("\n", 0, match.start()) + 2, match[2], body))
    return found


def commands(snippet: Snippet) -> list[list[str]]:
    """The words of each line of a block of shell, without comments."""
    lines = [shlex.split(line, comments=True) for line in snippet.text.splitlines()]
    return [words for words in lines if words]


def furnish(folder: Path) -> None:
    """The files that examples name: photos of one face, a clip, a network, labelled folders, a direction."""
    photo = Image.open(ROOT / "examples" / "astronaut.jpg").convert("RGB")
    small = photo.resize((photo.width // 2, photo.height // 2))
    for name in ("photo", "other", "painting", "a", "b", "astronaut"):
        small.save(folder / f"{name}.jpg", quality=95)
    for name in ("photos", "results", "references", "carla"):
        (folder / name).mkdir()
        small.save(folder / name / "a.jpg", quality=95)
    (folder / "run").mkdir()
    write_tiny_network(folder / "run" / "retarget.safetensors")  # of anna and ben
    pixels = np.asarray(small)
    mask = np.zeros(pixels.shape, np.uint8)
    mask[45:60, 100:125] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    frames = [np.roll(pixels, k, axis=1) for k in range(3)]
    for name in ("clip.mp4", "film.mp4"):
        lf.write_clip(folder / name, Clip.of(frames, 5, small.size))
    assert run_command(["weights", "export", "--network", "synthface-128", "--format", "rosinality", "-o",
                        str(folder / "network.pkl")]) == 0  # fmt: skip
    translation = TranslationNet(TranslationConfig(fine=4, coarse=8, dilations=(1,)))
    write_network(
        folder / "translation.safetensors", "translation", asdict(translation.config), translation.state_dict()
    )
    np.save(folder / "smile.npy", np.ones(lf.load_generator("synthface-128").config.w_dim, np.float32))


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every verb take few steps and frames, whatever an example asks for or leaves to the defaults.

    The options are checked as they were given, and cut down afterwards. Batches run in this process.
    """
    for kind, most in MOST.items():
        monkeypatch.setattr(kind, "__post_init__", _cut(kind.__post_init__, most))  # type: ignore[attr-defined]
    check = VideoOptions.__post_init__

    def slow_clip(options: VideoOptions) -> None:
        check(options)
        object.__setattr__(options, "fps", SLOW_CLIP)

    monkeypatch.setattr(VideoOptions, "__post_init__", slow_clip)
    monkeypatch.setattr(local, "run_local", run_here)


def _cut(check: Callable[[Any], None], most: Mapping[str, int]) -> Callable[[Any], None]:
    def checked(options: Any) -> None:
        check(options)
        for name, value in most.items():
            given = getattr(options, name)
            if name != "finest" or options.layers == "auto":  # it may not be set beside rows that are named
                object.__setattr__(options, name, value if given is None else min(given, value))

    return checked


def run_page(page: Path) -> list[str]:
    """Run the blocks of a page in the working folder, Python ones in one namespace; what failed, with its line."""
    space: dict[str, Any] = {}
    failed = []
    for snippet in snippets(page):
        if snippet.language == "python":
            name = re.match(r"# (\w+\.py)\n", snippet.text)
            if name:  # the block is a file that later blocks use
                Path(name[1]).write_text(snippet.text, encoding="utf-8")
            exec(compile(snippet.text, f"{snippet.page}:{snippet.line}", "exec"), space)
        elif snippet.language == "sh":
            for words in commands(snippet):
                if code := run_line(words):
                    failed.append(f"{snippet.page}:{snippet.line}: {shlex.join(words)} ends with {code}")
    return failed


def run_line(words: list[str]) -> int:
    """The exit code of a command of ours; others are looked at elsewhere, and 0 here.

    So is the studio, which serves until it is stopped, and what needs a cluster.
    """
    if words[0] != "latentface" or words[1:2] == ["studio"] or "--address" in words:
        return 0
    return run_command(words[1:])
