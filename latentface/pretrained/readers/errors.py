"""Why a file cannot be read, said without naming it; `read_checkpoint` puts the file's name in front."""

from __future__ import annotations


class Unreadable(Exception):
    """The message is a predicate: "is a StyleGAN3 network, ..."."""


def damaged(reason: str) -> Unreadable:
    """A file that breaks the rules of its own format."""
    line = " ".join(reason.split())[:160]
    return Unreadable(f"is damaged or cut short ({line}): get the file again")


def not_supported(what: str) -> Unreadable:
    """A file that is whole, but of another kind."""
    return Unreadable(f"is {what}, not supported: give a StyleGAN2 network file")
