"""The command line: one file for each command, loaded on demand; here errors become one line and an exit code.

Exit codes: 0 done; 2 wrong usage; 3 the input cannot be used; 4 weights cannot be used; 5 the output cannot be written;
130 interrupted; 143 terminated; 1 a fault of latentface itself.
"""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

import click

from latentface.cli.report import emit_json, write_line
from latentface.cli.threads import wait_asleep
from latentface.errors import LatentfaceError, OutputError

INTERRUPTED = 130
TERMINATED = 143
FULL_OR_FORBIDDEN = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}

#: Command -> module under latentface.cli that contains a click command of the same name.
COMMANDS = {
    "animate": "animate",
    "batch": "batch",
    "check": "check",
    "complete": "complete",
    "composite": "composite",
    "directions": "directions",
    "doctor": "doctor",
    "edit": "edit",
    "evaluate": "evaluate",
    "faces": "list_faces",
    "project": "project",
    "retarget": "retarget",
    "sample": "sample",
    "sequence": "sequence",
    "stream": "stream",
    "studio": "studio",
    "stylise": "stylise",
    "train": "train",
    "transfer": "transfer",
    "translate": "translate",
    "verify": "verify",
    "video": "video",
    "weights": "weights",
}


class LazyGroup(click.Group):
    """A group whose commands are imported on demand, so that no command pays for the imports of another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, sorted, without importing them."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command with this name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"latentface.cli.{COMMANDS[cmd_name]}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command; an unknown one raises UsageError, which suggests a similar name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the commands are {', '.join(sorted(COMMANDS))}"
            raise click.UsageError(f"no command {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an interruption becomes click's Abort."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # here, because click itself would print an empty line first
            raise click.exceptions.Abort from None


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from latentface._version import __version__

        click.echo(f"latentface {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 success; 2 wrong usage; 3 the input cannot be used; 4 the weights cannot be used; 5 the "
    "output cannot be written; 130 interrupted; 1 a fault of latentface itself.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Change the expression of a face in a photo: try `latentface edit photo.jpg --set happiness=2`.

    latentface finds the face, works in the latent space of StyleGAN2, and writes the photo back at its full resolution.
    `latentface doctor` says what works on this machine.
    """


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line on `args` (default: sys.argv) and return its exit code; it never raises."""
    code = _run(list(sys.argv[1:] if args is None else args))
    _release_stdout()
    return code


def _run(words: list[str]) -> int:
    try:
        return _attempt(words)
    except SystemExit as error:  # from click for a closed pipe, or from a signal handler
        return TERMINATED if error.code == TERMINATED else OutputError.exit_code
    except BrokenPipeError:  # the reader of our output has gone, so there is nobody to tell
        return OutputError.exit_code
    except Exception as error:
        return _fail_unexpected(words, error)


def _attempt(words: list[str]) -> int:
    """Run the command; expected errors become one line and an exit code, others are raised."""
    try:
        result = cli.main(words, prog_name="latentface", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except (click.exceptions.Abort, click.UsageError, LatentfaceError, OSError) as error:
        return _fail(words, *_explain(error), error)


def _explain(error: Exception) -> tuple[int, str, str]:
    """Exit code, kind and message of an expected error; other errors are raised again."""
    if isinstance(error, click.exceptions.Abort):
        return INTERRUPTED, "Interrupted", "interrupted; finished results are kept"
    if isinstance(error, click.UsageError):
        return 2, "UsageError", _usage_message(error)
    if isinstance(error, LatentfaceError):
        return error.exit_code, type(error).__name__, str(error)
    if isinstance(error, OSError) and error.errno in FULL_OR_FORBIDDEN:
        where = f" {error.filename}" if error.filename else ""
        return OutputError.exit_code, "OutputError", f"cannot write{where}: {error.strerror}"
    raise error


def main() -> NoReturn:
    """Entry point of the `latentface` program."""
    signal.signal(signal.SIGTERM, _terminate)
    wait_asleep(os.environ)
    if not sys.warnoptions:  # warnings are meant for programmers; python -W shows them
        warnings.simplefilter("ignore")
    sys.exit(run())


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into an ordinary exit, so that temporary files are removed on the way out."""
    raise SystemExit(TERMINATED)


def _flags(words: list[str]) -> set[str]:
    """The options among the words, up to a bare `--`."""
    return set(words[: words.index("--")] if "--" in words else words)


def _fail(words: list[str], code: int, kind: str, message: str, error: BaseException) -> int:
    """Print an error as one line (and, with --json, as an object on stdout); return the exit code."""
    if "--traceback" in _flags(words):
        traceback.print_exception(error, file=sys.stderr)
    line = " ".join(message.split())
    write_line(f"latentface: {line}", sys.stderr)
    if "--json" in _flags(words):
        with suppress(OSError):  # the error may be that stdout cannot be written
            emit_json({"error": {"kind": kind, "message": line, "exit_code": code}, "exit_code": code})
    return code


def _fail_unexpected(words: list[str], error: Exception) -> int:
    """An internal error: exit code 1, and one line that says how to see where it came from."""
    hint = "" if "--traceback" in _flags(words) else " (run again with --traceback to see where)"
    return _fail(words, 1, type(error).__name__, f"internal error: {type(error).__name__}: {error}{hint}", error)


def _usage_message(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx else "latentface"
    return f"{error.format_message().rstrip('.')}; see `{command} --help`"


def _release_stdout() -> None:
    """Empty the buffer of stdout, so that the interpreter cannot fail to flush it at exit (closed pipe, full disk)."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
