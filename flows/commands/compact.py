"""Merge the files of the nights in each partition of a published collection."""

from flows.commands.publish import chosen_known
from infra.settings import Settings
from scanner.hats.publish import Publication, publish


def compact_collection(root_uri: str, collection: str, keep: int, ray_address: str | None) -> Publication:
    """Publish a catalogue compactly, as `lensscan publish --compact` does; raises as `publish`."""
    address = ray_address or Settings.read().ray_address
    return publish(root_uri, collection, keep=keep, compact=True, known=chosen_known(), ray_address=address)
