"""Errors, grouped by what the user can do about them.

Every error that the package raises deliberately derives from `LatentfaceError`. Its message is one line: what was
found, what was expected, what to do. The command line prints that line and exits with `exit_code`.
"""

from __future__ import annotations


class LatentfaceError(Exception):
    """Base class of all errors that latentface raises deliberately."""

    exit_code: int = 1


class UsageError(LatentfaceError, ValueError):
    """An argument, an option or the shape of a tensor is invalid (exit code 2)."""

    exit_code = 2


class InputError(LatentfaceError):
    """A photo, clip or latent cannot be used (exit code 3)."""

    exit_code = 3


class NoFaceFound(InputError):
    """The photo was read, but no face was found in it."""


class LatentMismatch(InputError):
    """Two latents, or a latent and a generator, do not belong to the same network."""


class WeightsError(LatentfaceError):
    """A weights file or checkpoint cannot be used (exit code 4)."""

    exit_code = 4


class UnknownNetwork(WeightsError):
    """There is no network and no file with this name."""


class OutputError(LatentfaceError):
    """The result cannot be written (exit code 5)."""

    exit_code = 5
