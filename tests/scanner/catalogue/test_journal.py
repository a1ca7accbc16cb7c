"""Entries of a night's journal: one writer wins each number, also where a listing lags, and damaged ones are named."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scanner.catalogue import journal
from scanner.catalogue.journal import Entry, Event, JournalError, append, entries, first_numbers
from scanner.catalogue.paths import entry_uri
from tests.scanner.catalogue_parts import NIGHT

A, B, C = "a" * 64, "b" * 64, "c" * 64


def add(root, plan_id, event=Event.SHOWN):
    return append(root, NIGHT, Entry(event=event, plan_id=plan_id, threshold=0.5), lambda entry: entry.event is event)


def test_writers_at_once_take_different_numbers(tmp_path):
    plans = [f"{i:064x}" for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda plan_id: add(str(tmp_path), plan_id), plans))
    found = entries(str(tmp_path))[NIGHT]
    assert [entry.number for entry in found] == list(range(8, 0, -1))
    assert sorted(found, key=lambda entry: entry.plan_id) == written


def test_a_listing_that_lags_costs_no_entry(tmp_path, monkeypatch):
    """The listing shows nothing at first, as behind a cache: the next free number is found all the same."""
    root, listed = str(tmp_path), journal.list_files
    for plan_id in (A, B):
        add(root, plan_id)
    monkeypatch.setattr(journal, "list_files", lambda *_: [])
    assert add(root, C).number == 3
    monkeypatch.setattr(journal, "list_files", listed)
    assert [entry.plan_id for entry in entries(root)[NIGHT]] == [C, B, A]


def test_the_oldest_entry_tells_which_plan_is_newer(tmp_path):
    for plan_id, event in ((A, Event.HELD), (B, Event.HELD), (A, Event.SHOWN), (C, Event.ASKED)):
        add(str(tmp_path), plan_id, event)
    assert first_numbers(entries(str(tmp_path))[NIGHT]) == {A: 1, B: 2, C: 4}


@pytest.mark.parametrize("content", [b"", b"{}", b'{"event":"shown","plan_id":"x","threshold":0.5}'])
def test_a_damaged_entry_is_named(tmp_path, content):
    root = str(tmp_path)
    add(root, A)
    Path(entry_uri(root, NIGHT, 1)).write_bytes(content)
    for read in (lambda: entries(root), lambda: add(root, B)):
        with pytest.raises(JournalError, match=r"00000001\.json: not an entry of a night's journal; `lensscan repair`"):
            read()
