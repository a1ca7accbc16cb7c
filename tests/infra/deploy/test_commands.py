"""The command lines of lensscan, Prefect and Ray accept every command in the deployment files."""

from collections import Counter

import pytest

from tests.infra.deploy.commands import commands, complaint_of, in_script
from tests.infra.deploy.documents import DEPLOY

FOUND = list(commands())


@pytest.mark.parametrize(("place", "words"), FOUND, ids=[f"{place} {' '.join(words[:3])}" for place, words in FOUND])
def test_a_command_is_accepted(place, words):
    assert complaint_of(words) is None, place


def test_all_commands_are_found():
    counts = Counter((place.split()[0], words[0]) for place, words in FOUND)
    assert counts == {
        ("compose.yaml", "prefect"): 3,
        ("compose.yaml", "ray"): 4,
        ("prefect-worker.yaml", "prefect"): 1,
        ("rayjob.yaml", "lensscan"): 1,
        ("raycronjob.yaml", "lensscan"): 1,
        ("slurm/scan_night.sbatch", "ray"): 2,
        ("slurm/scan_night.sbatch", "lensscan"): 1,
        ("Dockerfile", "lensscan"): 1,
    }


@pytest.mark.parametrize(
    "words",
    [
        ("ray", "start", "--heads"),
        ("ray", "begin"),
        ("prefect", "worker", "start", "--polo", "lensscan"),
        ("prefect", "wrker"),
        ("lensscan", "scan", "tiles", "--oout", "catalogue"),
        ("lensscan", "scan", "tiles", "--out", "catalogue", "--workers", "many"),
    ],
)
def test_a_wrong_command_is_found(words):
    assert complaint_of(words) is not None


def test_a_wrong_option_in_the_script_is_found():
    text = (DEPLOY / "slurm" / "scan_night.sbatch").read_text(encoding="utf-8")
    for before, after in (("--ray-address", "--ray-adress"), ("--include-dashboard=false", "--include-dash=false")):
        assert before in text
        words = list(in_script(text.replace(before, after)))
        # Options of the head are given where the function `start` is called.
        options = [
            line.partition("start 0 ")[2] for line in text.replace(before, after).splitlines() if line.startswith("start 0 ")
        ]
        assert any(
            complaint_of(one) for one in [*words, *(["ray", "start", *line.replace("$", "").split()] for line in options)]
        )
