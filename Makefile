# QuantLab: set-up and gates. Works with GNU make 3.81 (macOS) and later.
#
#   make setup      .venv with the program in it
#   make rehearse   set up, then walk the whole ladder on the rehearsal exchange
#   make test       set up for development, then all tests and the coverage gate
#   make quick      what to run while working: under a minute
#   make check      the whole gate
#   make hunt       SIGKILL at 200 random moments of submit in each corridor: about half an hour (HUNT_ROUNDS=n)
#
# After set-up every step uses .venv's interpreter, never one from PATH.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --quiet --quiet --disable-pip-version-check --no-input

# Locks hold what had been released by this day, so that compiling them again gives the same files.
LOCK_DATE := 2026-11-16
UV ?= uv
COMPILE := $(UV) pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --exclude-newer $(LOCK_DATE) --upgrade

# Tests force thousands of files to the medium; where memory offers one with room they do it there.
TEST_TMP := $(shell [ -w /dev/shm ] && df -Pk /dev/shm | awk 'NR == 2 && $$4 > 2000000 {print "/dev/shm"}')
TEST_TMP := $(if $(TEST_TMP),$(TEST_TMP),$(if $(TMPDIR),$(TMPDIR),/tmp))

# Options for pytest, for example: make test PYTEST_ARGS='-k submit'
PYTEST_ARGS ?=
PYTEST_LOG := .pytest_cache/last-run.txt

.PHONY: help setup dev rehearse test quick hunt check lint types contracts docs docs-check locks-check \
	fmt lock clean

help:
	@sed -n 's/^#   //p' Makefile

# ------------------------------------------------------------------------------------------- set-up

setup: $(VENV)/.stamp-core

dev: $(VENV)/.stamp-dev

$(VENV)/.stamp-python:
	@found=; \
	for python in $(if $(PYTHON),"$(PYTHON)",python3.11 python3); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    found=$$python; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "quantlab needs Python 3.11 or later, and $(if $(PYTHON),$(PYTHON) is not,neither python3.11 nor python3 is)." >&2; \
	  echo "Install it, or name it: make setup PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" --version)"; \
	rm -rf $(VENV) && "$$found" -m venv $(VENV)
	@touch $@

$(VENV)/.stamp-core: $(VENV)/.stamp-python requirements/core.lock pyproject.toml hatch_build.py \
		src/quantlab/kernel/build_info.py
	@$(PIP) install --require-hashes --no-deps -r requirements/core.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(PY) -m compileall -q src
	@touch $@
	@echo "Ready: $(BIN)/quantlab"

$(VENV)/.stamp-dev: $(VENV)/.stamp-core requirements/dev.lock
	@echo "Adding the development tools"
	@$(PIP) install --require-hashes --no-deps -r requirements/dev.lock
	@touch $@

# --------------------------------------------------------------------------------------------- runs

rehearse: setup
	@$(BIN)/quantlab rehearsal run

# The closing line of pytest is repeated last, after the gate's own words.
test: dev
	@rm -f .coverage .coverage.* && mkdir -p $(dir $(PYTEST_LOG))
	@set -o pipefail; \
	TMPDIR=$(TEST_TMP) $(BIN)/coverage run -m pytest -n 2 $(PYTEST_ARGS) </dev/null 2>&1 | tee $(PYTEST_LOG)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage json --quiet -o .coverage.json
	@$(PY) tools/check_coverage.py .coverage.json
	@tail -n 1 $(PYTEST_LOG)

quick: lint types contracts
	@TMPDIR=$(TEST_TMP) $(PY) -m pytest -x -q -m "not slow and not packaging" $(PYTEST_ARGS) \
	  $$($(PY) tools/changed_tests.py) </dev/null

HUNT_ROUNDS ?= 200

hunt: dev
	@HUNT_ROUNDS=$(HUNT_ROUNDS) $(PY) -m pytest -n 0 -q -m slow tests/faults/test_kill_points.py \
	  tests/faults/test_hyperliquid_kill_points.py </dev/null

check: lint types contracts docs-check locks-check test

# -------------------------------------------------------------------------------------------- gates

lint: dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { \
	  $(BIN)/ruff format --check . >&2; exit 1; }

types: dev
	@$(BIN)/mypy --no-error-summary

contracts: dev
	@$(BIN)/lint-imports

docs: dev
	@$(PY) -m tools.generate_docs

docs-check: dev
	@$(PY) -m tools.generate_docs --check

locks-check: dev
	@$(PY) -m tools.check_locks

# Several people may be at work in one checkout: only files that are named are rewritten.
fmt: dev
	@if [ -z "$(FILES)" ]; then \
	  echo "name what is yours: make fmt FILES='src/quantlab/rungs/gate.py tests/unit/rungs'" >&2; \
	  exit 2; \
	fi
	@$(BIN)/ruff check --quiet --fix-only $(FILES)
	@$(BIN)/ruff format --quiet $(FILES)

# ------------------------------------------------------------------------------------------- upkeep

# Needs uv, which nothing else here does: python3.11 -m pip install uv, in a place of its own.
lock:
	@$(COMPILE) --group build --output-file requirements/core.lock
	@$(COMPILE) --group build --group dev --constraint requirements/core.lock \
	  --output-file requirements/dev.lock

clean:
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis htmlcov build dist
	@rm -f .coverage .coverage.*
	@find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +
