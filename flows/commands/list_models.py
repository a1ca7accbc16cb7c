"""`lensscan models list`: what each known ensemble is good for."""

from textwrap import shorten
from typing import Any

from infra.settings import Settings
from scanner.networks.card import EnsembleCard
from scanner.networks.card_file import read_card
from scanner.networks.errors import PackageError
from scanner.networks.locate import list_packages
from scanner.vocabulary.bands import EUCLID

_UNKNOWN = "unknown"
_LETTERS = 70
"""Number of letters shown of the description of an ensemble without a purpose."""


def listed_models() -> list[dict[str, Any]]:
    """Return a row for each ensemble that can be named; one that cannot be read says so."""
    settings = Settings.read()
    rows: list[dict[str, Any]] = []
    for folder in list_packages(settings.ensembles_dir):
        try:
            described = _described(read_card(folder))
        except PackageError:
            described = {
                "purpose": "nothing: it is damaged",
                **dict.fromkeys(("networks", "geometry", "bands", "auroc_own_test")),
            }
        origin = {"name": folder.name, "is_default": folder.name == settings.ensemble, "folder": str(folder)}
        rows.append({**origin, **described})
    return rows


def _described(card: EnsembleCard) -> dict[str, Any]:
    read = {channel.band for network in card.all_networks for channel in network.channels}
    metrics = card.metrics
    auroc = f"{metrics['auroc']:.3f}" if "auroc" in metrics else _UNKNOWN
    if {"auroc_low", "auroc_high"} <= metrics.keys():
        auroc += f" ({metrics['auroc_low']:.3f}-{metrics['auroc_high']:.3f})"
    return {
        # Without a purpose, the beginning of the description.
        "purpose": card.purpose or shorten(card.description, _LETTERS, placeholder=" …"),
        "networks": len(card.all_networks),
        "geometry": card.geometry,
        "bands": " ".join(band for band in EUCLID if band in read),
        # Ensembles were tested on objects of different difficulty, so a name that invites comparison would mislead.
        "auroc_own_test": auroc,
    }
