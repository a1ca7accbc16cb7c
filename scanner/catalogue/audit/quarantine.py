"""Name the files in quarantine: they are below the catalogue's root, under names that no reader looks for."""

from infra.store.storage import join, list_files

FOLDER = "quarantine"
DAMAGED = ".damaged"
SUPERSEDED = ".superseded"
"""Suffix of files that were intact but referred to a damaged file."""


def quarantine_uri(root_uri: str, uri: str, sha256: str, suffix: str) -> str:
    """Return the URI in quarantine for a file, from its old path and its content: equal content gives the same URI."""
    return join(root_uri, FOLDER, _name(root_uri, uri, sha256) + suffix)


class Condemned:
    """Index of the files that repairs have found to be damaged, from one listing of the quarantine.

    An interrupted repair may have removed the seal, the only evidence of the damage: then the copy in quarantine shows it.
    """

    def __init__(self, root_uri: str) -> None:
        self._root = root_uri
        files = list_files(join(root_uri, FOLDER), DAMAGED)
        self._names = {file.uri.rpartition(f"/{FOLDER}/")[2] for file in files}

    def has(self, uri: str, sha256: str) -> bool:
        """Return whether a file with this URI and this content was copied to quarantine as damaged."""
        return _name(self._root, uri, sha256) + DAMAGED in self._names


def _name(root_uri: str, uri: str, sha256: str) -> str:
    return f"{uri.removeprefix(root_uri.rstrip('/') + '/')}.{sha256[:16]}"
