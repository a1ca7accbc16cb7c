"""Every option of every command is given another value than its default, and seen to arrive where the work is done.

Options and their types are read from the program. Commands are run as on the command line, up to the functions of `RUNS`, which
are spied upon; what these do with their arguments is tested where they are. A command must refuse an option that has no effect.
"""

from dataclasses import fields, is_dataclass
from datetime import date
from importlib import import_module
from inspect import Parameter, signature
from itertools import pairwise
from typing import Literal, get_args, get_origin
from unittest.mock import MagicMock

import pytest
from cyclopts import CycloptsError
from pydantic import BaseModel

from flows.cli.main import app
from infra.errors import LensscanError
from tests.flows.command_names import APPS

RUNS = {
    "completeness c": "flows.commands.completeness.measure_completeness",
    "crossmatch c table": (
        "+scanner.sources.positions.read_positions +scanner.catalogue.query.query scanner.catalogue.crossmatch.crossmatch"
    ),
    "demo": "flows.demo.run_demo",
    "diff a": "+flows.commands.diff.sides_of flows.commands.diff.compare",
    "diff a b": "+flows.commands.diff.sides_of flows.commands.diff.compare",
    "doctor": "flows.commands.doctor.examine",
    "drift c": "+flows.commands.drift.drifts_of flows.commands.drift.rows_of",
    "evaluate": "flows.commands.evaluate.evaluate_shards",
    "evaluate shards": "flows.commands.evaluate.evaluate_shards",
    "evaluate --counterfactuals 3": "flows.commands.counterfactuals.judge_counterfactuals",
    "evaluate --probes 3": "flows.commands.probes.probe_ensemble",
    "explain image --out a.png": "flows.commands.explain.explain_to_file flows.commands.portray.portray_to_file",
    "explain image --out a.png --portrait": "flows.commands.portray.portray_to_file",
    "export c file": "+flows.cli.candidates._found scanner.review.links.with_links scanner.catalogue.export.export",
    "export c file.png": "scanner.review.mosaic.write_mosaic",
    "forget c 12": "scanner.catalogue.audit.forget.forget_plan",
    "inject images --out o": "flows.commands.inject.inject",
    "models average ensemble --name new": "flows.commands.average.average_ensembles",
    "models check-maps shards": "flows.commands.check_maps.check_to_card",
    "models combine member --natural a --broad b --name new": "flows.commands.combine.combine_packages",
    "models combine member --natural a --broad b --name new --nonlenses 3": "flows.commands.combine.combine_packages",
    "models false-positives shards --out o": "flows.commands.false_positives.copy_for_training",
    "models import-published folder --name new": "scanner.networks.published.import_published",
    "models list": "flows.commands.list_models.listed_models",
    "models nonlenses": "flows.commands.nonlenses.sample_nonlenses",
    "models reference ensemble shards": "flows.commands.reference.make_reference",
    "models restate mer3-sim --prevalence 0.1 --name new": "scanner.networks.prevalence.with_prevalence",
    "models show mer3-sim": "scanner.networks.card_file.read_card",
    "plan tiles": "flows.commands.plan.describe_plan",
    "plan": "flows.commands.plan.describe_plan",
    "promote c": "flows.commands.quality.promote_night",
    "publish c d": "flows.commands.publish.publication",
    "qa c": "flows.commands.quality.judge_night",
    "query c": "flows.cli.candidates._found flows.commands.like.rows_like",
    "query c --like 5": "flows.commands.like.rows_like",
    "reconcile c": "+scanner.catalogue.known_plan.left_out_by_plan scanner.catalogue.plan.load_plan",
    "repair c": "scanner.catalogue.audit.repair.repair_plan",
    "report c": "flows.commands.report.report_to_file",
    "reproduce wilde2022": "flows.commands.reproduce.reproduce",
    "rollback c": "scanner.hats.versions.roll_back",
    "scan tiles --out o": "flows.commands.scan.scan_tiles flows.scan_night.scan_night",
    "scan tiles --out o --flow": "flows.scan_night.scan_night",
    "scan --out o": "flows.commands.scan.scan_tiles",
    "score image": "flows.commands.score.score_images",
    "seal c": "scanner.catalogue.plan.load_plan",
    "simulate --out o": (
        "flows.commands.simulate.simulate_shards flows.commands.simulate.simulate_tiles flows.simulate.simulate"
    ),
    "simulate --out o --flow": "flows.simulate.simulate",
    "simulate --out o --tiles 3": "flows.commands.simulate.simulate_tiles",
    "status c": "scanner.catalogue.audit.status.plan_status scanner.catalogue.runs.run_records",
    "surveys": "scanner.sources.survey.find_survey",
    "textures image --out o": "flows.commands.textures.cut_textures",
    "train shards --out o --name new": "flows.commands.train.train_package flows.train.train",
    "train shards --out o --name new --flow": "flows.train.train",
    "verify c": "scanner.catalogue.audit.verify.verify_plan",
    "versions c": "scanner.hats.versions.versions_of",
    "vet c": (
        "+flows.commands.vet.listener_of +flows.commands.vet.desk_of "
        "flows.commands.vet.serve_page flows.commands.vet.write_page"
    ),
    "votes merge c source": "flows.commands.votes.merge_into",
    "votes show c": "flows.commands.votes.summary_of",
    "votes write c file": "flows.commands.votes.write_grades flows.commands.votes.write_acts",
    "votes write c file --acts": "flows.commands.votes.write_acts",
    "yield c": "flows.commands.yields.yield_of_night",
    "zooniverse export c folder": "flows.commands.zooniverse.export_subjects",
    "zooniverse import c file": "flows.commands.zooniverse.import_classifications",
}
"""Maps command lines, one or more for each command, to the functions that do the work; `+`: the command goes on after it."""

ALWAYS = (
    "+flows.cli.explain._check_new +flows.cli.tiles.read_anonymously +flows.commands.completeness.check_table_path "
    "+flows.commands.diff.table_path +flows.commands.page_path.page_path +scanner.catalogue.export.export_path "
    "+scanner.catalogue.plan.find_plans +scanner.catalogue.selection.tiles_in_file +scanner.workers.local.early_worker "
    "flows.commands.yields.least_p_lens"
)
"""Functions of several commands that options reach."""

OUTPUT = {"json", "csv"}
"""Options of what is printed at the end."""

ELSEWHERE = {"counterfactuals", "probes", "strict"}
"""Options that choose between modes of `evaluate`; cli/test_evaluate.py tests them."""

PLAN = "12" * 32

VALUES = {
    "answer": ("Lens=B",),
    "columns": ("given_columns",),
    "cone": ("11.5", "12.5", "0.125"),
    "nights": ("2026-02-03", "2026-02-04"),
    "plans": ("ab", "cd"),
    "region": ("11.5", "12.5", "0.125"),
    "release": ("q1",),
    "tile": ("77",),
}
"""Values of options of which the type says too little."""

OTHER_NAMES = {
    "answer": {"Lens"},
    "cone": {"ra_deg", "dec_deg", "radius_deg"},
    "counterfactuals": {"n"},
    "cut": {"cuts"},
    "fdr": {"level"},
    "like": {"name"},
    "night": {"label"},
    "nonlenses": {"n"},
    "out": {"name", "root_uri"},
    "plan": {"prefix"},
    "probes": {"n"},
    "region": {"ra_deg", "dec_deg", "radius_deg"},
    "release": {"input_uri"},
    "report": {"name"},
    "static": {"name"},
    "task": {"grade"},
    "tile": {"tiles"},
    "tiles": {"input_uri", "n"},
    "tiles_from": {"path"},
}
"""Names of the functions' parameters for an option, where they share no word with it."""


class ReachedError(Exception):
    """The function that does the work was called."""


COMMANDS = {" ".join(words): of for words, of in APPS.items() if words != ("help",)}


def runs_of(command):
    return {run: work for run, work in RUNS.items() if f"{run} ".startswith(f"{command} ")}


def leaves(value, key=""):
    """Yield the parts of a value, as texts, with the names of the arguments or fields that hold them."""
    if key == "selection" and callable(value):
        value = value()
    if isinstance(value, BaseModel):
        value = dict(value)
    elif is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, name)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part, key)
    elif not callable(value):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        yield key, f"{value:g}" if is_number else str(value)


def arrives(found, option, value):
    """Return whether a value, or a path with it, arrives under a name that has a word in common with that of the option."""
    names = {name for name, text in found if value in {*text.split("/"), f"{name}={text}"}}
    words = {word for name in names for word in (name, *name.split("_"))}
    return bool(words & {*option.split("_"), *OTHER_NAMES.get(option, ())})


def other_value(i, name, argument):
    """Return a value that is not the default, and that no other option of the command has, as words of the command line."""
    if name in VALUES:
        return VALUES[name]
    hints = [argument.hint] if get_origin(argument.hint) is Literal else get_args(argument.hint) or [argument.hint]
    if get_origin(hints[0]) is Literal:
        return (next(choice for choice in reversed(get_args(hints[0])) if choice != argument.field_info.default),)
    if "float" in str(hints[0]):
        return (f"{0.25 + i / 1024:g}",)
    return ({int: str(101 + i), date: f"{date(2026, 1, 2 + i)}"}.get(hints[0], f"given-{name}"),)


def options_of(command):
    """Yield the names of the options, the words that set them to another value, and the values."""
    for i, argument in enumerate(COMMANDS[command].assemble_argument_collection()):
        name = argument.name.lstrip("-").replace("-", "_")
        if argument.children or argument.required or name in OUTPUT | ELSEWHERE or not argument.name.startswith("--"):
            continue
        if bool in (argument.hint, *get_args(argument.hint)):
            yield name, [f"--no-{argument.name[2:]}" if argument.field_info.default else argument.name], ()
        else:
            value = other_value(i, name, argument)
            is_positional = argument.field_info.kind is Parameter.POSITIONAL_OR_KEYWORD
            yield name, [*([] if is_positional else [argument.name]), *value], value


def arrived(words, work, monkeypatch):
    """Run a command up to the functions that do its work; return what reaches them, or None if the command is refused."""
    found = set()

    def spied(place):
        module, name = place.lstrip("+").rsplit(".", 1)
        of = signature(getattr(import_module(module), name))

        def record(*arguments, **options):
            bound = of.bind(*arguments, **options)
            bound.apply_defaults()
            found.update([("calls", name), *leaves(bound.arguments)])
            if not place.startswith("+"):
                raise ReachedError
            return [PLAN] if name == "find_plans" else MagicMock()

        return f"{module}.{name}", record

    with monkeypatch.context() as patched:
        for place in f"{ALWAYS} {work}".split():
            patched.setattr(*spied(place))
        try:
            app(words)
        except ReachedError:
            return found
        except (CycloptsError, LensscanError):
            return None
    raise AssertionError(f"{' '.join(words)}: ends before its work")


def test_every_command_is_run():
    assert [name for name in COMMANDS if not runs_of(name)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_arrives(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = list(options_of(command))
    ineffective = {name for name, _, _ in options}
    for run, work in runs_of(command).items():
        base = run.split()
        before = arrived(base, work, monkeypatch) or set()
        for option, value in pairwise(base):
            if before and option.startswith("--") and not value.startswith("--"):
                assert arrives(before, option[2:], value), f"{run}: {option}"
        for name, words, value in options:
            if words[0] in base:
                continue
            beside = next((of[1] for of in options if of[0] in {"out", "static"}), []) if name == "overwrite" else []
            after = arrived([*base, *beside, *words], work, monkeypatch)
            if after is None:
                continue
            new = after - (arrived([*base, *beside], work, monkeypatch) if beside else before)
            assert new, f"{run}: {' '.join(words)} changes nothing"
            for word in value:
                assert arrives(new, name, word), f"{run}: {' '.join(words)}: {new}"
            ineffective.discard(name)
    assert not ineffective
