# `make run` on a fresh machine is all it takes; `make help` lists the rest.
BIN := .venv/bin
PORT ?= 3000
export PORT
export REFLEX_TELEMETRY_ENABLED := false

.DEFAULT_GOAL := help
# Two installations at once would get in each other's way.
.NOTPARALLEL:

.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

.PHONY: run
run: installed  ## Set up what changed, and serve on http://localhost:3000 (PORT=3001 changes the port)
	@exec $(BIN)/python -m streamchat run

.PHONY: dev
dev: installed  ## The same with hot reload, for working on streamchat
	@exec $(BIN)/reflex run

# Else each process of the tests, and each server of theirs, compiles what it imports: a quarter of all work.
test test-fast soak: export PYTHONDONTWRITEBYTECODE :=

.PHONY: test
test: installed-dev front system build  ## Everything that CI runs
	@$(BIN)/python -m streamchat.protos
	@$(BIN)/python scripts/parallel.py "$(MAKE) --no-print-directory check" "$(BIN)/python scripts/suite.py"

.PHONY: test-fast
test-fast: installed-dev front  ## Lint, types and the unit tests: what to run while working
	@$(BIN)/python -m streamchat.protos
	@$(BIN)/python scripts/parallel.py "$(MAKE) --no-print-directory check" "$(BIN)/python -m pytest -n auto tests/unit"

.PHONY: soak
soak: installed-dev system build  ## All tests one after the other, in the long version (SOAK_SECONDS=120 chooses how long)
	@SOAK_SECONDS=$${SOAK_SECONDS:-120} $(BIN)/python -m pytest

.PHONY: check
check: installed-dev front  ## Lint, format and types, and the tests of the front end
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/python -m deptry --no-ansi . >/dev/null 2>&1 || $(BIN)/python -m deptry .
	@$(BIN)/python -m streamchat.protos
	@$(BIN)/pyrefly check --summary=none
	@$(BIN)/bun run --silent --bun check
	@$(BIN)/bun test --only-failures

.PHONY: bench
bench: installed-dev system build  ## Measure, and print tables (docs/performance.md)
	@$(BIN)/python -m bench

.PHONY: bench-peers
bench-peers: installed-dev system build  ## The same loads on the AI SDK's minimal app, from npm, in the same run
	@$(BIN)/python -m bench.peers

.PHONY: screenshots
screenshots: installed-dev system build  ## Make the pictures in docs/screenshots/
	@$(BIN)/python scripts/screenshots.py

.PHONY: cluster
cluster: installed-dev system  ## Two workers, Redis, PostgreSQL and nginx on this machine (docs/deploy.md)
	@exec $(BIN)/python scripts/cluster

.PHONY: build
build: installed
	@$(BIN)/python -m streamchat build

.PHONY: dist
dist: installed-dev build  ## The sdist and the wheel, with the page built, and what they are made of, in dist/
	@$(BIN)/python -m streamchat.protos
	@rm -rf dist
	@$(BIN)/python -m hatchling build
	@cd packaging/client && ../../$(BIN)/python -m hatchling build -t wheel -d ../../dist/client
	@$(BIN)/python scripts/sbom.py dist/streamchat.cdx.json

.PHONY: front
front: installed
	@scripts/front

# Each is left alone if its lock is the installed one. PYTHON=python3.13 chooses the Python.
.PHONY: installed
installed:
	@scripts/setup app local

.PHONY: installed-dev
installed-dev:
	@scripts/setup app local dev

.PHONY: system
system:
	@scripts/setup system

.PHONY: lock
lock: installed-dev  ## Resolve the dependencies anew, of Python and of the page
	@$(BIN)/python scripts/lock.py
