"""Index the files in quarantine: they are below the catalogue's root, under names that no reader looks for."""

from infra.store.storage import join, list_files
from scanner.catalogue.paths import QUARANTINE, path_below, quarantine_name

DAMAGED = ".damaged"
SUPERSEDED = ".superseded"
"""Suffix of files that were intact but referred to a damaged file."""


class QuarantineIndex:
    """Index of the files that repairs have found to be damaged, from one listing of the quarantine.

    An interrupted repair may have removed the seal, the only evidence of the damage: then the copy in quarantine shows it.
    """

    def __init__(self, root_uri: str) -> None:
        self._root = root_uri
        self._names = {path_below(file.uri, QUARANTINE) for file in list_files(join(root_uri, QUARANTINE), DAMAGED)}

    def holds_damaged(self, uri: str, sha256: str) -> bool:
        """Return whether a file with this URI and this content was copied to quarantine as damaged."""
        return quarantine_name(self._root, uri, sha256) + DAMAGED in self._names
