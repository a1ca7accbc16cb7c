"""The driver of a night checks packages and settings before it starts workers."""

from datetime import date

import pytest

from infra.store.storage import list_files
from scanner.catalogue.plan import find_plans, load_plan
from scanner.networks import package
from scanner.networks.errors import EngineError, PackageError
from scanner.networks.locate import SHIPPED_DIR
from scanner.scan.request import ScanRequest
from scanner.workers.run import scan_night
from tests.tiles import write_tile

FIRST, SECOND = SHIPPED_DIR / "mer3-sim", SHIPPED_DIR / "ou7-sim"


class RayStartedError(Exception):
    """The driver has asked for a Ray session."""


@pytest.fixture
def no_ray(monkeypatch):
    """Return the addresses of the Ray sessions that were asked for; none is started."""
    asked = []

    def session(address):
        asked.append(address)
        raise RayStartedError

    monkeypatch.setattr("infra.ray.cluster.ray_session", session)
    return asked


@pytest.fixture
def root(tmp_path):
    return str(tmp_path / "catalogue")


def request_of(tmp_path, **options):
    write_tile(tmp_path / "tiles", 1, 2)
    return ScanRequest(input_uri=str(tmp_path / "tiles"), night=date(2026, 11, 24), **{"package": FIRST, **options})


def test_the_driver_freezes_the_plan_and_builds_no_network(tmp_path, root, no_ray, monkeypatch):
    monkeypatch.setattr(package, "load_network", None)
    with pytest.raises(RayStartedError):
        scan_night(request_of(tmp_path, second=SECOND), root, ray_address="10.0.0.1:6379")
    assert no_ray == ["10.0.0.1:6379"]
    (plan_id,) = find_plans(root)
    assert load_plan(root, plan_id).config.second.ensemble_name == "ou7-sim"


def test_missing_weights_are_found_before_ray_starts(tmp_path, root, no_ray):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "card.json").write_bytes((FIRST / "card.json").read_bytes())
    for options in ({"package": tmp_path / "empty"}, {"second": tmp_path / "empty"}):
        with pytest.raises(PackageError, match=r"\.safetensors: cannot be read .*needs its weights"):
            scan_night(request_of(tmp_path, **options), root)
    assert no_ray == []
    assert list_files(root) == []


def test_a_missing_engine_is_found_before_ray_starts(tmp_path, root, no_ray, monkeypatch):
    monkeypatch.setattr("scanner.networks.engines._WORKS", {"torch": lambda: True, "cuda": lambda: False})
    with pytest.raises(EngineError, match="engine cuda needs an NVIDIA GPU"):
        scan_night(request_of(tmp_path, engine="cuda"), root, ray_address="local")
    # The workers of a cluster may have other engines than the driver.
    with pytest.raises(RayStartedError):
        scan_night(request_of(tmp_path, engine="cuda"), root, ray_address="auto")
    assert no_ray == ["auto"]
