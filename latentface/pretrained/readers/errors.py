"""Reasons why a file cannot be read, without its name; `read_checkpoint` prepends the name of the file."""

from __future__ import annotations


class Unreadable(Exception):
    """The message is a predicate: "is a StyleGAN3 network, ..."."""


def damaged(reason: str) -> Unreadable:
    """The error for a file that violates its own format."""
    line = " ".join(reason.split())[:160]
    return Unreadable(f"is damaged or truncated ({line}): download the file again")


def not_supported(what: str) -> Unreadable:
    """The error for an intact file of another kind."""
    return Unreadable(f"is {what}, not supported: give a StyleGAN2 network file")
