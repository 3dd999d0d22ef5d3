"""On a real terminal: a progress bar with time left, and Ctrl-C that leaves nothing half-written."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.cli_desk import Desk

ROOT = Path(__file__).parents[2]
SECONDS = 300  # after which a program hangs; a busy machine takes a minute to start one

# The program with the stand-in detector, landmarks and distance of the other tests, in a process of its own.
PROGRAM = """
import fcntl, signal, sys, termios
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that started the tests with "&" had it ignored
if sys.stdin.isatty():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # the terminal becomes the one that Ctrl-C is typed on
from tests.helpers.cli_desk import PixelDistance, find_blobs, place_points
from latentface.faces import alignment
from latentface import hub
alignment.detect_faces = find_blobs
hub._landmarks = lambda name, stamp: place_points
hub.perceptual = lambda device: PixelDistance()
from latentface.cli import main
main()
"""


class Terminal:
    """A command that runs on a terminal of its own."""

    def __init__(self, *words: object) -> None:
        self.main, end = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", PROGRAM, *map(str, words)]

        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=end, stdout=end, stderr=end, env=environment, start_new_session=True
        )
        os.close(end)
        self.seen = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:  # a test has failed: nothing is to run on
            self.process.kill()
            self.process.wait()
        os.close(self.main)

    def read_until(self, pattern: str | None) -> str:
        """Everything on the screen up to the pattern, or to the end of the program."""
        limit = time.monotonic() + SECONDS
        while select.select([self.main], [], [], max(0.0, limit - time.monotonic()))[0]:
            try:
                data = os.read(self.main, 65536)
            except OSError:  # the program has closed the terminal
                break
            self.seen += data.decode(errors="replace")
            if pattern is not None and re.search(pattern, self.seen):
                return self.seen
        else:
            raise AssertionError(f"nothing more came in {SECONDS} s: {self.seen}")
        assert pattern is None, f"{pattern} never came: {self.seen}"
        return self.seen

    def close(self) -> int:
        """The exit code, once the program has ended by itself."""
        self.read_until(None)
        return self.process.wait(SECONDS)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_progress_with_time_left(desk: Desk) -> None:
    photo = desk.photo()
    with Terminal("project", photo, "--network", desk.network, "--steps", 150, "-o", desk.out) as terminal:
        terminal.read_until(r"anna\.png.*\d+/150.*\d:\d\d:\d\d")
        assert terminal.close() == 0
    assert len(files(desk.out)) == 3


def test_control_c_at_the_terminal(desk: Desk) -> None:
    first, second = desk.photo(), desk.photo("ben.png", faces=(80,))
    assert desk.project(first).code == 0
    finished = files(desk.out)
    with Terminal("project", second, "--network", desk.network, "--steps", 100_000, "-o", desk.out) as terminal:
        terminal.read_until(r"[1-9]\d*/100000")
        os.write(terminal.main, b"\x03")
        assert terminal.close() == 130
    assert "latentface: interrupted" in terminal.seen and "Traceback" not in terminal.seen
    assert files(desk.out) == finished


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_signal_while_a_file_is_being_written(desk: Desk, number: signal.Signals, code: int) -> None:
    stuck = (
        PROGRAM.replace("main()", "").replace("import main", "import main as start")
        + """
import time
from PIL import Image
save = Image.Image.save
def slow(self, path, *rest, **more):
    save(self, path, *rest, **more)
    print("writing", flush=True)
    time.sleep(3600)
Image.Image.save = slow
start()
"""
    )
    photo = desk.photo()
    command = [sys.executable, "-c", stuck, "project", photo, "--network", desk.network, "--steps", "2"]
    process = subprocess.Popen(
        list(map(str, [*command, "-o", desk.out])), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert any(name.startswith(".") for name in files(desk.out))  # the temporary file is there
        process.send_signal(number)
        _, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()  # does nothing to one that has ended
    assert process.returncode == code
    assert "Traceback" not in errors
    if number == signal.SIGKILL:
        assert all(name.startswith(".") for name in files(desk.out))  # nothing under a final name
    else:
        assert not desk.out.exists()  # the folder was made for this run and holds nothing
    assert desk.project(photo).code == 0
    assert len([name for name in files(desk.out) if not name.startswith(".")]) == 3
