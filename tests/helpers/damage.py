"""Files as bad disks, lost connections and strangers make them, for hypothesis; and what reading them may cost."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("LATENTFACE_FUZZ_EXAMPLES", "100"))
LONG_OR_SHORT = settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == 100)
MOST_SECONDS, MOST_MEMORY = 10.0, 1_500_000_000

#: What JSON may hold where something else is expected.
ODD = (
    None, True, -1, 0, 10**400, 1e308, float("nan"), float("-inf"), "", "x" * 2_000, "\ud800", [], {}, [[]],
    {"": None}, [1e308] * 5, 2**63,
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, contents: tuple[bytes, ...]) -> bytes:
    """One of the files with bytes flipped, a stretch overwritten or left out, its end cut, or another's beginning."""
    data = bytearray(draw(st.sampled_from(contents)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(("flip", "write", "claim", "drop", "cut", "swap"))):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "write":
                stretch = draw(st.binary(min_size=1, max_size=8))
                data[at : at + len(stretch)] = stretch
            case "claim":  # near the beginning, where sizes stand: terabytes
                at, size = draw(st.integers(0, 64)), draw(st.sampled_from((4, 8)))
                data[at : at + size] = b"\xff" * (size - 1) + b"\x7f"
            case "drop":
                del data[at : at + draw(st.integers(1, 64))]
            case "cut":
                del data[at:]
            case "swap":
                other, size = draw(st.sampled_from(contents)), draw(st.sampled_from((4, 12, 32, 100)))
                data[:size] = other[:size]
    return bytes(data)


@st.composite
def damaged_json(draw: st.DrawFn, content: Any) -> bytes:
    """JSON of some content in which values are odd or missing, or which is nested far too deeply."""
    if draw(st.integers(0, 19)) == 0:
        return b"[" * 100_000
    made = copy.deepcopy(content)
    for _ in range(draw(st.integers(1, 3))):
        node = made
        while isinstance(node, dict | list) and node:
            keys = list(node) if isinstance(node, dict) else range(len(node))
            key = draw(st.sampled_from(keys))
            if not isinstance(node[key], dict | list) or not node[key] or draw(st.integers(0, 2)) == 0:
                if isinstance(node, dict) and draw(st.integers(0, 4)) == 0:
                    del node[key]
                else:
                    node[key] = copy.deepcopy(draw(st.sampled_from(ODD)))  # the next change may be within it
                break
            node = node[key]
    return json.dumps(made).encode()


@contextmanager
def bounded() -> Iterator[None]:
    """Fails where a block takes too much processor time or memory."""
    began, before = time.process_time(), peak_memory()
    yield
    assert time.process_time() - began < MOST_SECONDS
    assert peak_memory() - before < MOST_MEMORY


def peak_memory() -> int:
    """The most memory that this process has held, in bytes; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
