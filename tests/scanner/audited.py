"""A small catalogue with real input files, to be verified, damaged and restored."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infra.store.removal import remove
from infra.store.storage import create_if_absent, info, list_files, read_bytes
from scanner.catalogue.ledger import pending, publish
from scanner.catalogue.night_file import show
from scanner.catalogue.plan import Plan, ScanConfig, build_plan, freeze
from scanner.catalogue.seal import seal
from tests.scanner.catalogue_parts import NIGHT, EnsembleName, scores, write_shard

IDS = {"a": [1, 2, 3, 4], "b": [4, 5, 6], "c": [], "d": [7, 8]}
"""Object 4 lies in two files; the first owns it."""


@dataclass(frozen=True)
class Audited:
    plan: Plan
    root: str
    input: Path

    def scan(self, only=None):
        """Commit the pending units; the scores depend on the object alone."""
        for unit in pending(self.plan, self.root):
            if only is None or unit.unit_id in only:
                own = [i for i in IDS[unit.unit_id] if i not in unit.owned_elsewhere]
                publish(scores_of(own), unit, self.plan, self.root, f"try-{unit.unit_id}")

    def seal(self):
        return seal(self.plan, self.root)

    def show(self):
        """Seal the night and show it to readers."""
        self.seal()
        return show(self.plan, self.root)

    def unit(self, name):
        return f"{self.root}/_scan/units/plan={self.plan.plan_id}/{name}.unit"

    @property
    def parts(self):
        """Path below the root of one file of each kind."""
        plan_id = self.plan.plan_id
        return {
            "plan": f"_scan/plans/{plan_id}.json",
            "seal": f"_scan/seals/{plan_id}.json",
            "candidates": f"_scan/sealed/{plan_id}.candidates",
            "unit": f"_scan/units/plan={plan_id}/a.unit",
        }

    def uri(self, part):
        return f"{self.root}/{self.parts[part]}"

    def contents(self):
        """Return the bytes of all files except those in quarantine, by path below the root."""
        found = {file.uri: read_bytes(file.uri) for file in list_files(self.root)}
        below = {uri.removeprefix(self.root).lstrip("/"): data for uri, data in found.items()}
        return {name: data for name, data in below.items() if not name.startswith("_scan/quarantine/")}


def elsewhere(night, folder):
    """Return the same plan in another catalogue, committed and sealed without any fault."""
    other = Audited(night.plan, str(folder), night.input)
    freeze(other.plan, other.root)
    other.scan()
    other.seal()
    return other


def scores_of(ids):
    return scores(ids, [None if i == 2 else float(np.float32(i / 10)) for i in ids])


def make_audited(folder, root):
    """Return a frozen plan over shards in `folder/input`, nothing committed."""
    for name, ids in IDS.items():
        write_shard(folder / "input" / f"{name}.parquet", ids)
    plan = build_plan(str(folder / "input"), NIGHT, EnsembleName(), ScanConfig(candidate_threshold=0.3))
    freeze(plan, root)
    return Audited(plan, root, folder / "input")


def replace(uri, data):
    """Put other bytes under a name, which no part of the program does."""
    with contextlib.suppress(FileNotFoundError):
        remove(info(uri))
    create_if_absent(uri, data, "damage")


def flipped(data, at):
    """Return the data with one bit flipped."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
