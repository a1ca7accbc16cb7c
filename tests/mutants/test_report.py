"""Tests of the reports on mutants."""

import json
from dataclasses import replace

import pytest

from tests.mutants.__main__ import main
from tests.mutants.report import Circumstances, Equivalent, Result, as_json, complaints, read_equivalents, survivors, write
from tests.mutants.sampling import HELD_OUT_SEED

MODULE = "scanner/plan.py"
RUN = Circumstances("python -m tests.mutants", "abc", 90)
SAME = Equivalent(MODULE, "AddNot", "if a:", "if not a:", "a is never read")


def result(name, *, killed, group=MODULE, line="if a:", by="a test"):
    return Result(group, MODULE, name, line, "if not a:", killed, by if killed else "", 2.0)


def sampled(n_killed, n_surviving=0):
    killed = [result("AddNot", killed=True, line=f"if b{i}:") for i in range(n_killed)]
    return killed + [result("AddNot", killed=False, line=f"if c{i}:") for i in range(n_surviving)]


AUDIT = [result("M01", killed=True, group="audit"), result("M02", killed=True, group="audit")]


def test_a_run_that_kills_all_mutants_succeeds():
    assert complaints(AUDIT + sampled(9), []) == []


def test_a_surviving_audit_defect_fails_the_run():
    results = [*AUDIT, result("M03", killed=False, group="audit")]
    assert complaints(results, []) == [f"M03 survives: {MODULE}"]


def test_an_audit_defect_cannot_be_listed_as_equivalent():
    escaped = result("AddNot", killed=False, group="audit")
    assert survivors([escaped], [SAME]) == [escaped]


@pytest.mark.parametrize(("n_surviving", "wrong"), [(2, []), (3, ["85.7% of the sampled mutants are killed, must be 90%"])])
def test_nine_tenths_of_the_sample_must_be_killed(n_surviving, wrong):
    assert complaints(sampled(18, n_surviving), []) == wrong


def test_equivalent_mutants_do_not_count():
    results = [*sampled(9, 1), result("AddNot", killed=False)]
    assert complaints(results, [SAME]) == []
    assert complaints(results, []) != []
    assert as_json(results, [SAME], RUN)["sampled"] == {"mutants": 11, "killed": 9, "equivalent": 1}
    assert as_json(results, [SAME], RUN)["score"] == 0.9


def test_held_out_mutants_are_counted_separately():
    missed = [result("AddNot", killed=False, group="held_out")]
    results = [*AUDIT, *sampled(99), *missed]
    assert complaints(results, []) == ["0.0% of the held-out mutants are killed, must be 90%"]
    report = as_json(results, [], RUN)
    assert report["held_out"] == {"seed": HELD_OUT_SEED, "mutants": 1, "killed": 0, "equivalent": 0}
    assert report["sampled"] == {"mutants": 99, "killed": 99, "equivalent": 0}
    assert report["modules"]["held_out"]["mutants"] == 1
    judged = replace(SAME, held_out_seed=HELD_OUT_SEED)
    assert complaints(results, [judged]) == []
    assert as_json(results, [judged], RUN)["held_out"]["equivalent"] == 1


def test_equivalents_of_another_held_out_seed_are_not_checked():
    judged, results = (
        replace(SAME, held_out_seed=HELD_OUT_SEED),
        [result("AddNot", killed=True, group="held_out", line="if b:")],
    )
    assert complaints(results, [judged], seed=HELD_OUT_SEED + 1) == []
    assert complaints(results, [judged]) == [f"listed as equivalent, but not sampled: {MODULE}: if a: -> if not a:"]


def test_a_killed_mutant_listed_as_equivalent_fails_the_run():
    assert complaints([result("AddNot", killed=True)], [SAME]) == [
        f"listed as equivalent, but killed: {MODULE}: if a: -> if not a:"
    ]


def test_an_unsampled_mutant_listed_as_equivalent_fails_the_run():
    assert complaints(sampled(1), [SAME]) == [f"listed as equivalent, but not sampled: {MODULE}: if a: -> if not a:"]


def test_equivalents_of_modules_that_did_not_run_are_not_checked():
    assert complaints(AUDIT, [SAME]) == []


def test_the_report_gives_results_and_circumstances(tmp_path):
    results = [*AUDIT, *sampled(3, 1), result("AddNot", killed=True, by="time-out")]
    results.append(result("NumberReplacer", killed=True, by="pytest ends with 2: cannot import /copies/0/tree/a/b.py - so"))
    write(as_json(results, [], RUN), tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["audit"] == {"mutants": 2, "killed": 2}
    assert report["sampled"] == {"mutants": 6, "killed": 5, "equivalent": 0}
    assert report["survivors"] == [{"path": MODULE, "what": "AddNot", "line": "if c0:", "becomes": "if not a:"}]
    killers = ["a test"] * 5 + ["", "time-out", "pytest ends with 2: cannot import a/b.py"]
    assert [mutant["by"] for mutant in report["mutants"]] == killers
    assert report["modules"][MODULE]["seconds"] == 12
    assert len(report["timed_out"]) == 1
    assert report["minutes"] == 1.5
    assert {"commit", "date", "machine", "versions", "command"} < set(report)
    text = (tmp_path / "REPORT.md").read_text()
    assert f"| {MODULE} | 6 | 5 | 0 | 83% | 12 |" in text
    assert f"- {MODULE}, AddNot: `if c0:` becomes `if not a:`" in text


def test_every_equivalent_mutant_has_a_reason():
    entries = read_equivalents()
    assert all(entry.reason and entry.line for entry in entries)
    assert len({entry.change for entry in entries}) == len(entries)


def test_a_module_that_is_not_sampled_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--modules", "flows/cli/main.py"])
    assert "modules must be among simulation/lensing.py" in capsys.readouterr().err
