"""Names of the files of a collection below its root.

collection.properties
lens_candidates_{UTC time}_{first 8 digits of the digest of the rows}/
    hats.properties, properties, partition_info.csv, moc.fits, publication.json
    dataset/_common_metadata
    dataset/Norder=5/Dir={pixel, rounded down to 10 000}/Npix={pixel}/{night, `undated` or `all`}.parquet
"""

from infra.store.storage import join

NAME = "lens_candidates"
"""Name of the collection for readers, and the beginning of the names of its versions."""
ORDER = 5
"""HEALPix order of the partitions, 1.8 deg: candidates are few, so a fixed order is enough and partitions never split."""
POINTER = "collection.properties"
PROPERTIES = ("hats.properties", "properties")
"""Two names of one content: readers of HATS look for the first, older ones for the second."""
PARTITIONS, MOC, MANIFEST, COMMON = "partition_info.csv", "moc.fits", "publication.json", "dataset/_common_metadata"
MERGED = "all"
"""Name of a leaf that holds several nights, in place of the night's."""
STAGING = ".publishing-"
"""Beginning of the name of the folder in which a publisher on a disk writes its leaves."""


def pointer_uri(collection_uri: str) -> str:
    """Return the URI of the file that names the version which readers see."""
    return join(collection_uri, POINTER)


def version_name(stamp: str, content: str) -> str:
    """Return the name of a version from its time and the digest of its rows."""
    return f"{NAME}_{stamp}_{content[:8]}"


def leaf_path(pixel: int, name: str) -> str:
    """Return the path of a leaf below its version."""
    return f"dataset/Norder={ORDER}/Dir={pixel // 10_000 * 10_000}/Npix={pixel}/{name}.parquet"


def is_of_publisher(folder: str) -> bool:
    """Return whether publishers make folders with such a name."""
    return folder.startswith((f"{NAME}_", STAGING))
