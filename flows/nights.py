"""The nights that a flow run is about."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal

from prefect.runtime import flow_run

from infra.errors import LensscanError

AnyNight = date | Literal["none"] | None
"""A date, `none` for a survey without nights, or None for the scheduled day of the run."""


class NightsError(LensscanError):
    """The dates of a flow run are in the wrong order, or its input is the same for all of them."""


def dated(night: AnyNight | str) -> date | None:
    """Return the date of a night; None for a survey without nights.

    A run that starts late has the day that it was scheduled for, in UTC.
    """
    return night_of(night, flow_run.scheduled_start_time.date()) if night is None else night_of(night, date.min)


def run_name() -> str:
    """Return the name of a run on Prefect's pages: its flow and its night, such as `nightly 2026-11-24`."""
    night = dated(flow_run.parameters.get("night"))
    return f"{flow_run.flow_name} {night or 'none'}"


def night_of(night: AnyNight | str, day: date) -> date | None:
    """Return the date that a parameter stands for, in a run that was scheduled for `day`; None for a survey without nights."""
    if night is None:
        return day
    if isinstance(night, date):
        return night
    return None if night == "none" else date.fromisoformat(night)


def nights_between(since: date, until: date) -> Iterator[date]:
    """Yield the dates from `since` to `until`, both included.

    Raises:
        NightsError: `until` is before `since`.
    """
    if until < since:
        raise NightsError(f"until must not be before since, {since}, got {until}")
    yield from (since + timedelta(days=i) for i in range((until - since).days + 1))


def check_input(input_uri: str, night: date | None) -> None:
    """Check that a dated night has an input of its own: without `{night}` it would scan the tiles of all nights as its own.

    Raises:
        NightsError: `input_uri` does not hold `{night}`.
    """
    if night is not None and "{night}" not in input_uri:
        raise NightsError(
            f"the input of a dated night must hold {{night}}, which stands for the date, got {input_uri}; a survey without "
            "nights is scanned with the night none"
        )
