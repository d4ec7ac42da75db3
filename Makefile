# Everything happens in .venv, made on first use; nothing needs to be activated.
# Another Python or another place: make test PYTHON=/opt/python3.12/bin/python3 VENV=/var/tmp/venv

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help demo test check format proto lock bench soak audit verify-deploy clean

ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(shell for each in $(CANDIDATES); do $$each -c '$(ENOUGH)' 2>/dev/null && echo $$each && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# Processes that run tests; those that start processes themselves share one of them.
JOBS ?= 2
SOAK ?= 20
SOAK_MINUTES ?= 5
FUZZ_INPUTS ?= 10000000
SOAK_SEED ?= $(shell date +%s)000
CHAOS_MINUTES ?= 10
LONG_ROUNDS ?= 100000

help:  ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-19s %s\n", $$1, $$2 }'

demo: $(VENV)/installed  ## train on this machine: 8 workers, one slow, one killed, one frozen
	$(BIN)/gradcode train

test: check  ## check the code, then run all tests and the examples in docstrings
	$(BIN)/python -m pytest -q --durations=10 -n $(JOBS) --dist loadgroup

check: $(VENV)/installed-dev  ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev  ## put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(VENV)/installed-dev  ## generate common/wire/gradcode from protos
	$(BIN)/python -m common.wire.generate

lock: $(VENV)/installed-dev  ## write the image's lock files anew, with today's versions
	@$(PIP) uv
	UV=$(BIN)/uv deploy/docker/lock.sh

bench: $(VENV)/installed-dev  ## run the benchmarks
	@for each in benchmarks/*.py; do echo "== $$each"; $(BIN)/python $$each || exit 1; done

soak: $(VENV)/installed-dev  ## what takes long: fuzzing, failure search, chaos, 100,000 rounds, 20 kills of a master, end-to-end tests
	$(BIN)/python -m gradcode.lab.fuzz --inputs $(FUZZ_INPUTS) --seed $(SOAK_SEED)
	$(BIN)/python -m gradcode.lab.fuzz --engine atheris --target request --seconds 60
	$(BIN)/python -m gradcode.lab.failure_search --minutes $(SOAK_MINUTES) --first-seed $(SOAK_SEED)
	$(BIN)/python -m gradcode.chaos --minutes $(CHAOS_MINUTES) --seed $(SOAK_SEED)
	$(BIN)/python -m gradcode.chaos --long-run $(LONG_ROUNDS)
	GRADCODE_KILLS=20 GRADCODE_SEED=$(SOAK_SEED) $(BIN)/python -m pytest -q --timeout 600 tests/end_to_end/test_resume.py
	@for each in $$(seq $(SOAK)); do echo "== $$each of $(SOAK)"; \
	  GRADCODE_SLOW=1 $(BIN)/python -m pytest -q -x tests/end_to_end tests/gradcode || exit 1; done

audit: $(VENV)/installed-dev  ## look up known holes in what the image installs; needs the network
	@$(PIP) pip-audit
	@$(BIN)/python deploy/docker/audit.py

verify-deploy:  ## build the image, run its containers for real, and check what they promise; needs Docker
	deploy/docker/verify.sh

clean:  ## remove .venv, caches and build results; keep runs
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@"$(PYTHON)" -c '$(ENOUGH)' 2>/dev/null || \
	  { echo "gradcode needs Python 3.11 or newer: name one, such as make PYTHON=/path/to/python3.12" >&2; exit 2; }
	@echo "making $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "no environment: install Python's venv (Debian: apt-get install python3-venv)" >&2; exit 2; }

$(VENV)/installed: pyproject.toml | $(BIN)/python
	@echo "installing gradcode into $(VENV)"
	@$(PIP) -e .
	@touch $@

# With the dev extra gradcode itself is installed too, so the other stamp is set as well.
$(VENV)/installed-dev: pyproject.toml | $(BIN)/python
	@echo "installing gradcode and its tools into $(VENV)"
	@$(PIP) -e ".[dev]"
	@touch $@ $(VENV)/installed
