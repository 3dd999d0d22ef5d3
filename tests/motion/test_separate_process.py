"""Functions of pictures in another process: state, errors, ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import numpy as np
import pytest

from latentface.errors import InputError, LatentfaceError
from latentface.motion.separate_process import SeparateProcess
from tests.helpers import lookers

BLACK, WHITE = (np.full((4, 6, 3), shade, np.uint8) for shade in (0, 255))
GREY = np.arange(96, dtype=np.uint8).reshape(4, 6, 4)[..., :3]  # not contiguous, as a frame without its alpha


def apart(look: Callable[..., object]) -> Callable[[np.ndarray], object]:
    return SeparateProcess(lookers.__name__).run(look, GREY)


def test_a_function_keeps_its_state_over_there_and_knows_nothing_of_the_trial() -> None:
    look = apart(lookers.Counter())
    (process, *first), (again, *second) = look(GREY), look(WHITE)
    assert process == again != os.getpid()
    assert (first, second) == ([1, GREY.sum()], [2, WHITE.sum()])


def test_errors_are_raised_here_and_what_is_printed_is_no_answer() -> None:
    look = apart(lookers.refuse_white)
    with pytest.raises(InputError, match="a white picture"):
        look(WHITE)
    assert look(GREY) == "grey"
    with pytest.raises(LatentfaceError, match="ended with code 3; is there enough memory"):
        look(BLACK)
    with pytest.raises(LatentfaceError, match="ended with code 3"):
        look(GREY)


@pytest.mark.skipif(os.name == "nt", reason="there os.kill ends a process, whatever the signal")
def test_ctrl_c_is_left_to_the_program() -> None:
    look = apart(lookers.Counter())
    process, *_ = look(GREY)
    os.kill(process, signal.SIGINT)
    assert look(GREY) == (process, 2, GREY.sum())


def test_it_ends_with_the_last_that_uses_it() -> None:
    separate = SeparateProcess(lookers.__name__)
    process, look = separate._process, separate.run(lookers.Counter(), GREY)
    del separate
    look(GREY)
    assert process.poll() is None
    del look
    assert process.poll() is not None
