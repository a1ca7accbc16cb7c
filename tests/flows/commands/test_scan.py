"""A scan publishes its catalogue by itself, from the command line and from the nightly flow; here nothing is scanned."""

from contextlib import nullcontext
from datetime import date

import pytest

import flows.scan_night as flow
import flows.scan_step as step
from flows.cli.main import scan as command
from flows.commands.completeness import CompletenessCommandError
from flows.commands.scan_options import ScanOptions
from infra.store.files import PlaceError
from scanner.hats.errors import PublishError
from scanner.networks.locate import SHIPPED_DIR
from scanner.sources.object_tables import ManifestError
from tests.flows.night_summaries import night_summary
from tests.no_ray import RayStartedError
from tests.scanner.hats.published import NIGHTS, add_night, current, ids_by_night, known_lenses, read
from tests.scanner.injected_parts import injected_into

NIGHT = date.fromisoformat(NIGHTS[0])


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Return a catalogue and a place for a collection; a scan adds a night to the catalogue, and scans nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", "none")
    monkeypatch.setattr("flows.commands.scan.scan_night", scanned)
    for name in ("flow_progress", "show_summary", "get_run_logger"):
        monkeypatch.setattr(step, name, lambda *_, name=name: nullcontext() if name == "flow_progress" else Silent())
    monkeypatch.setattr(step, "retried", lambda _name, scan: scan())
    return str(tmp_path / "catalogue"), str(tmp_path / "collection")


class Silent:
    def info(self, *_):
        pass


def scanned(request, root_uri, *, gate, **_):
    plan = add_night(root_uri, 0)
    return night_summary(night=NIGHTS[0], plan_id=plan.plan_id, candidates_uri=root_uri, awaits_gate=gate)


def test_the_flow_publishes_after_its_scan(places):
    catalogue, collection = places
    summary = flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection)
    assert summary.published == current(collection).name
    assert set(ids_by_night(read(current(collection)))) == {NIGHTS[0]}
    assert f"Published as `{summary.published}`" in step.summary_markdown(summary, catalogue)
    assert flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection).published == summary.published


@pytest.mark.parametrize(("variable", "option", "expected"), [("", None, None), ("5", None, 5), ("5", 3, 3)])
def test_a_scan_counts_cores_unless_workers_are_given(variable, option, expected, places, monkeypatch):
    """This machine may be a small pod that scans on a large cluster."""
    given = []
    monkeypatch.setattr(
        "flows.commands.scan.scan_night", lambda *asked, workers, **more: given.append(workers) or scanned(*asked, **more)
    )
    if variable:
        monkeypatch.setenv("LENSSCAN_WORKERS", variable)
    flow.scan_night.fn("tiles", places[0], NIGHT, workers=option, ray_address="10.0.0.1:6379")
    assert given == [expected]


def test_every_option_of_a_scan_reaches_its_request(places, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "flows.commands.scan.scan_night",
        lambda request, *place, **more: asked.append(request) or scanned(request, *place, **more),
    )
    given = {"candidate_threshold": 0.25, "engine": "torch", "exact": True, "maps_per_unit": 3}
    selection = {"where": "VIS_DET = 1", "columns": "SPURIOUS_FLAG", "tiles": ("7",)}
    flow.scan_night.fn("tiles", places[0], NIGHT, ensemble="mer3-sim", survey="kids-dr4", **given, **selection)
    (request,) = asked
    assert {name: getattr(request, name) for name in given} == given
    assert (request.input_uri, request.night, request.package.name, request.survey.name) == (
        "tiles",
        NIGHT,
        "mer3-sim",
        "kids-dr4",
    )
    assert request.selection == ScanOptions(**selection).selection() != ScanOptions().selection()


def test_the_command_publishes_after_its_scan(places, capsys):
    catalogue, collection = places
    command("tiles", out=catalogue, night=NIGHT, publish_to=collection, workers=1)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("published")]
    assert line.split() == ["published", current(collection).name]


def test_a_scan_matches_the_configured_known_lenses(places, tmp_path, monkeypatch):
    catalogue, collection = places
    known_lenses(tmp_path)
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", str(tmp_path / "lenses.csv"))
    flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection)
    assert set(read(current(collection), ["known_name"])["known_name"].to_pylist()) == {"Nearest", "Edge", ""}
    monkeypatch.setenv("LENSSCAN_KNOWN_LENSES", "nowhere.csv")
    with pytest.raises(ManifestError, match=r"nowhere\.csv: no such file"):
        flow.scan_night.fn("tiles", str(tmp_path / "other"), NIGHT, publish_to=collection)
    assert not (tmp_path / "other").exists(), "nothing is scanned"


def test_a_scan_publishes_several_nights_on_its_cluster(places, no_ray):
    catalogue, collection = places
    add_night(catalogue, 1)
    with pytest.raises(RayStartedError):
        flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection, ray_address="10.0.0.1:6379")
    assert no_ray == ["10.0.0.1:6379"]


def test_a_scan_without_a_collection_publishes_nothing(places, capsys):
    catalogue, collection = places
    command("tiles", out=catalogue, night=NIGHT, workers=1)
    assert "published" not in capsys.readouterr().out
    with pytest.raises(FileNotFoundError):
        current(collection)


def test_a_scan_that_cannot_publish_says_that_it_is_complete(places, tmp_path):
    catalogue, collection = places
    (tmp_path / "collection").mkdir()
    (tmp_path / "collection" / "collection.properties").write_text("obs_collection=other\n")
    with pytest.raises(PublishError, match=r"^this scan is complete, but .* is no collection of lensscan.*`lensscan publish /"):
        flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection)
    with pytest.raises(PublishError, match="must lie outside the catalogue"):
        flow.scan_night.fn("tiles", str(tmp_path / "other"), NIGHT, publish_to=str(tmp_path / "other" / "x"))
    assert not (tmp_path / "other").exists(), "nothing is scanned"


@pytest.mark.parametrize(
    ("tiles", "out"), [("in", "in"), ("in", "in/deeper/.."), ("out/in", "out"), ("s3://b/in", "s3://b/in/x")]
)
def test_a_catalogue_among_its_tiles_is_refused(places, tmp_path, tiles, out):
    with pytest.raises(PlaceError, match=f"^{out}: must lie outside the input {tiles}, and not around it$"):
        command(tiles, out=out)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def measured(monkeypatch):
    """Record what is asked of the measurement of completeness; return lenses made by hand."""
    asked = []

    def measure(root_uri, label, **options):
        asked.append((root_uri, label, {name: options[name] for name in ("n", "workers", "engine", "plan_id", "package")}))
        return injected_into(root_uri, 12, night=NIGHTS[0]), True

    monkeypatch.setattr("flows.commands.completeness.measure_completeness", measure)
    return asked


def test_flow_and_command_measure_completeness_after_the_scan(places, measured, capsys):
    catalogue, collection = places
    options = {"completeness": 12, "workers": 3, "engine": "torch"}
    summary = flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection, **options)
    assert (summary.completeness.n_injected, summary.completeness.n_recovered) == (12, 6)
    assert summary.published
    assert "Injected lenses recovered: 6 of 12" in step.summary_markdown(summary, catalogue)
    command("tiles", out=catalogue, night=NIGHT, **options)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("recovered")]
    assert line.split(maxsplit=1)[1] == "6 of 12 injected lenses"
    asked = {"n": 12, "workers": 3, "engine": "torch", "plan_id": None, "package": SHIPPED_DIR / "mer3-cascade"}
    assert measured == [(catalogue, NIGHTS[0], asked)] * 2


def test_a_gated_night_is_measured_and_not_published(places, measured):
    catalogue, collection = places
    summary = flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection, completeness=12, gate=True)
    assert summary.completeness.n_injected == 12
    assert summary.published is None
    assert "Readers see this night once it is promoted" in step.summary_markdown(summary, catalogue)
    assert [options["plan_id"] for _, _, options in measured] == [summary.plan_id]
    with pytest.raises(FileNotFoundError):
        current(collection)


def test_a_scan_without_the_option_injects_nothing(places, measured):
    assert flow.scan_night.fn("tiles", places[0], NIGHT).completeness is None
    assert measured == []


def test_a_scan_that_cannot_be_measured_is_complete(places):
    """The units of this night are no real tiles."""
    with pytest.raises(
        CompletenessCommandError, match=r"^this scan is complete, but its completeness is not measured: .*--n 5`"
    ):
        flow.scan_night.fn("tiles", places[0], NIGHT, completeness=5)
    assert flow.scan_night.fn("tiles", places[0], NIGHT).n_candidates == 14


def test_a_night_is_published_though_it_cannot_be_measured(places):
    catalogue, collection = places
    with pytest.raises(CompletenessCommandError, match=r"^this scan is complete, and published as \S+, but its completeness"):
        flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection, completeness=5)
    assert set(ids_by_night(read(current(collection)))) == {NIGHTS[0]}


def test_a_failed_publication_names_the_measurement_too(places, measured, tmp_path):
    catalogue, collection = places
    (tmp_path / "collection").mkdir()
    (tmp_path / "collection" / "collection.properties").write_text("obs_collection=other\n")
    with pytest.raises(PublishError, match=rf"`lensscan publish .*, and `lensscan completeness {catalogue} .*--n 5`"):
        flow.scan_night.fn("tiles", catalogue, NIGHT, publish_to=collection, completeness=5)
    assert measured == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"survey": "kids-dr4"}, r"^--completeness: arcs are simulated for images of Euclid, not of "),
        ({"ensemble": "ou7-sim"}, r"^--completeness: arcs are painted into pixels of 0\.1 arcsec, not into those of challenge"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_the_scan(places, tmp_path, options, says):
    with pytest.raises(CompletenessCommandError, match=says):
        flow.scan_night.fn("tiles", places[0], NIGHT, completeness=5, **options)
    assert not (tmp_path / "catalogue").exists()
