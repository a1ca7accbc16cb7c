"""Nights that are left to do: those whose tiles are there and that readers do not see."""

from collections.abc import Iterable
from datetime import date

from infra.errors import LensscanError
from infra.store.storage import absolute, exists
from scanner.catalogue.shown import shown_plans


class BackfillError(LensscanError):
    """The input does not say which night a tile belongs to, or some nights are not done."""


def nights_to_do(input_uri: str, root_uri: str, nights: Iterable[date], *, again: bool = False) -> list[date]:
    """Return the nights whose input exists and that readers do not see; with `again`, also those that they see.

    Raises:
        BackfillError: `input_uri` does not hold `{night}`.
        StorageError: the store failed.
    """
    if "{night}" not in input_uri:
        raise BackfillError(f"the input must hold {{night}}, which stands for the date, got {input_uri}")
    # A night whose plans were all forgotten has records, and shows none.
    seen = set() if again else {label for label, plans in shown_plans(absolute(root_uri)).items() if plans}
    there = [night for night in nights if night.isoformat() not in seen]
    return [night for night in there if exists(input_uri.replace("{night}", night.isoformat()))]
