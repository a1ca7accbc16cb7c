"""The summary of a scan on the page of its run; test_scan_night.py and test_nightly_jobs.py test scans within flows."""

from flows.scan_step import summary_markdown
from scanner.workers.run import Recovered
from tests.flows.night_summaries import night_summary

SUMMARY = night_summary(
    ensemble="mer3-cascade",
    n_rows=48,
    rows_by_status={"scored": 47, "rejected:blank": 1},
    n_candidates=12,
    candidates_uri="s3://survey/catalogue/candidates/2026-11-24.parquet",
)


def test_a_shown_night_tells_its_file_and_its_rows():
    text = summary_markdown(SUMMARY, "s3://survey/catalogue")
    assert text.startswith("# Night 2026-11-24: 12 candidates\n")
    assert "`s3://survey/catalogue/candidates/2026-11-24.parquet`, plan `abababababab`, ensemble mer3-cascade" in text
    assert "| scored | 47 |\n| rejected:blank | 1 |\n" in text
    assert "promoted" not in text


def test_a_night_that_waits_tells_its_catalogue():
    sealed = "s3://survey/catalogue/_scan/sealed/" + "ab" * 32 + ".parquet"
    waiting = SUMMARY.model_copy(update={"awaits_gate": True, "candidates_uri": sealed, "published": "v1"})
    text = summary_markdown(
        waiting.model_copy(update={"completeness": Recovered(n_injected=10, n_recovered=7)}), "s3://survey/c"
    )
    assert "`s3://survey/c`, plan" in text
    assert sealed not in text
    for words in ("Readers see this night once it is promoted.", "Injected lenses recovered: 7 of 10", "Published as `v1`"):
        assert words in text
