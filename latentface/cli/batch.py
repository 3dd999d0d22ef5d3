"""`latentface batch VERB`: a command on many files, by several processes or a Ray cluster."""

from __future__ import annotations

import inspect
import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from latentface.cli.batch_work import VERBS, work
from latentface.cli.command import NETWORKS, Command, Flag, Group, flag
from latentface.cli.flags import CLIP, FRAMES, kind_of_any, report_flags
from latentface.cli.outputs import prepared_folder
from latentface.cli.report import Report
from latentface.errors import InputError, OutputError, UsageError, WeightsError
from latentface.io.paths import is_address

if TYPE_CHECKING:
    from latentface.batch.jobs import Found, Job, Outcome
    from latentface.batch.journal import Journal

#: Parameters of commands that a batch sets by itself, or has of its own.
OWN = frozenset({"output", "as_json", "quiet", "show_traceback"})
JOURNAL = "batch.jsonl"
MOST_LISTED = 20  # jobs of a plan that are shown in words


@dataclass(frozen=True)
class Settings:
    """How a batch runs: its results' folder, and what its own flags say."""

    output: str
    listed: Path | None
    suffix: str
    jobs: int | None
    engine: str
    address: str | None
    journal: Path | None
    dry_run: bool
    overwrite: bool

    @property
    def journal_path(self) -> Path:
        """The journal's file: beside the results, or in the working folder where these have a URL."""
        return self.journal or Path(JOURNAL if is_address(self.output) else f"{self.output}/{JOURNAL}")


class Batch(Group):
    """The verbs that can be done in a batch: each takes the flags of its command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, sorted."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command for many inputs, made of that for one; or None."""
        if cmd_name not in VERBS:
            return None
        from latentface.cli import cli

        single = cli.get_command(ctx, cmd_name)
        assert single is not None
        return _plural(cmd_name, single)


@click.group(cls=Batch, short_help="Use another command on many files.")
def batch() -> None:
    """Use a command on many photos or clips, with several processes or on a Ray cluster.

    `latentface batch edit PHOTOS -o RESULTS --set happiness=1.5` edits every photo of a folder. Each verb takes the
    flags of the command of its name. A failed input is reported and the rest go on; a run that was stopped goes on
    where it stopped, since RESULTS/batch.jsonl keeps a line for each result.
    """


def _plural(verb: str, single: click.Command) -> click.Command:
    """The command of a verb for many inputs."""

    def run(report: Report, inputs: tuple[str, ...], **flags: Any) -> int:
        context = click.get_current_context()
        own = {spec.name: flags[spec.name] for spec in fields(Settings)}
        if not is_address(own["output"]):
            own["output"] = str(Path(own["output"]).absolute())
        return _run(verb, typed(context, single), inputs, Settings(**own), report)

    text = f"Use `latentface {verb}` on each of the INPUTS: files, folders (at all depths) and URLs."
    made = click.command(
        verb, cls=Command, short_help=single.short_help, help=f"{text}\n\n{inspect.cleandoc(single.help or '')}"
    )(_own_flags(run))
    taken = {VERBS[verb].parameter, *OWN, *(param.name for param in made.params)}
    made.params += [param for param in single.params if param.name not in taken]
    return made


def _own_flags(command: Any) -> Any:
    """Add what every batch takes."""
    decorators = (
        click.argument("inputs", nargs=-1, metavar="INPUTS..."),
        flag("-o", "--output", required=True, help="Folder for the results, or its URL."),
        flag(
            "--list", "listed", type=click.Path(path_type=Path),
            help="Also take inputs from a file, one path or URL on each line; - reads standard input.",
        ),
        flag("--suffix", default="", help="Suffix of the results.  [default: .png for pictures, .mp4 for clips]"),
        flag("--dry-run", is_flag=True, help="Only say what would be done."),
        flag("--overwrite", is_flag=True, help="Do again what is already done."),
        flag(
            "--journal", type=click.Path(path_type=Path),
            help=f"File that keeps a line for each result.  [default: {JOURNAL} in the folder of results]",
        ),
        flag(
            "--jobs", type=click.IntRange(1), section=NETWORKS,
            help="Number of processes, each with one thread.  [default: the number of cores]",
        ),
        flag(
            "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, section=NETWORKS,
            help="What runs the processes: this machine, or a Ray cluster.",
        ),
        flag("--address", section=NETWORKS, help="Address of the cluster, such as auto.  [default: a new one here]"),
        report_flags,
    )  # fmt: skip
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def typed(context: click.Context, single: click.Command) -> tuple[str, ...]:
    """The flags of the single command as the user typed them on the line of the batch."""
    words: list[str] = []
    for param in single.params:
        if not isinstance(param, Flag) or param.name is None or param.name in OWN:
            continue
        if context.get_parameter_source(param.name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[param.name]
        if param.is_flag:
            words.append(param.spelled(value))
            continue
        for each in value if param.multiple else [value]:
            parts = each if param.nargs != 1 else [each]
            words += [param.spelled(), *(str(part.absolute() if isinstance(part, Path) else part) for part in parts)]
    return tuple(words)


def _run(verb: str, words: tuple[str, ...], inputs: tuple[str, ...], settings: Settings, report: Report) -> int:
    """Do the batch; the exit code is that of the first failure."""
    from latentface._version import __version__
    from latentface.batch.jobs import find_inputs, suffixes_of
    from latentface.batch.journal import Journal

    if settings.address and settings.engine != "ray":
        raise UsageError("--address is that of a Ray cluster; use it with --engine ray")
    if settings.jobs and settings.engine == "ray":
        raise UsageError("--jobs has no effect with --engine ray, which uses all cores of the cluster")
    given = [*inputs, *_listed(settings.listed)]
    found = find_inputs(given, suffixes_of(VERBS[verb].photos, VERBS[verb].clips), settings.output)
    jobs = list(plan(verb, words, found, settings))
    if not jobs:
        raise UsageError("no inputs; give files, folders or URLs, or a list of them with --list")
    journal = Journal(settings.journal_path, __version__)
    began = time.perf_counter()
    if settings.dry_run:
        return _show(jobs, journal, settings, report)
    counts, code = _do(verb, jobs, journal, settings, report)
    told = {name: counts[name] for name in ("done", "skipped", "failed")}
    report.say(f"{', '.join(f'{count} {name}' for name, count in told.items())} -> {settings.output}")
    report.result(
        {
            "command": "batch", "verb": verb, "words": list(words), **told, "output": settings.output,
            "journal": str(journal.path), "seconds": round(time.perf_counter() - began, 3), "exit_code": code,
        }
    )  # fmt: skip
    return code


def _do(verb: str, jobs: list[Job], journal: Journal, settings: Settings, report: Report) -> tuple[Counter[str], int]:
    """How many jobs were done, skipped and failed, and the exit code of the first that failed."""
    counts, code = Counter[str](), 0
    with _alone(settings), journal, report.progress() as bar:
        bar.start(verb, len(jobs))
        with closing(_outcomes(jobs, journal, settings, counts)) as outcomes:
            for outcome in outcomes:
                journal.write(outcome)
                counts["failed" if outcome.exit_code else "done"] += 1
                code = code or outcome.exit_code
                if outcome.exit_code:
                    _tell_failure(outcome, counts, report)
                bar.step(counts.total())
    return counts, code


def _outcomes(
    jobs: list[Job], journal: Journal, settings: Settings, counts: Counter[str]
) -> Generator[Outcome, None, None]:
    """The outcomes of the jobs that are not done yet, as they come; the others are counted."""
    from latentface.batch.cluster import run_on_ray
    from latentface.batch.local import run_local

    def wanted() -> Iterator[Job]:
        for job in jobs:
            if settings.overwrite or not journal.is_done(job):
                yield job
            else:
                counts["skipped"] += 1

    if settings.engine == "ray":
        yield from run_on_ray(wanted(), work, settings.address)
    else:
        yield from run_local(wanted(), work, settings.jobs or os.cpu_count() or 1)


def _tell_failure(outcome: Outcome, counts: Counter[str], report: Report) -> None:
    """Say what failed; and stop where the same is wrong with every input: flags, weights, or the place for results."""
    source = outcome.job.source
    message = outcome.message if source in outcome.message else f"{source}: {outcome.message}"
    if not counts["done"] and outcome.exit_code in (UsageError.exit_code, WeightsError.exit_code):
        raise (UsageError if outcome.exit_code == UsageError.exit_code else WeightsError)(message)
    if outcome.exit_code == OutputError.exit_code:
        raise OutputError(message)
    report.problem(message, InputError(message))


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Keep other batches out of the folder of results, and clear away what a killed one left there."""
    from filelock import FileLock, Timeout

    from latentface.batch.places import sweep

    if is_address(settings.output):
        yield
        return
    with prepared_folder(Path(settings.output)):
        lock = FileLock(Path(settings.output) / ".batch.lock")
        try:
            with lock.acquire(timeout=0):
                sweep(settings.output)
                yield
                sweep(settings.output)  # of processes that died
        except Timeout:
            raise OutputError(
                f"another batch writes into {settings.output}; wait for it, or choose another with -o"
            ) from None
        finally:
            Path(lock.lock_file).unlink(missing_ok=True)


def _show(jobs: list[Job], journal: Journal, settings: Settings, report: Report) -> int:
    """Say what would be done."""
    rows = [
        {"source": job.source, "target": job.target, "done": not settings.overwrite and journal.is_done(job)}
        for job in jobs
    ]
    waiting = [row for row in rows if not row["done"]]
    for row in waiting[:MOST_LISTED]:
        report.say(f"{row['source']} -> {row['target']}")
    if len(waiting) > MOST_LISTED:
        report.say(f"and {len(waiting) - MOST_LISTED} more; --json lists all")
    report.say(f"{len(waiting)} to do, {len(rows) - len(waiting)} done already")
    report.result({"command": "batch", "dry_run": True, "jobs": rows, "exit_code": 0})
    return 0


def plan(verb: str, words: tuple[str, ...], found: Iterator[Found], settings: Settings) -> Iterator[Job]:
    """A job for each input, the results under names that no other has."""
    from latentface.batch.jobs import Job, Names, join

    kind, names = VERBS[verb], Names()
    moving = _moves(words)
    for each in found:
        name = names.take(each)
        folder = join(settings.output, each.folder)
        if not kind.ending:
            stem = Path(each.file_name).stem or each.file_name
            yield Job(verb, words, each.source, folder if name == stem else join(folder, name))
            continue
        suffix = settings.suffix or kind.suffix or (".mp4" if moving or _is_moving(each.source) else ".png")
        yield Job(verb, words, each.source, folder, f"{name}.{kind.ending}{suffix}")


def _moves(words: tuple[str, ...]) -> bool:
    """Whether the expression of a transfer is a clip, so that every result is one."""
    return "--expression" in words and _is_moving(words[words.index("--expression") + 1])


def _is_moving(source: str) -> bool:
    from latentface.io.kinds import CLIP_SUFFIXES

    if is_address(source):
        return Path(source).suffix.lower() in CLIP_SUFFIXES
    return kind_of_any(Path(source)) in (CLIP, FRAMES)


def _listed(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give a list of paths") from error
    yield from filter(None, (line.strip("\r") for line in text.split("\n")))
