"""The table of known lenses that a publication matches candidates with; `lensscan publish` and `scan --publish-to` ask here."""

from typing import TYPE_CHECKING

from infra.errors import LensscanError
from infra.settings import Settings

if TYPE_CHECKING:
    from scanner.catalogue.known_lenses import KnownLenses

NO_TABLE = "none"
"""Value of the setting `known_lenses` for no table."""


class PublishArgumentsError(LensscanError):
    """The arguments name a table of known lenses, and forbid one."""


def chosen_known(known: str | None = None, *, no_known: bool = False) -> "KnownLenses | None":
    """Return the table of a file, else of the setting `known_lenses`, else of lenscat; None for no table.

    Raises:
        PublishArgumentsError: a file is named, and `no_known` is true.
        LensscanError: a setting has an invalid value, or the table cannot be read.
    """
    if no_known and known is not None:
        raise PublishArgumentsError(f"give --known {known} or --no-known, not both")
    named = known or Settings.read().known_lenses
    if no_known or (known is None and named == NO_TABLE):
        return None
    from scanner.catalogue.known_lenses import packaged_known, read_known

    return read_known(named) if named else packaged_known()
