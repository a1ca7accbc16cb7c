"""Publish a catalogue with the known lenses and the cluster that options or settings name: for every command and flow."""

from functools import partial
from typing import TYPE_CHECKING, Any

from infra.errors import LensscanError
from infra.settings import Settings

if TYPE_CHECKING:
    from scanner.catalogue.known_lenses import KnownLenses
    from scanner.hats.publish import Publication

NO_TABLE = "none"
"""Value of the setting `known_lenses` for no table."""


class PublishArgumentsError(LensscanError):
    """The arguments name a table of known lenses, and forbid one."""


def publication(
    catalogue: str,
    collection: str,
    *,
    ray_address: str | None = None,
    known: str | None = None,
    no_known: bool = False,
    **options: Any,
) -> "partial[Publication]":
    """Check places and known lenses, which comes before long work, and return the call that publishes.

    Args:
        catalogue: Folder or prefix of the catalogue.
        collection: Folder or prefix of the collection.
        ray_address: Ray cluster that publishes; by default that of the settings.
        known: Table of known lenses, as for `chosen_known`.
        no_known: Whether to match none.
        options: Other options of `publish`.

    Raises:
        LensscanError: the collection is no place for one, or the known lenses cannot be read.
    """
    # Imported here, because few scans publish.
    from scanner.hats.publish import checked_roots, publish

    checked_roots(catalogue, collection)
    address = ray_address or Settings.read().ray_address
    return partial(publish, catalogue, collection, known=chosen_known(known, no_known=no_known), ray_address=address, **options)


def publish_after(done: str, publish: "partial[Publication]", then: str = "") -> str:
    """Publish after other work, and return the version; an error says what is done, and which commands do the rest.

    Raises:
        PublishError: the catalogue cannot be published.
    """
    from scanner.hats.errors import PublishError

    try:
        return publish().version
    except (LensscanError, OSError) as error:
        catalogue, collection = publish.args
        raise PublishError(
            f"{done}, but the catalogue is not published: {error}. Once that is mended, run "
            f"`lensscan publish {catalogue} {collection}`{then}"
        ) from error


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
