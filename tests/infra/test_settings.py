import os
import traceback

import pytest

from infra.settings import Settings, SettingsError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return tmp_path


def test_tests_find_no_ensembles_of_the_user(tmp_path_factory):
    assert Settings.read().ensembles_dir.is_relative_to(tmp_path_factory.getbasetemp())


def test_the_environment_overrides_the_file(folder, monkeypatch):
    (folder / "lensscan.toml").write_text('workers = 3\nallow_open_cluster = true\nray_address = "10.0.0.1:6379"\n')
    monkeypatch.setenv("LENSSCAN_WORKERS", "5")
    found = Settings.read()
    assert (found.workers, found.allow_open_cluster, found.ray_address) == (5, True, "10.0.0.1:6379")


def test_the_default_number_of_workers_is_not_asked_for(folder, monkeypatch):
    """A scan on a cluster then counts the cores of the cluster, not those of this machine."""
    found = Settings.read()
    assert (found.asked_workers, found.workers) == (None, os.cpu_count())
    monkeypatch.setenv("LENSSCAN_WORKERS", "5")
    assert Settings.read().asked_workers == 5


@pytest.mark.parametrize("name", ["LENSSCAN_RAY_ADDRESS", "RAY_ADDRESS", "LENSSCAN_METRICS_DIR", "LENSSCAN_WORKERS"])
def test_an_empty_variable_is_no_value(folder, monkeypatch, name):
    without = Settings.read()
    monkeypatch.setenv(name, "")
    assert Settings.read() == without


def test_the_home_folder_may_be_a_tilde(folder, monkeypatch):
    monkeypatch.delenv("LENSSCAN_ENSEMBLES_DIR", raising=False)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("LENSSCAN_METRICS_DIR", "~/metrics")
    (folder / "lensscan.toml").write_text('ensembles_dir = "~/lens"\n')
    found = Settings.read()
    assert (found.ensembles_dir, found.metrics_dir) == (folder / "lens", folder / "metrics")
    (folder / "lensscan.toml").write_text('ensembles_dir = "~nosuchuser/lens"\n')
    with pytest.raises(
        SettingsError, match=r"^setting ensembles_dir: .*the home folder of this user is not known, got '~nosuch"
    ):
        Settings.read()


def test_an_open_cluster_is_not_used_by_default(folder, monkeypatch):
    assert Settings.read().allow_open_cluster is False
    monkeypatch.setenv("LENSSCAN_ALLOW_OPEN_CLUSTER", "true")
    assert Settings.read().allow_open_cluster is True


def test_a_value_out_of_range_is_named(folder, monkeypatch):
    monkeypatch.setenv("LENSSCAN_WORKERS", "0")
    with pytest.raises(SettingsError, match=r"^setting workers: .* greater than or equal to 1, got '0'$"):
        Settings.read()


@pytest.mark.fault(36)
@pytest.mark.parametrize("line", ['aws_secret_access_key = "canary"', 'key = "canary', 'workers = "canary"'])
def test_a_secret_in_the_settings_file_is_not_repeated(folder, line):
    (folder / "lensscan.toml").write_text(line + "\n")
    with pytest.raises(SettingsError) as error:
        Settings.read()
    # The traceback holds all causes, as a log would; the value of a known setting is quoted.
    told = "".join(traceback.format_exception(error.value))
    assert ("canary" in told) == line.startswith("workers")


@pytest.mark.parametrize(
    ("name", "says"),
    [("ensembel", "no such setting ensembel; did you mean ensemble? "), ("gpus", "no such setting gpus. ")],
)
def test_an_unknown_setting_is_named_with_those_that_exist(folder, name, says):
    (folder / "lensscan.toml").write_text(f"{name} = 1\n")
    with pytest.raises(SettingsError) as error:
        Settings.read()
    known = "ensembles_dir, ensemble, ray_address, allow_open_cluster, workers, engine, known_lenses, metrics_dir"
    assert str(error.value) == f"lensscan.toml: {says}Settings: {known}"
