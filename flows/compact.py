"""The Prefect flow that merges the files of a published collection."""

from prefect import flow

from flows.commands.publish import publication
from flows.retries import retried
from scanner.hats.publish import Publication


@flow(name="compact", persist_result=True, result_serializer="json")
def compact(root_uri: str, publish_to: str, keep: int = 7, ray_address: str | None = None) -> Publication:
    """Publish a catalogue with one file in each partition of the sky; a second run writes nothing.

    Args:
        root_uri: Folder or `s3://` prefix of the catalogue.
        publish_to: Folder or `s3://` prefix of the HATS collection.
        keep: Number of versions of the collection to keep.
        ray_address: Ray cluster that writes nights side by side; the configured one by default.
    """
    return retried("compact", publication(root_uri, publish_to, keep=keep, compact=True, ray_address=ray_address))
