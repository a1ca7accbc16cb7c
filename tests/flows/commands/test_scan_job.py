"""The id of a scan's work, and the result that its job prints; the job itself is tested on a Ray head in test_ray_job.py."""

import json
import os
import subprocess
import sys
from datetime import date

import pytest

from flows.commands.scan_job import JobResult, ScanJobError, base_id, main, print_progress, read_line
from flows.commands.scan_options import ScanOptions, ScanOrder
from tests.scanner.ensembles import SPECS, write_test_package
from tests.sources import ROOT
from tests.tiles import write_tiles


def order(**changes):
    wanted = {"input_uri": "tiles/{night}", "root_uri": "catalogue", "night": date(2026, 1, 3)}
    return ScanOrder(**{**wanted, **changes})


def test_equal_work_has_an_equal_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = base_id(order())
    assert name.startswith("lensscan-scan-2026-01-03-")
    assert name == base_id(order()) == base_id(order(input_uri="tiles/2026-01-03", root_uri=str(tmp_path / "catalogue")))
    others = [
        order(night=date(2026, 1, 4)),
        order(root_uri="other"),
        order(input_uri="other"),
        order(options=ScanOptions(gate=True)),
        order(options=ScanOptions(ensemble="ou7-sim")),
    ]
    assert len({name, *map(base_id, others)}) == 6
    assert base_id(order(night=None)).startswith("lensscan-scan-undated-")


@pytest.mark.parametrize(
    ("option", "place"),
    [
        ("catalogues_uri", "catalogues"),
        ("publish_to", "collection"),
        ("moc_uri", "area.fits"),
        ("targets_uri", "targets.csv"),
        ("survey", "mine.toml"),
        ("ensemble", "mine"),
        ("ensemble", "./mine"),
    ],
)
def test_local_places_of_two_folders_are_different_work(tmp_path, monkeypatch, option, place):
    monkeypatch.setenv("LENSSCAN_ENSEMBLES_DIR", str(tmp_path / "ensembles"))
    ids = set()
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_test_package(folder / "mine", SPECS[:1])
        monkeypatch.chdir(folder)
        relative, whole = (
            base_id(order(input_uri="/tiles", root_uri="/root", options=ScanOptions(**{option: given})))
            for given in (place, str(folder / place))
        )
        assert relative == whole
        ids.add(relative)
    assert len(ids) == 2


@pytest.mark.parametrize("named", [{"survey": "des-dr2"}, {"ensemble": "ou7-sim"}, {"moc_uri": "s3://bucket/area.fits"}])
def test_names_are_equal_work_from_every_folder(tmp_path, monkeypatch, named):
    """A folder with the name of an ensemble does not hide that ensemble."""
    work, ids = order(input_uri="/tiles", root_uri="/root", options=ScanOptions(**named)), set()
    for folder in (tmp_path / "a", tmp_path / "b"):
        write_test_package(folder / "ou7-sim", SPECS[:1])
        monkeypatch.chdir(folder)
        ids.add(base_id(work))
    assert len(ids) == 1


def test_the_last_result_of_a_log_counts():
    log = 'LENSSCAN-RESULT {"error": "old"}\nother LENSSCAN-RESULT {}\nLENSSCAN-RESULT {"error": "new"}\nend\n'
    assert JobResult.in_log(log).error == "new"
    assert JobResult.in_log("nothing\n") is None
    with pytest.raises(ScanJobError, match="is another one on the cluster"):
        JobResult.in_log('LENSSCAN-RESULT {"unknown": 1}')


def test_a_log_holds_progress_once_for_each_percent(capsys):
    report = print_progress()
    for done in range(0, 100_001, 7):
        report(done, 100_000, ["100000001"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 100
    told, passed = [], []
    for line in (*lines, "a worker died", 'LENSSCAN-RESULT {"error": ""}', "my LENSSCAN-PROGRESS 1/2", "LENSSCAN-PROGRESS x/2"):
        read_line(line, passed.append, lambda done, total: told.append((done, total)))
    assert told[:2] == [(0, 100_000), (1001, 100_000)]
    assert [done * 100 // total for done, total in told] == list(range(100))
    assert passed == ["a worker died", "my LENSSCAN-PROGRESS 1/2", "LENSSCAN-PROGRESS x/2"]


def test_progress_is_in_the_log_at_once():
    """The log of a job is a file, which Python writes to in blocks; this process ends without writing its last block."""
    program = "import os; from flows.commands.scan_job import print_progress; print_progress()(1, 2); os._exit(0)"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "LENSSCAN-PROGRESS 1/2\n"


def test_progress_of_nothing_and_of_a_second_part(capsys):
    report = print_progress()
    for done, total in ((0, 0), (5, 5), (0, 4), (4, 4)):
        report(done, total)
    assert capsys.readouterr().out.split() == [
        *("LENSSCAN-PROGRESS", "0/0", "LENSSCAN-PROGRESS", "0/4", "LENSSCAN-PROGRESS", "4/4"),
    ]


def result(capsys, given):
    code = main(given.model_dump_json())
    return code, JobResult.in_log(capsys.readouterr().out)


def test_the_job_says_which_errors_may_pass(tmp_path, capsys, monkeypatch):
    code, found = result(capsys, order(input_uri=str(tmp_path / "nosuch")))
    assert (code, found.is_infrastructure, found.summary) == (2, False, None)
    assert "nosuch" in found.error
    write_tiles(tmp_path / "tiles", 1, 2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "canary")
    code, found = result(capsys, order(input_uri=str(tmp_path / "tiles"), root_uri="s3://bucket/catalogue"))
    assert (code, found.is_infrastructure) == (2, True)
    assert "canary" not in json.dumps(found.model_dump())


def test_an_error_of_code_or_version_is_not_tried_again(capsys, monkeypatch):
    code = main(json.dumps({**json.loads(order().model_dump_json()), "of_a_newer_version": 1}))
    found = JobResult.in_log(capsys.readouterr().out)
    assert (code, found.is_infrastructure) == (2, False)
    assert "the job's order is none of this version of lensscan: is another one on the cluster?" in found.error

    def broken(*_args):
        raise KeyError("p_lens")

    monkeypatch.setattr("flows.commands.scan_job.run_scan", broken)
    code = main(order().model_dump_json())
    said = capsys.readouterr()
    found = JobResult.in_log(said.out)
    assert (code, found.is_infrastructure, found.error) == (1, False, "the job's log has the traceback of KeyError('p_lens')")
    assert "Traceback" in said.err
