"""Checks of the stores of the catalogue and of the tiles: what they must be able to do, credentials, and the clock."""

from collections.abc import Iterator

from flows.commands.findings import Finding, failed, ok, warned
from infra.store.files import StorageError
from infra.store.s3_access import access_to
from infra.store.s3_client import credentials_source
from infra.store.semantics import check_tiles, check_writes, clock_skew_s, existing_place
from infra.store.storage import check_folder, is_s3, probe

MOST_SKEW_S, MOST_SIGNED_SKEW_S = 60.0, 900.0
"""Differences of clocks: up to the first, times in records can be compared; beyond the second, S3 refuses signed requests."""
_ACCESS = "check the URI, the endpoint (AWS_ENDPOINT_URL), and the rights of the credentials"


def catalogue_store(uri: str) -> Iterator[Finding]:
    """Check credentials and clock, then on scratch files all that a catalogue needs of its store."""
    yield from _credentials("catalogue", uri)
    yield from _clock("catalogue", uri)
    try:
        check_folder(uri)
        place = existing_place(uri)
        probe(place)
    except StorageError as error:
        advice = "put the catalogue on a store with conditional writes; tiles may stay there"
        refusal = _ACCESS if is_s3(uri) else "choose a folder that you can write to"
        yield failed("catalogue", str(error), advice if "If-None-Match" in str(error) else refusal)
        return
    yield ok("catalogue", f"{place}: a file is created only once, also by two writers at a time")
    try:
        check_writes(place)
    except StorageError as error:
        yield failed("catalogue", str(error), _ACCESS if is_s3(uri) else "choose another file system")
        return
    yield ok("catalogue", f"{place}: what is written is read back, in whole and in part, and listed")


def tiles_store(uri: str) -> Iterator[Finding]:
    """Check credentials, and that a part of a file can be read."""
    yield from _credentials("tiles", uri)
    try:
        file = check_tiles(uri)
    except FileNotFoundError:
        yield failed("tiles", f"{uri}: holds no file", "check the URI; if the tiles are yet to come, ask again then")
    except StorageError as error:
        yield failed("tiles", str(error), _ACCESS if is_s3(uri) else "check the folder and its permissions")
    else:
        yield ok("tiles", f"{file.uri}: a part of it can be read")


def _credentials(what: str, uri: str) -> Iterator[Finding]:
    if not is_s3(uri):
        return
    bucket = uri.removeprefix("s3://").partition("/")[0]
    if access_to(bucket).is_anonymous:
        yield ok(f"{what} credentials", f"bucket {bucket} is read without any")
    elif (source := credentials_source()) is None:
        advice = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role"
        yield failed(f"{what} credentials", "none found", f"{advice}; a public bucket needs `--anonymous` in the scan")
    else:
        yield ok(f"{what} credentials", f"found ({source})")


def _clock(what: str, uri: str) -> Iterator[Finding]:
    try:
        skew_s = clock_skew_s(uri)
    except StorageError:
        # The next check reports a store that does not answer.
        return
    if skew_s is None:
        yield warned("clock", f"the store of the {what} does not tell the time", "see that this machine runs NTP")
        return
    ahead = "ahead of" if skew_s > 0 else "behind"
    told = f"the store of the {what} is {abs(skew_s):.0f} s {ahead} this machine"
    mend = "set this machine's clock (timedatectl set-ntp true), or the store's"
    if abs(skew_s) > MOST_SIGNED_SKEW_S:
        yield failed("clock", f"{told}; S3 refuses requests that are off by 15 minutes", mend)
    elif abs(skew_s) > MOST_SKEW_S:
        yield warned("clock", f"{told}, so times in records mislead", mend)
    else:
        yield ok("clock", told)
