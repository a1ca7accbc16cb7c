"""Columns of networks' probabilities are named after the networks, so that SQL, VOTable and Python need no quotes."""

from collections import defaultdict
from collections.abc import Iterable

from scanner.vocabulary.kinds import KINDS

P_PREFIX = "p_"


def kind_column_name(kind: str) -> str:
    """Return the name of the column with the probability of a kind of lens, if the object is a lens."""
    return f"{P_PREFIX}{kind}_given_lens"


KIND_P = tuple(kind_column_name(kind) for kind in KINDS[1:])
COMBINED_P = ("p_lens", "p_compound", *KIND_P)
"""Columns that begin like those of networks, but belong to the ensemble."""


def network_column_name(network: str) -> str:
    """Return `p_` and the network's name, with `_` for every character outside A-Z, a-z, 0-9: `p_compact_sky`."""
    return P_PREFIX + "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in network)


def check_network_columns(networks: Iterable[str]) -> None:
    """Check that every network has a column of its own; readers that ignore case must tell the columns apart as well.

    Raises:
        ValueError: two networks, or a network and the ensemble, share a column.
    """
    sharing: dict[str, list[str]] = defaultdict(list)
    for network in networks:
        sharing[network_column_name(network).lower()].append(network)
    for column, names in sharing.items():
        if column in COMBINED_P:
            raise ValueError(f"a network may not be called {names[0]!r}: {column} is a column of the ensemble")
        if len(names) > 1:
            raise ValueError(f"every network needs a column of its own, but {names} share {column} (case does not count)")
