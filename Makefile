# Every target does its own set-up and needs only Python >= 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DOCS_STAMP := .venv/.installed-docs
# Test processes, each of which runs one file at a time with one thread: two threads on one core would wait for each other.
TWO := -n 2 --dist loadfile --no-loadscope-reorder
# For two cores: tests wait a third of their time for servers, Ray and workers that start.
THREE := -n 3 --dist loadfile --no-loadscope-reorder
QUIET := RAY_USAGE_STATS_ENABLED=0 PREFECT_SERVER_ANALYTICS_ENABLED=false DO_NOT_TRACK=1
# Some shells switch the cache of compiled files off: then each test process compiles all tests, for ten seconds.
CACHED := PYTHONDONTWRITEBYTECODE=

.PHONY: venv demo demo-s3 demo-nightly services lock test test-slow faults mutants lint types bench realism probes out-of-domain coverage docs tutorial screens clean

venv: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lensscan needs Python 3.11 or newer, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps 'lenscat>=1.1.3' # its table is read, not its code
	PYTHONDONTWRITEBYTECODE= $(QUIET) $(BIN)/python -m flows.compile_loops
	touch $(STAMP)

demo: $(STAMP)
	$(QUIET) $(BIN)/lensscan demo --out demo-output

# The demo with tiles and catalogue in an S3 store that runs on this machine meanwhile
demo-s3: $(STAMP)
	$(QUIET) $(BIN)/python -m flows.demo_s3 --out demo-output/store

# Three nights by a Prefect worker, one of them killed, on servers that run on this machine meanwhile; make demo-nightly KEEP=1
# keeps the servers until Ctrl-C
demo-nightly: $(STAMP)
	$(QUIET) $(BIN)/python -m flows.demo_nightly --out demo-output/nightly $(if $(KEEP),--keep)

# An S3 store, a Prefect server and a Ray head on this machine until Ctrl-C; the file services/env directs another shell to them
services: $(STAMP)
	$(BIN)/python -m infra.deploy.local_services --out services

# The packages of the container image with their digests, after a change of dependencies; needs the Python of the Dockerfile, on Linux
lock: $(STAMP)
	$(BIN)/python -m infra.deploy.lock

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

test: $(STAMP)
	$(QUIET) $(CACHED) OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(THREE)

test-slow: $(STAMP)
	$(QUIET) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow

# Every fault of tests/faults/harness/rows.py, two files at a time, because they wait a lot; writes tests/faults/report.json and REPORT.md
faults: $(STAMP)
	$(QUIET) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m fault $(TWO) --fault-report tests/faults/report.json

# Mutations of the core modules, to measure whether tests detect them; writes tests/mutants/report.json and REPORT.md
mutants: $(STAMP)
	$(QUIET) OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutants

bench: $(STAMP)
	$(QUIET) $(BIN)/python -m tests.benchmarks.run

# Needs real Euclid cutouts: make realism REAL=folder
realism: $(STAMP)
	$(BIN)/python -m tests.benchmarks.realism $(if $(REAL),--real $(REAL))

# Needs the same cutouts, and deepdisc-0.1.1.tar.gz for real galaxies; make probes REAL=folder GALAXIES=file ENSEMBLES="a b"
probes: $(STAMP)
	$(BIN)/python -m tests.benchmarks.probes $(if $(REAL),--real $(REAL)) $(if $(GALAXIES),--galaxies $(GALAXIES)) $(if $(ENSEMBLES),--ensemble $(ENSEMBLES))

# Ensembles on the independent simulator of the tests: make out-of-domain ENSEMBLES="a b"
out-of-domain: $(STAMP)
	$(BIN)/python -m tests.benchmarks.out_of_domain $(if $(ENSEMBLES),--ensemble $(ENSEMBLES))

# The joint coverage of presets: make coverage PRESETS="euclid=folder broad=folder", with shards of `lensscan simulate`
coverage: $(STAMP)
	$(BIN)/python -m tests.benchmarks.coverage $(PRESETS)

# The pages of docs/ as HTML in build/docs; a warning is an error
docs: $(DOCS_STAMP)
	$(BIN)/python -m sphinx -q -E -W --keep-going -b html docs build/docs

# The outputs that the tutorial is stored with, after a change of what it shows
tutorial: $(STAMP)
	$(QUIET) $(BIN)/python -m tests.docs.notebook

# The screenshots and contact sheets of docs/figures, after a change of what commands print or draw; pages need a browser
screens: $(STAMP)
	$(QUIET) $(BIN)/python -m tests.figures.screens --out docs/figures
	$(QUIET) $(BIN)/python -m tests.figures.report_pages --out docs/figures
	$(QUIET) $(BIN)/python -m tests.figures.nightly_pages --out docs/figures

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $(DOCS_STAMP)

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache demo-output
