# Everything runs in a private environment (.venv) that these targets make and keep up to date.
PYTHON ?= python3
BIN := .venv/bin
CORE := .venv/.installed-core
FULL := .venv/.installed-workshop

.DEFAULT_GOAL := help
.PHONY: help demo test campaign soak lint types bench clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

demo: $(CORE) ## run the Yongchuan pilot on a ledger in out/yongchuan.db
	$(BIN)/shuiquan demo --out out

test: $(FULL) ## run the whole test suite, the linters and the type checker
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

campaign: $(FULL) ## long randomised campaigns: crashes, books, whole-ledger properties
	$(BIN)/python -m pytest -m campaign --hypothesis-profile=campaign -n 2 --dist worksteal

soak: $(FULL) ## millions of facts with a constant live state: a table of facts, live orders and memory
	$(BIN)/python -m tests.soak

lint: $(FULL) ## ruff, formatting, and the arrows between the rooms
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

types: $(FULL) ## mypy, strict
	$(BIN)/mypy

bench: $(FULL) ## measure: the ledger against raw stores, the order book against others, the benchmark suite
	$(BIN)/shuiquan bench ledger && $(BIN)/shuiquan bench pilot && $(BIN)/shuiquan bench matching && $(BIN)/python -m pytest bench -o addopts= --benchmark-only

clean: ## remove the environment, caches and the demo's output
	rm -rf .venv out .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

$(BIN)/python:
	$(PYTHON) -m venv .venv

$(CORE): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cli,registry]'
	$(BIN)/shuiquan compile
	@touch $@

$(FULL): pyproject.toml $(CORE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cli,registry,test,dev]'
	@touch $@
