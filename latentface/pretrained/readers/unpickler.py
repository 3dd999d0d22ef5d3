"""A pickle interpreter that builds plain data and executes nothing.

Network files in this field are pickles, and a pickle is a program that runs when it is unpickled. This interpreter
implements the instructions without access to Python. A global is a name to look up in `GLOBALS`, where it is either
recorded (`Instance`) or handled by one of a few builders below; any other name is refused. Nothing is imported, no
class is instantiated, no method from the file is called, and source code in it stays text.

Memory and time are bounded by the size of the file: lengths are checked against the available bytes, long byte strings
are views into the file, instructions are counted, and dictionary keys are strings or integers, whose hashes are cheap.
"""

from __future__ import annotations

import itertools
import pickletools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from latentface.pretrained.readers.errors import Unreadable, damaged

MOST_INSTRUCTIONS = 500_000  # a published 1024 px file with all its networks has about 100,000
MOST_INTEGER_KEYS = 5_000  # integers can be chosen to collide in a dictionary, strings cannot
LONGEST_INTEGER = 128  # bits
SHORT = 1 << 16  # bytes; longer byte strings are views into the file, not copies

Persistent = Callable[[Any], Any]


@dataclass(eq=False)
class Instance:
    """An object in the file, recorded but not created: its global, its arguments, and its state."""

    kind: str
    args: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True)
class Global:
    """An allowed global on the stack: `module.name`."""

    name: str


def _empty() -> dict[Any, Any]:
    return {}


def _ordered(pairs: Any = None) -> dict[Any, Any]:
    """An OrderedDict: empty, to be filled, or with a list of its pairs, as Python 2 pickled it."""
    found: dict[Any, Any] = {}
    for pair in [] if pairs is None else pairs:
        if not isinstance(pair, (list, tuple)) or len(pair) != 2 or type(pair[0]) is not str:
            raise damaged("an OrderedDict of something else than names and values")
        found[pair[0]] = pair[1]
    if isinstance(pairs, list):
        pairs.clear()  # a list that is referenced a thousand times must not become a thousand dictionaries
    return found


def _first(value: Any, *_: Any) -> Any:
    return value


#: Every allowed global. A function computes the value from the arguments, without a copy; None records an Instance.
GLOBALS: dict[str, Callable[..., Any] | None] = {
    "torch_utils.persistence._reconstruct_persistent_obj": None,
    "dnnlib.tflib.network.Network": None,
    "dnnlib.util.EasyDict": _empty,
    "dnnlib.EasyDict": _empty,
    "argparse.Namespace": None,
    **{
        f"{module}.{kind}": None  # a path among the settings: recorded, never opened
        for module in ("pathlib", "pathlib._local")
        for kind in ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
    },
    "collections.OrderedDict": _ordered,
    "builtins.set": _first,
    "__builtin__.set": _first,
    "_codecs.encode": None,
    "numpy.dtype": None,
    "numpy.ndarray": None,
    "numpy.core.multiarray.scalar": None,
    "numpy.core.multiarray._reconstruct": None,
    "numpy.core.numeric._frombuffer": None,
    "torch.Size": _first,
    "torch.device": None,
    "torch.storage._load_from_bytes": None,
    "torch._utils._rebuild_tensor": None,
    "torch._utils._rebuild_tensor_v2": None,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    **{
        f"torch.{kind}Storage": None
        for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
    },
    "torch.storage.UntypedStorage": None,
    **{f"torch.{dtype}": None for dtype in ("float32", "float16", "bfloat16", "float64", "int64", "uint8", "bool")},
}


def unpickle(data: memoryview, start: int = 0, persistent: Persistent | None = None) -> tuple[Any, int]:
    """Interpret the pickle that begins at `start` in `data`; return its value and the offset after it.

    Args:
        data: the file, or the part of it that contains the pickle.
        start: where the pickle begins, in bytes.
        persistent: computes the value for a persistent id; without it such ids are refused.

    Raises:
        Unreadable: a global outside `GLOBALS`, an unsupported instruction, a malformed or truncated pickle.
    """
    machine = _Machine(persistent)
    cursor = _Cursor(data, start)
    try:
        # wrong types are detected by the operations themselves; here the error gets a message
        instructions = pickletools.genops(cursor)  # type: ignore[arg-type]
        for opcode, argument, _ in itertools.islice(instructions, MOST_INSTRUCTIONS):
            machine.step(opcode.name, argument)
        if not machine.stopped:
            raise damaged(f"its pickle has more than {MOST_INSTRUCTIONS} instructions")
        return machine.pop(), cursor.at
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, struct.error) as error:
        raise damaged(str(error) or type(error).__name__) from error


class _Cursor:
    """The input of pickletools: short pieces as bytes, long ones as views."""

    def __init__(self, data: memoryview, at: int) -> None:
        self.data, self.at = data, at

    def read(self, count: int) -> bytes | memoryview:
        part = self.data[self.at : self.at + count]
        self.at += len(part)
        return part if len(part) > SHORT else bytes(part)

    def readline(self) -> bytes:
        line, newline, _ = bytes(self.data[self.at : self.at + SHORT]).partition(b"\n")
        if b"\\" in line:
            raise ValueError("escapes in the name of a global")
        self.at += len(line) + len(newline)
        return line + newline

    def tell(self) -> int:
        return self.at


# the textual instructions of protocol 0 are not supported: no network was ever written with it
PUSH_ARGUMENT = frozenset((
    "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINSTRING", "SHORT_BINSTRING", "BINUNICODE",
    "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
))  # fmt: skip
PUSH_NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list,
}  # fmt: skip
PUT = frozenset(("BINPUT", "LONG_BINPUT"))
GET = frozenset(("BINGET", "LONG_BINGET"))
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
NOTHING_TO_DO = frozenset(("PROTO", "FRAME"))


class _Machine:
    """Stack, marks and memo; `step` executes one instruction. Sets are lists here, since membership is never tested."""

    def __init__(self, persistent: Persistent | None) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each mark
        self.memo: dict[int, Any] = {}
        self.integer_keys = 0
        self.stopped = False
        self.persistent = persistent

    def pop(self) -> Any:
        return self.stack.pop()

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def step(self, name: str, argument: Any) -> None:
        if name in PUSH_ARGUMENT:
            if type(argument) is int and argument.bit_length() > LONGEST_INTEGER:
                raise ValueError("an integer of thousands of digits")
            self.stack.append(argument)
        elif name in PUSH_NEW:
            self.stack.append(PUSH_NEW[name]())
        elif name in GET:
            self.stack.append(self.memo[argument])
        elif name in PUT:
            self.memo[argument] = self.stack[-1]
        elif name in TUPLES:
            count = TUPLES[name]
            if len(self.stack) < count:
                raise ValueError("stack underflow")
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name not in NOTHING_TO_DO:
            act = getattr(self, f"do_{name.lower()}", None)
            if act is None:
                raise damaged(f"the pickle instruction {name}, which no writer of networks uses")
            act(argument)

    def do_memoize(self, _: object) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_mark(self, _: object) -> None:
        self.below.append(self.stack)
        self.stack = []

    def do_pop(self, _: object) -> None:
        self.stack.pop()

    def do_pop_mark(self, _: object) -> None:
        self.pop_mark()

    def do_dup(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def do_stop(self, _: object) -> None:
        self.stopped = True

    def do_tuple(self, _: object) -> None:
        items = self.pop_mark()
        self.stack.append(tuple(items))

    do_frozenset = do_tuple

    def do_list(self, _: object) -> None:
        items = self.pop_mark()
        self.stack.append(items)

    def do_dict(self, _: object) -> None:
        items = self.pop_mark()
        self.stack.append({})
        self._set(items)

    def do_append(self, _: object) -> None:
        item = self.pop()
        self._list().append(item)

    def do_appends(self, _: object) -> None:
        items = self.pop_mark()
        self._list().extend(items)

    do_additems = do_appends

    def do_setitem(self, _: object) -> None:
        value, key = self.pop(), self.pop()
        self._set([key, value])

    def do_setitems(self, _: object) -> None:
        self._set(self.pop_mark())

    def do_global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._global(module, name)

    def do_stack_global(self, _: object) -> None:
        name, module = self.pop(), self.pop()
        self._global(module, name)

    def do_reduce(self, _: object) -> None:
        args, maker = self.pop(), self.pop()
        if not isinstance(maker, Global) or not isinstance(args, tuple):
            raise ValueError("a call of something that is not a global")
        build = GLOBALS[maker.name]
        self.stack.append(Instance(maker.name, args) if build is None else build(*args))

    do_newobj = do_reduce

    def do_build(self, _: object) -> None:
        state = self.pop()
        if isinstance(self.stack[-1], Instance):
            self.stack[-1].state = state
        elif not isinstance(self.stack[-1], dict):  # the attributes of an OrderedDict (_metadata) are not read
            raise ValueError("state for something that is not an object")

    def do_binpersid(self, _: object) -> None:
        if self.persistent is None:
            raise ValueError("a reference to data outside the pickle")
        self.stack.append(self.persistent(self.pop()))

    def _list(self) -> list[Any]:
        if not isinstance(self.stack[-1], list):
            raise ValueError("items for something that is not a list")
        return self.stack[-1]

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError("items for something that is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is not str:
                self.integer_keys += 1
                if type(key) is not int or self.integer_keys > MOST_INTEGER_KEYS:
                    raise ValueError("dictionary keys that are neither text nor few integers")
            target[key] = value

    def _global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a global whose name is not text")
        full = f"{module}.{name}".replace("numpy._core.", "numpy.core.", 1)
        if full not in GLOBALS:
            raise refusal(full)
        self.stack.append(Global(full))


#: Prefixes of globals that identify files of other kinds.
KNOWN_STRANGERS = {
    "tfutil": "a Progressive GAN network",
    "tensorflow": "a TensorFlow object",
    "omegaconf": "a checkpoint with an OmegaConf configuration",
    "pytorch_lightning": "a PyTorch Lightning checkpoint",
    "torch.nn.modules": "a whole PyTorch module, saved with its classes",
}


def refusal(name: str) -> Unreadable:
    """The message for a file that needs the global `name`."""
    shown = name if len(name) <= 80 and name.isprintable() else ascii(name)[:80]
    for start, what in KNOWN_STRANGERS.items():
        if name.startswith(start):
            return Unreadable(f"is {what} (it refers to {shown}), not supported: give a StyleGAN2 network file")
    return Unreadable(f"wants to load {shown!r}, which no StyleGAN2 file needs: refused, nothing was run")
