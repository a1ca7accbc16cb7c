"""Where files lie that were taken out of a catalogue: below its root, under names that no reader looks for."""

from infra.store.storage import join, list_files

FOLDER = "quarantine"
DAMAGED = ".damaged"
SUPERSEDED = ".superseded"
"""Of what was intact and referred to something damaged."""


def quarantine_uri(root_uri: str, uri: str, sha256: str, suffix: str) -> str:
    """The place of a file with that content, whose name tells where it was: equal content comes to the same place."""
    return join(root_uri, FOLDER, _name(root_uri, uri, sha256) + suffix)


class Condemned:
    """What repairs have found to be damaged so far, by listing the quarantine once.

    A repair that was cut short may have removed the seal that told the damage: then the copy tells it.
    """

    def __init__(self, root_uri: str) -> None:
        self._root = root_uri
        files = list_files(join(root_uri, FOLDER), DAMAGED)
        self._names = {file.uri.rpartition(f"/{FOLDER}/")[2] for file in files}

    def has(self, uri: str, sha256: str) -> bool:
        """Was a file with this very content taken from this place?"""
        return _name(self._root, uri, sha256) + DAMAGED in self._names


def _name(root_uri: str, uri: str, sha256: str) -> str:
    return f"{uri.removeprefix(root_uri.rstrip('/') + '/')}.{sha256[:16]}"
