# `make run` on a fresh machine is all it takes; `make help` lists the rest.
BIN := .venv/bin
PORT ?= 3000
export PORT
export REFLEX_TELEMETRY_ENABLED := false

.DEFAULT_GOAL := help

.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

.PHONY: run
run: .venv/.app .venv/.local  ## Set up what changed, and serve on http://localhost:3000 (PORT=3001 changes the port)
	@exec $(BIN)/python -m streamchat run

.PHONY: dev
dev: .venv/.app .venv/.local  ## The same with hot reload, for working on streamchat
	@exec $(BIN)/reflex run

.PHONY: test
test: .venv/.dev .venv/.local system check build  ## Everything that CI runs
	@$(BIN)/python -m pytest

.PHONY: check
check: .venv/.dev  ## Lint, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/python -m streamchat.protos
	@$(BIN)/pyright

.PHONY: bench
bench: .venv/.dev .venv/.local system build  ## Measure, and print tables (docs/performance.md)
	@$(BIN)/python -m bench

.PHONY: cluster
cluster: .venv/.dev .venv/.local system  ## Two workers, Redis, PostgreSQL and nginx on this machine (docs/deploy.md)
	@exec $(BIN)/python scripts/cluster

.PHONY: build
build: .venv/.app
	@$(BIN)/python -m streamchat build

.PHONY: system
system:
	@scripts/setup system

.PHONY: lock
lock: .venv/.dev  ## Resolve the Python dependencies anew
	@$(BIN)/python scripts/lock.py

.venv/.app: requirements/app.txt
	@scripts/setup app && touch $@

.venv/.dev: requirements/dev.txt .venv/.app
	@scripts/setup dev && touch $@

.venv/.local: requirements/local.txt .venv/.app
	@scripts/setup local && touch $@
