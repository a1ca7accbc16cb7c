"""The files of an ensemble package as bytes: `card.json`, checked, and weights with the digests on the card; no torch."""

import json
from pathlib import Path

from pydantic import ValidationError

from infra.provenance import sha256_bytes
from infra.store.files import replace_whole
from scanner.networks.card import EnsembleCard
from scanner.networks.errors import PackageError
from scanner.networks.network_card import NetworkCard

CARD_FILE = "card.json"
MAX_CARD_BYTES = 2**24
MAX_WEIGHTS_BYTES = 2**30
_N_DIGITS = 12
"""Digits of the digest in the name of a file that is not of a network."""


def read_card(folder: Path) -> EnsembleCard:
    """Read and check the card of a package; weights are not read.

    Raises:
        PackageError: the card is missing or not JSON, or a key is missing, unknown or has a value out of range.
    """
    path = folder / CARD_FILE
    data = read_beside(path, MAX_CARD_BYTES, f"an ensemble package holds {CARD_FILE}")
    try:
        # Strict about types; from JSON, which has no tuples, lists are accepted for them.
        return EnsembleCard.model_validate_json(data, strict=True)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc'])) or 'card'}: {e['msg']}, got {_shown(e['input'])}" for e in error.errors()]
        raise PackageError(f"{path}: {'; '.join(problems)}") from error


def check_weights(folder: Path, card: EnsembleCard) -> None:
    """Check that each weights file of a package has the digest on the card; no network is built.

    Raises:
        PackageError: a weights file is missing, too large, or has another digest.
    """
    for network in card.all_networks:
        read_weights(folder, network)


def write_card(folder: Path, card: EnsembleCard) -> None:
    """Write or replace the card of a package; a concurrent reader gets the old card or the new one, whole."""
    with replace_whole(folder / CARD_FILE) as part:
        part.write_text(json.dumps(card.model_dump(mode="json"), indent=2) + "\n", encoding="utf-8")


def read_weights(folder: Path, card: NetworkCard) -> bytes:
    """Return the bytes of a network's weights file.

    Raises:
        PackageError: the file is missing, too large, or has another digest than the card says.
    """
    path = folder / card.weights_file
    data = read_beside(path, MAX_WEIGHTS_BYTES, f"{card.name} needs its weights")
    found = sha256_bytes(data)
    if found != card.sha256:
        raise PackageError(f"{path}: sha256 must be {card.sha256} as on the card, got {found}")
    return data


def write_beside(folder: Path, file: str, data: bytes) -> str:
    """Write a file of a package under a name with digits of its digest, as `file-0123456789ab.parquet`; return that name.

    A file that the card names stays as it is: after a kill, before the card names the new one, the package is the old one.
    """
    plain = Path(file)
    name = f"{plain.stem}-{sha256_bytes(data)[:_N_DIGITS]}{plain.suffix}"
    with replace_whole(folder / name) as part:
        part.write_bytes(data)
    return name


def files_beside(card: EnsembleCard) -> set[str]:
    """Return the names of the files that a card needs beside it."""
    others = (about.file for about in (card.nonlens_sample, card.feature_reference) if about is not None)
    return {*(network.weights_file for network in card.all_networks), *others}


def read_beside(path: Path, max_bytes: int, needed: str) -> bytes:
    """Return the bytes of a file of a package; `needed` says in the error why the package needs it.

    Raises:
        PackageError: the file is missing or too large.
    """
    try:
        n_bytes = path.stat().st_size
        data = path.read_bytes() if n_bytes <= max_bytes else b""
    except OSError as error:
        raise PackageError(f"{path}: cannot be read ({error.strerror}); {needed}") from error
    if n_bytes > max_bytes:
        raise PackageError(f"{path}: must have at most {max_bytes} bytes, got {n_bytes}")
    return data


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
