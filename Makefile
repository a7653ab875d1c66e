# Each target sets up the virtual environment by itself when it is missing or out of date.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= configs/sample.yaml
export SOUND_APPROACH_CONFIG := $(CONFIG)

.PHONY: help run ui test slow check bench clean
help:           ## list the targets
	@grep -hE '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(VENV)/.base            ## materialize everything (CONFIG=configs/sample.yaml)
	$(BIN)/sound-approach run

ui: $(VENV)/.base             ## open Dagster on loopback, with the history of `make run`
	$(BIN)/sound-approach ui

test: $(VENV)/.all            ## install everything and run the tests that are not slow
	$(BIN)/python -m pytest -q -m "not slow" --numprocesses 2 --dist loadfile

slow: $(VENV)/.all            ## the slow tests: whole runs, live daemons, kills, simulations; the longest come first
	$(BIN)/python -m pytest -q -m slow --numprocesses 4 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.all           ## format, lint, types, house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.all           ## performance, as ratios measured in one run
	@for bench in tests/performance/bench_*.py; do \
		echo "== $$bench"; PYTHONPATH=.:tests $(BIN)/python $$bench || exit 1; done

clean:                        ## remove the virtual environment (outputs stay)
	rm -rf $(VENV)

$(VENV)/.base: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.all: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[encoders,cluster,test]'
	@touch $@ $(VENV)/.base
