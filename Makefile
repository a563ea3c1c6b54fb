# The one command surface. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

PYTHON ?= python3
# Where a machine forbids bytecode, every process (each test worker, each Lambda of the local AWS) would compile all anew.
export PYTHONDONTWRITEBYTECODE :=
# What set-up installed goes first, Node.js included where the machine has none.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH"
# Both cores for what is independent; `loadgroup` keeps tests that share an expensive fixture on one worker.
PYTEST := $(RUN) python -m pytest --durations=15
SPREAD := -n 2 --dist loadgroup

.PHONY: help setup demo up down check lint types test test-long reliability sim bench lock schemas format clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Install everything into .venv and node_modules (does nothing when up to date)
	@$(PYTHON) tools/bootstrap.py

demo: setup ## Start a local AWS, deploy, push tasks through it, show what happened, stop
	@$(RUN) pushlane demo

up: setup ## Start the local AWS, deploy, and leave it running
	@$(RUN) pushlane up

down: setup ## Stop the local AWS that `make up` started
	@$(RUN) pushlane down

check: lint types ## Lint, formatting, types, import law, stale schemas (offline)

lint: setup
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) lint-imports --no-cache
	$(RUN) python tools/schemas.py --check

types: setup
	$(RUN) mypy

# The types are checked beside the tests: alone they would leave a core idle for more than a minute.
test: lint ## Everything that CI runs, except the long tests (12 minutes at most)
	$(RUN) mypy & types=$$!; failed=0; \
	$(PYTEST) $(SPREAD) -m "not e2e and not long" || failed=1; \
	wait $$types || failed=1; \
	exit $$failed
	$(PYTEST) -m "e2e and not long" tests/e2e

# What has an emulator has the machine to itself.
test-long: setup ## The long tests (35 minutes at most)
	$(PYTEST) $(SPREAD) -m long --ignore tests/long
	$(PYTEST) -m long tests/long

# A recorded hour of LLM requests; without it the worlds that are made from it are left out.
TRACE ?= ../shared/traces/azure-llm-conv-2023.csv

sim: setup ## Compare the scheduler with others on simulated worlds (build/sim; TRACE=recorded.csv)
	$(RUN) pushlane simulate worlds --requests "$(TRACE)" --out build/sim --check

# RELIABILITY="--seed 7" replays one world; --seconds, --worlds, --processes, --no-sabotage: see --help.
reliability: setup ## Deterministic simulation of the real handlers, full of faults; sabotaged copies (10 minutes)
	$(RUN) python -m tests.reliability $(RELIABILITY)

# BENCH="--quick" to work on the bench itself; `python -m bench.turn_scaling`: turns over up to a million parked tasks.
bench: setup ## Pushlane beside its floor, polling fleets and a bare queue: pickup, isolation, units, dollars (20 minutes)
	$(RUN) python -m bench $(BENCH)

lock: setup ## Recompile the lock files
	$(RUN) python tools/lock.py

schemas: setup ## Rewrite what is generated below docs/ from the code
	$(RUN) python tools/schemas.py

format: setup ## Format the code and apply safe lint fixes
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

clean: ## Remove what builds and tests leave behind (keeps .venv and node_modules)
	rm -rf build dist cdk.out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find shared lambdas stacks examples tests tools -type d -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
