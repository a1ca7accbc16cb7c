"""Compare the ledger with a model: plans are frozen, published and sealed in any order, with crashes, races and bad tables."""

import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from infra.provenance import sha256_bytes
from infra.steps import Step
from infra.store.storage import CreateOutcome, create_if_absent, list_files, read_bytes
from scanner.catalogue import ledger
from scanner.catalogue.ledger import Outcome, PublishError, committed, pending, publish
from scanner.catalogue.outcomes import candidate_mask
from scanner.catalogue.paths import unit_uri
from scanner.catalogue.plan import freeze, load_plan
from scanner.catalogue.seal import SealError, load_seal, seal
from scanner.catalogue.unitfile import decode_unit
from scanner.catalogue.units import PlanError
from tests.faults.harness import crash_points
from tests.faults.harness.crash_points import STEPS, Crash
from tests.scanner.catalogue_parts import plan_of, random_scores, scores

IDS = {"a": [5, -2, 9, 4], "b": [7], "c": [], "d": list(range(100, 112))}
PLANS = [plan_of(IDS, candidate_threshold=0.5), plan_of(IDS, candidate_threshold=0.9)]
"""Two plans under one root; neither may disturb the other."""
N_VERSIONS = 3
TABLES = {
    unit_id: [random_scores(np.random.default_rng([i, len(ids)]), ids) for i in range(N_VERSIONS)]
    for unit_id, ids in IDS.items()
}
"""Several complete results of each unit, which differ as those of two machines may in the last digit."""
UNIT_CRASHES = [step for step in STEPS if step.startswith("unit.") or step in {Step.ENCODED, Step.CHECKED}]
SEAL_CRASHES = [step for step in STEPS if step.startswith(("candidates.", "seal."))]
VISIBLE = ("linked", "created")

plans = st.sampled_from(PLANS)
units = st.sampled_from(sorted(IDS))
versions = st.integers(0, N_VERSIONS - 1)


class Held(BaseException):
    """Raised to stop a writer once all of its bytes are ready."""


class Ledger(RuleBasedStateMachine):
    """Two plans under one root; `self.files` holds the files that must be visible and never change."""

    n_histories = 0

    def __init__(self):
        super().__init__()
        self.root = tempfile.mkdtemp()
        self.files = {}
        self.versions = {}
        self.held = []
        self.seals = {}
        self.n_attempts = 0

    def teardown(self):
        Ledger.n_histories += 1
        crash_points.uninstall()
        shutil.rmtree(self.root)

    def attempt(self):
        self.n_attempts += 1
        return f"try-{self.n_attempts}"

    def uri(self, plan, unit_id):
        return unit_uri(self.root, plan.plan_id, unit_id)

    def is_open(self):
        return len(self.files) < len(PLANS) * len(IDS)

    def draw_open(self, data):
        """Draw a plan and one of its units that is not committed."""
        every = [(plan, unit.unit_id) for plan in PLANS for unit in plan.units]
        return data.draw(
            st.sampled_from([(plan, unit_id) for plan, unit_id in every if self.uri(plan, unit_id) not in self.files])
        )

    def see(self, plan, unit_id, version):
        """Record a file that has just been committed."""
        uri = self.uri(plan, unit_id)
        assert uri not in self.files
        self.files[uri] = read_bytes(uri)
        self.versions[plan.plan_id, unit_id] = version

    @rule(plan=plans)
    def freeze(self, plan):
        """Freeze a plan repeatedly; an edited plan is refused."""
        freeze(plan, self.root)
        with pytest.raises(PlanError, match="was it edited"):
            freeze(plan.model_copy(update={"night": "2026-11-25"}), self.root)
        assert load_plan(self.root, plan.plan_id) == plan

    @rule(plan=plans, unit_id=units, version=versions, seed=st.integers(0, 3))
    def publish(self, plan, unit_id, version, seed):
        uri, attempt = self.uri(plan, unit_id), self.attempt()
        table = TABLES[unit_id][version]
        shuffled = table.take(np.random.default_rng(seed).permutation(table.num_rows))
        receipt = publish(shuffled, unit_of(plan, unit_id), plan, self.root, attempt)
        if uri in self.files:
            assert receipt.outcome is Outcome.LOST_RACE
            assert receipt.attempt != attempt
        else:
            assert (receipt.outcome, receipt.attempt) == (Outcome.COMMITTED, attempt)
            self.see(plan, unit_id, version)
        assert receipt.sha256 == sha256_bytes(self.files[uri])

    @precondition(is_open)
    @rule(data=st.data(), version=versions, step=st.sampled_from(UNIT_CRASHES))
    def die_while_publishing(self, data, version, step):
        """Crash during a publication; every file that is visible afterwards is whole."""
        plan, unit_id = self.draw_open(data)
        crash_points.install(step, how="raise")
        with pytest.raises(Crash):
            publish(TABLES[unit_id][version], unit_of(plan, unit_id), plan, self.root, self.attempt())
        crash_points.uninstall()
        if step.endswith(VISIBLE) and step.startswith("unit."):
            self.see(plan, unit_id, version)

    @rule(plan=plans, unit_id=units, share=st.floats(0, 1))
    def leave_a_staging_file(self, plan, unit_id, share):
        """Leave the staging file of a writer that was killed on a file system without unnamed files."""
        folder = Path(self.uri(plan, unit_id)).parent
        folder.mkdir(parents=True, exist_ok=True)
        whole = next(iter(self.files.values()), b"PAR1" * 50)
        (folder / f".{self.attempt()}.tmp").write_bytes(whole[: int(share * len(whole))])

    @precondition(is_open)
    @rule(data=st.data(), version=versions)
    def hold_a_writer(self, data, version):
        """Stop a writer that found no committed file and has its bytes ready."""
        plan, unit_id = self.draw_open(data)
        with patch.object(ledger, "create_if_absent", side_effect=Held) as create, pytest.raises(Held):
            publish(TABLES[unit_id][version], unit_of(plan, unit_id), plan, self.root, self.attempt())
        self.held.append((plan, unit_id, version, create.call_args.args))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def a_held_writer_goes_on(self, data):
        plan, unit_id, version, arguments = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        was_there = arguments[0] in self.files
        assert create_if_absent(*arguments) is (CreateOutcome.EXISTS if was_there else CreateOutcome.CREATED)
        if not was_there:
            self.see(plan, unit_id, version)

    @precondition(is_open)
    @rule(data=st.data(), first=versions, second=versions)
    def lose_a_race(self, data, first, second):
        """Let a rival commit between a writer's check and its link."""
        plan, unit_id = self.draw_open(data)
        unit, rival, attempts = unit_of(plan, unit_id), [], [self.attempt(), self.attempt()]

        def after_a_rival(*args):
            with patch.object(ledger, "create_if_absent", create_if_absent):
                rival.append(publish(TABLES[unit_id][first], unit, plan, self.root, attempts[0]))
            return create_if_absent(*args)

        with patch.object(ledger, "create_if_absent", after_a_rival):
            receipt = publish(TABLES[unit_id][second], unit, plan, self.root, attempts[1])
        assert (rival[0].outcome, receipt.outcome) == (Outcome.COMMITTED, Outcome.LOST_RACE)
        assert (receipt.attempt, receipt.sha256) == (attempts[0], rival[0].sha256)
        self.see(plan, unit_id, first)

    @precondition(is_open)
    @rule(data=st.data(), wrong=st.sampled_from(["lacks a row", "has one twice", "other id", "night", "unit", "nan"]))
    def publish_what_is_wrong(self, data, wrong):
        plan, unit_id = self.draw_open(data)
        unit, table = unit_of(plan, unit_id), TABLES[unit_id][0]
        if wrong == "unit":
            unit = unit.model_copy(update={"unit_id": f"{unit_id}-of-nobody"})
        else:
            table = spoilt(table, wrong)
        with pytest.raises(PublishError):
            publish(table, unit, plan, self.root, self.attempt())

    @rule(plan=plans, n=st.integers(1, 4), version=versions)
    def run_again(self, plan, n, version):
        """Run a driver that publishes up to `n` pending units, and seals the plan if no unit is left."""
        self.publish_pending(plan, n, version)
        if not pending(plan, self.root):
            self.seal(plan)

    def publish_pending(self, plan, n, version):
        freeze(plan, self.root)
        for unit in pending(plan, self.root)[:n]:
            publish(TABLES[unit.unit_id][version], unit, plan, self.root, self.attempt())
            self.see(plan, unit.unit_id, version)

    @rule(plan=plans)
    def seal(self, plan):
        if pending(plan, self.root):
            with pytest.raises(SealError, match="units not committed"):
                seal(plan, self.root)
            return
        report = seal(plan, self.root)
        assert self.seals.setdefault(plan.plan_id, report) == report

    @rule(plan=plans, step=st.sampled_from(SEAL_CRASHES), version=versions)
    def die_while_sealing(self, plan, step, version):
        self.publish_pending(plan, len(IDS), version)
        if load_seal(self.root, plan.plan_id) or (step == "candidates.linked" and self.has_candidates(plan)):
            return
        crash_points.install(step, how="raise")
        with pytest.raises(Crash):
            seal(plan, self.root)
        crash_points.uninstall()
        is_sealed = step.startswith("seal.") and step.endswith(VISIBLE)
        assert (load_seal(self.root, plan.plan_id) is not None) == is_sealed

    def has_candidates(self, plan):
        """Return whether the candidate file exists: if so, it is not linked again."""
        return any(plan.plan_id in file.uri for file in list_files(f"{self.root}/_scan/sealed"))

    @invariant()
    def committed_files_never_change(self):
        found = {file.uri: read_bytes(file.uri) for file in list_files(f"{self.root}/_scan/units")}
        assert found == self.files

    @invariant()
    def pending_units_are_those_not_committed(self):
        for plan in PLANS:
            there = {unit.unit_id for unit in plan.units if self.uri(plan, unit.unit_id) in self.files}
            assert [unit.unit_id for unit in pending(plan, self.root)] == [
                u.unit_id for u in plan.units if u.unit_id not in there
            ]
            for unit in plan.units:
                receipt = committed(unit, plan, self.root)
                assert (receipt is not None) == (unit.unit_id in there)

    @invariant()
    def every_visible_unit_is_one_whole_result(self):
        for plan in PLANS:
            for unit in plan.units:
                if (data := self.files.get(self.uri(plan, unit.unit_id))) is not None:
                    rows = decode_unit(data, unit, plan, "").table.sort_by("object_id")
                    version = self.versions[plan.plan_id, unit.unit_id]
                    assert rows.equals(TABLES[unit.unit_id][version].sort_by("object_id"))

    @invariant()
    def a_seal_stands_for_all_units_and_exactly_their_candidates(self):
        for plan in PLANS:
            if (report := load_seal(self.root, plan.plan_id)) is None:
                continue
            assert pending(plan, self.root) == []
            tables = [TABLES[unit.unit_id][self.versions[plan.plan_id, unit.unit_id]] for unit in plan.units]
            rows = pa.concat_tables(tables)
            likely = rows.filter(candidate_mask(rows, plan.config.candidate_threshold))
            found = pq.read_table(report.candidates_uri, partitioning=None)
            assert found.select(rows.column_names).sort_by("object_id").equals(likely.sort_by("object_id"))
            assert (report.n_rows, report.n_candidates) == (rows.num_rows, likely.num_rows)
            assert report.units == {u.unit_id: sha256_bytes(self.files[self.uri(plan, u.unit_id)]) for u in plan.units}


def unit_of(plan, unit_id):
    return next(unit for unit in plan.units if unit.unit_id == unit_id)


def spoilt(table, wrong):
    """Return the result of a unit with one defect."""
    other = scores([-77], [0.25])
    if table.num_rows == 0:
        return other
    if wrong == "lacks a row":
        return table.slice(1)
    if wrong == "has one twice":
        return pa.concat_tables([table, table.slice(0, 1)])
    if wrong == "other id":
        return pa.concat_tables([table.slice(1), other])
    values = {"night": ["2026-11-23"] * table.num_rows, "nan": [float("nan")] * table.num_rows}[wrong]
    name = {"night": "night", "nan": "ra"}[wrong]
    place = table.column_names.index(name)
    return table.set_column(place, table.field(name), pa.array(values, table.field(name).type))


def explore(n_examples, n_steps):
    """Run random histories against the model, and return how many there were."""
    n_before = Ledger.n_histories
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=n_examples, stateful_step_count=n_steps, deadline=None, suppress_health_check=checks, database=None
        ),
    )
    return Ledger.n_histories - n_before


@pytest.mark.fault(11)
def test_the_ledger_matches_its_model_in_some_histories(measured):
    measured(histories=explore(10, 20))


@pytest.mark.faults
@pytest.mark.fault(11)
def test_the_ledger_matches_its_model_in_many_histories(measured):
    measured(histories=explore(60, 30), note="histories: up to 30 steps of two plans under one root, with crashes and races")
