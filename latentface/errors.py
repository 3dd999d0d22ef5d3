"""What can go wrong, sorted by who can do something about it.

Every error the package raises on purpose derives from `LatentfaceError`. Its message is one line: what came, what was
expected, what to do. The command line prints that line and leaves with `exit_code`.
"""

from __future__ import annotations


class LatentfaceError(Exception):
    """Base of all errors raised on purpose; a bare one is our own fault (exit code 1)."""

    exit_code: int = 1


class UsageError(LatentfaceError, ValueError):
    """An argument, option or tensor shape makes no sense (exit code 2)."""

    exit_code = 2


class InputError(LatentfaceError):
    """A photo, clip or latent cannot be used (exit code 3)."""

    exit_code = 3


class NoFaceFound(InputError):
    """The photo was read, but no face was found in it."""


class LatentMismatch(InputError):
    """Two latents, or a latent and a generator, do not belong together."""


class WeightsError(LatentfaceError):
    """A weights file or checkpoint cannot be used (exit code 4)."""

    exit_code = 4


class UnknownNetwork(WeightsError):
    """No built-in network and no file goes by this name."""


class OutputError(LatentfaceError):
    """The result cannot be written (exit code 5)."""

    exit_code = 5
