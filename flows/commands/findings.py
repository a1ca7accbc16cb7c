"""Findings of `lensscan doctor`: what a check looked at, what it found, and how to mend it."""

from enum import StrEnum

from infra.frozen import Frozen


class State(StrEnum):
    """Results of a check."""

    OK = "ok"
    WARNING = "warning"
    """A scan starts, and something is not as it should be."""
    FAILED = "failed"
    """A scan would not start, or not end."""


class Finding(Frozen):
    """One line of the report."""

    what: str
    state: State
    found: str
    mend: str = ""
    """Advice; empty if all is well."""


def ok(what: str, found: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(what=what, state=State.OK, found=found)


def warned(what: str, found: str, mend: str) -> Finding:
    """Return a finding that stops no scan."""
    return Finding(what=what, state=State.WARNING, found=found, mend=mend)


def failed(what: str, found: str, mend: str) -> Finding:
    """Return a finding that stops a scan."""
    return Finding(what=what, state=State.FAILED, found=found, mend=mend)
