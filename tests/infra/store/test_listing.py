"""A listing is complete or an error: a file missing from it would silently be missing from a plan."""

import pytest

from infra.store.files import FileInfo
from infra.store.storage import StorageError, exists, list_files
from tests.infra.stores import ListingStore, serving

pytestmark = pytest.mark.server
ROOT = "s3://bucket/in"


@pytest.fixture
def store(monkeypatch):
    with serving(ListingStore, monkeypatch) as server:
        yield server


def test_all_pages_are_listed_sorted_without_folders_and_hidden_files(store):
    store.pages = {
        "": (["in/b", "in/folder/"], "1"),
        "1": ([], "2"),
        "2": (["in/folder/a", "in/.hidden"], None),
    }
    assert list_files(ROOT) == [FileInfo(f"{ROOT}/b", 7, "e-in/b"), FileInfo(f"{ROOT}/folder/a", 7, "e-in/folder/a")]


@pytest.mark.parametrize(
    "pages",
    [
        {"": (["in/a"], "")},
        {"": (["in/a"], "1"), "1": (["in/b"], "")},
        {"": (["in/a"], "1"), "1": (["in/b"], "1")},
    ],
    ids=["no token", "no second token", "the same token again"],
)
def test_a_listing_that_breaks_off_raises_an_error(store, pages):
    store.pages = pages
    with pytest.raises(StorageError, match=f"^{ROOT}: the store does not go on with its listing$"):
        list_files(ROOT)


def test_only_a_bucket_lost_during_a_listing_raises_an_error(store):
    store.pages = {"": (["in/a"], "1")}
    with pytest.raises(StorageError, match=f"^{ROOT}: went away while it was listed$"):
        list_files(ROOT)
    store.pages = {}
    assert list_files(ROOT) == []
    assert not exists(ROOT)
