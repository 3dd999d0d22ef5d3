"""Timelines: a table of blocks to which rows can be added, and a picture of the blocks as coloured bars."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import gradio as gr

from latentface.errors import UsageError
from latentface.studio.blocks import Block, Rows, filled, parse_blocks, parse_changes

#: Of emotions, each readable under the dark text of a block; other changes share the last one.
COLOURS = {
    "neutral": "#cbd5e1", "happiness": "#fde047", "sadness": "#93c5fd", "surprise": "#fdba74", "anger": "#fca5a5",
    "disgust": "#86efac", "fear": "#d8b4fe",
}  # fmt: skip
OTHER = "#a5b4fc"


def block_table(
    name: str, label: str, headers: Sequence[str], fields: Sequence[Any], beginning: list[list[Any]]
) -> gr.Dataframe:
    """A table with a row of input fields above it, whose values can be added; call it after laying out the fields.

    Args:
        name: what the ids of its elements begin with.
        label: of the table.
        headers: of its columns, one for each field; the first holds words, the others numbers.
        fields: components whose values make a new line.
        beginning: the first lines.
    """
    with gr.Row():
        add = gr.Button("Add", size="sm", elem_id=f"{name}-add", min_width=80)
        drop = gr.Button("Remove the last", size="sm", elem_id=f"{name}-drop", min_width=120)
    numbers: list[Literal["number"]] = ["number"] * (len(headers) - 1)
    table = gr.Dataframe(
        beginning, headers=list(headers), datatype=["str", *numbers], type="array",
        column_count=len(headers), interactive=True, elem_id=f"{name}-table", label=label, buttons=[], max_height=260,
    )  # fmt: skip
    quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
    add.click(lambda rows, *values: [*_lines(rows), list(values)], [table, *fields], table, **quiet)
    drop.click(lambda rows: _lines(rows)[:-1] or None, table, table, **quiet)
    return table


def _lines(rows: Rows) -> list[list[Any]]:
    return [list(row) for _, row in filled(rows)]


def show_line(function: Callable[..., str], inputs: Mapping[Any, Any], name: str) -> None:
    """A timeline that is kept up to date: `function` renders it from the inputs, components with their first values."""
    line = gr.HTML(function(*inputs.values()), elem_id=name, padding=False)
    gr.on(
        [each.change for each in inputs], function, list(inputs), line,
        show_progress="hidden", queue=False, trigger_mode="always_last", api_visibility="private",
    )  # fmt: skip


def line_of_emotions(rows: Rows) -> str:
    """Emotions as coloured bars whose width is their duration; or an error message."""
    try:
        sequence = parse_blocks(rows)
    except UsageError as error:
        return complaint(error)
    blocks = "".join(
        f'<div style="flex:{each.duration:g};background:{COLOURS[each.emotion.value]}">{each.emotion.value} '
        f"{each.strength:g}<br>{each.duration:g} s</div>"
        for each in sequence.segments
    )
    return f'<div class="blocks" role="img" aria-label="line of time">{blocks}</div>{sequence.duration:g} seconds'


def tracks_of_changes(rows: Rows, seconds: float) -> str:
    """Changes of a clip as coloured bars below each other, at their times; or an error message.

    seconds: the clip's length, 0 if that is not known.
    """
    try:
        blocks = parse_changes(rows)
    except UsageError as error:
        return complaint(error)
    if not blocks:
        return ""
    last = max([seconds, *(each.end or each.start for each in blocks)]) or 1.0
    tracks = "".join(_tracks(blocks, last))
    length = f"{last:g} seconds" if seconds else ""
    return f'<div role="img" aria-label="line of time">{tracks}</div>{length}'


def _tracks(blocks: Sequence[Block], last: float) -> Iterator[str]:
    for each in blocks:
        left, right = 100 * each.start / last, 100 * (last if each.end is None else each.end) / last
        colour = COLOURS.get(each.slider.name, OTHER)
        yield (
            f'<div class="track"><div style="margin-left:{left:.1f}%;width:{right - left:.1f}%;background:{colour}">'
            f"{html.escape(each.slider.title)} {each.value:g}</div></div>"
        )


def complaint(error: Exception) -> str:
    """The error message."""
    return f'<div class="job failed" role="alert">{html.escape(str(error))}</div>'
