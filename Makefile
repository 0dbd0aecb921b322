# Two commands: `make run` and `make test`. Everything else serves them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp

.DEFAULT_GOAL := help
.PHONY: help run test check setup bench clean lock

help:  ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## Make .venv and install the locked dependencies

$(STAMP): pyproject.toml requirements.lock deploy/setup.py
	@$(PYTHON) deploy/setup.py --venv $(VENV)
	@touch $@

run: setup  ## Run the system on the embedded defaults: make run ARGS="--for 60 --scenario synthetic"
	@$(BIN)/gammaray run $(ARGS)

check: setup  ## ruff, mypy, import-linter
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

test: check  ## Set up and pass the tests (the checks included)
	@$(BIN)/pytest -m "not slow" $(PYTEST_ARGS)

bench: setup  ## Run the benchmarks, each beside its peers
	@$(BIN)/pip install -q -c requirements.lock -e '.[bench]'
	@$(BIN)/python -m benchmarks.run $(ARGS)

lock: setup  ## Write requirements.lock from the environment
	@$(BIN)/pip freeze --exclude-editable | grep -v -E '^(pip|setuptools|wheel)==' > requirements.lock

clean:  ## Remove the environment, caches and run folders
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis runs
