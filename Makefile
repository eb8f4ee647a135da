# The tasks of espf. A fresh machine needs git, make and Python 3.11 with venv; everything else is
# installed into .venv from requirements/*.txt, whose hashes are checked. `make` prints this list.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
# uv is needed to lock only; nothing else uses it.
UV     ?= $(BIN)/uv

.DEFAULT_GOAL := help
.PHONY: help env demo test test-all audit faults check lint format types layers fix bench bench-full docs serve
.PHONY: lock clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: $(VENV)/.run  ## make the environment, with the espf command in .venv/bin

demo: $(VENV)/.run $(if $(filter postgres,$(ENGINE)),$(VENV)/.test)  ## show the main job from start to end (ENGINE=postgres: on PostgreSQL)
	$(BIN)/espf demo --engine $(or $(ENGINE),sqlite)

test: $(VENV)/.test  ## make the environment with what tests need, then run them
	$(BIN)/python -m pytest $(ARGS)

test-all: test check  ## tests, then everything that `check` checks

audit: $(VENV)/.test  ## audit 10,000 subscribers on a real osmo-hlr, 1 % of them changed by hand
	AUDIT_SUBSCRIBERS=10000 $(BIN)/python -m pytest -s tests/acceptance/test_osmo_hlr_audit.py $(ARGS)

check: lint format types layers  ## lint, formatting, types, layers (make -k check shows all)

lint: $(VENV)/.lint
	$(BIN)/ruff check .

format: $(VENV)/.lint
	$(BIN)/ruff format --check .

types: $(VENV)/.lint
	$(BIN)/mypy

layers: $(VENV)/.lint
	$(BIN)/lint-imports

fix: $(VENV)/.lint  ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

faults: $(VENV)/.test  ## every fault in full: 200 kills, server, network, clock, receiver (15 minutes)
	FAULTS=whole $(BIN)/python -m pytest -q tests/faults $(ARGS)

bench: $(VENV)/.bench  ## measure all in short, write docs/reference/performance.md (10 minutes)
	$(BIN)/python benchmarks/suite.py $(ARGS)

bench-full: $(VENV)/.bench  ## the same at full length: 10 million events, hours
	$(BIN)/python benchmarks/suite.py --full $(ARGS)

docs: $(VENV)/.run  ## write the generated reference pages again
	$(BIN)/python docs/generate.py

serve: $(VENV)/.run  ## web console and engine on 127.0.0.1:8080
	$(BIN)/espf serve

LOCK := pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --quiet --no-progress pyproject.toml --group build

lock:  ## resolve dependencies again (needs uv; UPGRADE=--upgrade takes newer versions)
	$(UV) $(LOCK) $(UPGRADE) --output-file requirements/run.txt
	$(UV) $(LOCK) $(UPGRADE) --group test -c requirements/run.txt -o requirements/test.txt
	$(UV) $(LOCK) $(UPGRADE) --group lint -c requirements/run.txt -o requirements/lint.txt
	$(UV) $(LOCK) $(UPGRADE) --group bench -c requirements/test.txt -o requirements/bench.txt

clean:  ## remove the environment and caches
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

# Stamps: a second call does nothing until a locked file changes.

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "espf needs Python 3.11 or later, and there is no '$(PYTHON)' here."; \
	  echo "Install it, or name one: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "espf needs Python 3.11 or later; '$(PYTHON)' is $$($(PYTHON) --version 2>&1)."; \
	  echo "Name a newer one: make PYTHON=python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.made requirements/run.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run requirements/test.txt
	$(PIP) install --require-hashes -r requirements/test.txt
	@touch $@

$(VENV)/.lint: $(VENV)/.run requirements/lint.txt
	$(PIP) install --require-hashes -r requirements/lint.txt
	@touch $@

$(VENV)/.bench: $(VENV)/.run requirements/bench.txt
	$(PIP) install --require-hashes -r requirements/bench.txt
	@touch $@
