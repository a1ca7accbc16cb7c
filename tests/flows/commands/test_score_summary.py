"""The words and numbers that `lensscan score` prints."""

from dataclasses import replace

import pyarrow as pa

from flows.commands.score_summary import N_BEST, guess_of, summary_of, warnings_of
from flows.commands.words import counted
from scanner.networks.card_file import read_card
from scanner.networks.locate import SHIPPED_DIR
from scanner.sources.manifests import Manifest

CARD = read_card(SHIPPED_DIR / "mer3-sim")


def test_numbers_have_their_nouns():
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]


def table_of(p_lens):
    status = ["scored" if p is not None else "rejected:blank" for p in p_lens]
    detail = ["guessed: x; padded: VIS" if p is not None else f"VIS: {i}" for i, p in enumerate(p_lens)]
    texts = {"object_id": [f"o{i}" for i in range(len(p_lens))], "status": status, "detail": detail}
    numbers = {"p_lens": pa.array(p_lens, pa.float32()), "p_compound": pa.nulls(len(p_lens), pa.float32())}
    return pa.table({**texts, **numbers, "subclass": [""] * len(p_lens)})


def test_the_best_rows_come_first():
    summary = summary_of(table_of([0.25, None, *(0.001 * i for i in range(30)), None]), CARD, "s.csv")
    assert [row["object_id"] for row in summary["best"][:3]] == ["o0", "o31", "o30"]
    assert len(summary["best"]) == N_BEST
    assert (summary["rows"], summary["scored"], summary["rejected:blank"]) == (33, 31, 2)
    assert summary["reasons"] == {"rejected:blank": "o1: VIS: 1"}
    assert summary["notes"] == {"padded": {"rows": 31, "first": "o0: padded: VIS"}}
    assert "objects" not in summary
    assert len(summary_of(table_of([0.25, None]), CARD, None)["objects"]) == 2


def with_details(p_lens, details):
    table = table_of(p_lens)
    return table.set_column(table.column_names.index("detail"), "detail", pa.array(details))


def test_notes_are_counted_by_their_words():
    details = ["H lies 2.67\u2033 off VIS: wrong", "padded: VIS, Y; H lies 0.4\u2033 off VIS: wrong", "padded: H"]
    assert summary_of(with_details([0.1, 0.2, 0.3], details), CARD, "s.csv")["notes"] == {
        "H lies off VIS": {"rows": 2, "first": "o0: H lies 2.67\u2033 off VIS: wrong"},
        "padded": {"rows": 2, "first": "o1: padded: VIS, Y"},
    }


def test_rows_of_some_networks_come_last_without_a_prior():
    by_some = "scored without H by a alone: less reliable, not calibrated"
    best = summary_of(with_details([0.9, 0.1, 0.2], [f"padded: VIS; {by_some}", "", ""]), CARD, "s.csv")["best"]
    assert [row["object_id"] for row in best] == ["o2", "o1", "o0"]
    assert best[0]["against_prior"].endswith("times the prior")
    assert best[2]["against_prior"] == "not calibrated"
    assert set(best[2]) == {"object_id", "p_lens", "p_compound", "subclass", "against_prior"}


def test_nothing_scored_has_no_best_row():
    summary = summary_of(table_of([None]), CARD, None)
    assert (summary["scored"], summary["best"]) == (0, [])


def manifest(ids, references, notes=()):
    return Manifest(pa.array(ids), references, [None] * len(ids), notes=list(notes))


def test_repeated_ids_and_images_are_counted():
    odd = manifest([5, 6, 5, 5], {"VIS": ["a", "a", None, "b"], "Y": ["a", "b", None, "b"], "J": [None, "b", None, "c"]})
    assert warnings_of(odd) == ["object ids of several rows: 1, the first 5", "rows that use one image for several bands: 3"]
    assert warnings_of(manifest([5, 6], {"VIS": ["a", None], "Y": ["b", None]})) == []


def test_skipped_files_are_counted_in_one_line():
    skipped = replace(manifest([5], {"VIS": ["a"]}), skipped=["q/rms.fits", "q/psf.fits"])
    assert warnings_of(skipped) == ["FITS files of folders that show no sky: 2, the first q/rms.fits"]


def test_the_commonest_guess_is_said_in_one_line():
    notes = ["guessed: VIS = A", "", "guessed: VIS = B", "guessed: VIS = A"]
    assert guess_of(manifest([1, 2, 3, 4], {}, notes)) == "VIS = A (2 objects; 1 other object: see detail)"
    assert guess_of(manifest([1], {}, notes[:1])) == "VIS = A (1 object)"
    assert guess_of(manifest([1], {})) == ""
