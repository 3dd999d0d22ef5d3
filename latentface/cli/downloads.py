"""Download messages: a note, a progress bar in megabytes, and the licence of a network on its first use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from latentface.cli.report import Bar, Report
from latentface.pretrained.cache import Access, access

MEGABYTE = 10**6


@contextmanager
def access_with_progress(report: Report, offline: bool) -> Iterator[None]:
    """Allow downloads of networks inside the block unless `offline`, and show their progress."""
    with ExitStack() as drawing:
        shown: dict[str, Bar] = {}

        def show(name: str, done: int, total: int | None) -> None:
            if name not in shown:
                drawing.close()
                size = f", {total / MEGABYTE:.0f} MB" if total else ""
                report.note(f"downloading {name}{size}" + (f", from {done / MEGABYTE:.0f} MB on" if done else ""))
                shown[name] = drawing.enter_context(report.progress())
                shown[name].start(f"{name[-60:]}, MB", (total or 0) // MEGABYTE)
            shown[name].step(done // MEGABYTE)
            if done == total:
                drawing.close()

        with access(Access(offline, show, None if report.quiet else report.note)):
            yield
