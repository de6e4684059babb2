# `make test` is all a newcomer needs: it makes .venv, installs what the tests use and runs
# everything.  PYTHON= selects another interpreter, VENV= another place for its environment.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
PYTEST ?= $(VENV)/bin/python -m pytest
WORKERS ?= auto

# One stamp an interpreter version and pyproject.toml: changing either installs anew.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
STAMP := $(VENV)/.installed-$(VERSION)

.PHONY: help setup lint unit integration e2e attack pytest test conformance bench demo docs session wheel clean

help:
	@echo 'make demo         a first run: builds, runs, breaks and stops four services (root)'
	@echo 'make test         lint, types and every test (root sees all of them, others what they can)'
	@echo 'make setup        $(VENV) with the package and its tools'
	@echo 'make lint         ruff format, ruff check, mypy --strict, vulture'
	@echo 'make unit         the tests that start no process of ours'
	@echo 'make integration  real processes under a real PID 1'
	@echo 'make e2e          real containers (root and docker.io)'
	@echo 'make attack       the attacks of tests/attack for an hour (root)'
	@echo 'make conformance DATA=DIR  data of other projects'\'' tests, which lies outside'
	@echo 'make bench        the benchmarks, peers beside them'
	@echo 'make docs         write the pages that are made from the code'
	@echo 'make session      record docs/session.svg anew (root)'
	@echo 'make wheel        the package, into dist/'
	@echo 'make clean        remove what the above made'

setup: $(STAMP)

# editable_mode=compat: a plain path in a .pth file; the default import hook would be on the import
# path of every process the tests start.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
		--config-settings editable_mode=compat --editable '.[test,lint,layers]'
	touch $@

lint: setup
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m tests.support.dead_code

unit: setup
	$(PYTEST) -n $(WORKERS) -m 'not integration and not e2e'

integration: setup
	$(PYTEST) -n $(WORKERS) -m integration

e2e: setup
	$(PYTEST) -m e2e

# What one race or fuzzer may take, in seconds: minutes here, three seconds in `make test`.
ATTACK_SECONDS ?= 120

attack: setup
	ATTACK_SECONDS=$(ATTACK_SECONDS) $(PYTEST) -n $(WORKERS) -o faulthandler_timeout=1800 tests/attack

# loadfile keeps the tests that share one dockerd on one worker.
pytest: setup
	$(PYTEST) -n $(WORKERS) --dist loadfile

test: lint pytest

# DATA has dockerfile/ and build/; its README says what they hold.
conformance: setup
	test -d "$(DATA)/dockerfile"
	CONFORMANCE_DATA='$(abspath $(DATA))' $(PYTEST) -o faulthandler_timeout=900 tests/conformance

# What is made from the code; a test fails when it is stale.
docs: setup
	$(VENV)/bin/python docs/generate_states.py
	$(VENV)/bin/python docs/generate_reference.py
	$(VENV)/bin/python docs/generate_configuration.py
	$(VENV)/bin/python tests/support/helpdocs.py
	$(VENV)/bin/python docs/generate_comparisons.py
	$(VENV)/bin/python docs/generate_graph.py
	$(VENV)/bin/python docs/generate_man.py
	$(VENV)/bin/python docs/generate_completions.py

session: setup
	$(VENV)/bin/python docs/generate_session.py

# Without what an earlier build left: setuptools would pack modules that are gone.
wheel: setup
	rm -rf build
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .

# PORT= is the port of this machine.
demo: setup configs/demo/wheels/.made
	@PATH="$(abspath $(VENV))/bin:$$PATH" configs/demo/demo.sh

configs/demo/wheels/.made: $(STAMP) $(shell find supervise runtime -name '*.py')
	rm -rf configs/demo/wheels
	$(VENV)/bin/python -m pip wheel --quiet --disable-pip-version-check \
		--wheel-dir configs/demo/wheels .
	touch $@

bench: setup
	$(VENV)/bin/python -m benchmarks

clean:
	rm -rf configs/demo/wheels .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
