# make bench: install, build, compare. make test: everything that this machine can check.
PYTHON ?= python3
BENCH_ARGS ?=
BIN := .venv/bin
# tests wait for programs more than they compute, so there are more processes than cores
WORKERS ?= 4
PYTEST = $(BIN)/python -m pytest -n $(WORKERS)
OF_RUST := 'rust and not nightly and not alone'
UNITS := $(addprefix tests/,architecture statistics gate batched_serving serving_core bench analysis report)

# wheels at hand: WHEELS_DIR, else pip's own find-links where that is one folder
ifndef WHEELS_DIR
WHEELS_DIR := $(shell dir="$$($(PYTHON) -m pip config get global.find-links 2>/dev/null || echo "$$PIP_FIND_LINKS")"; [ -d "$$dir" ] && echo "$$dir" || echo ./wheels)
endif
export WHEELS_DIR
# some images of Python set it for images' sake; each of the hundreds of programs that tests start would compile anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: bench quick test test-all check rust rust-alone fuzz soak up down lock splice clean

bench: .venv/installed
	$(BIN)/python -m bench run --concurrency 50 $(BENCH_ARGS)

# lint, types and unit tests: 150 s of CPU time
quick: check
	$(PYTEST) -q -m 'not slow and not nightly and not alone and not rust' $(UNITS)

# what failed in earlier runs is forgotten, so that only failures of this run are run again
test: check
	@rm -f .pytest_cache/v/cache/lastfailed
	$(PYTEST) || sh tools/once_more.sh $(BIN)/python $$?

# what takes too long for every change as well: measured calibration, which has the machine alone once all others have
# ended, and ten times the hostile input
test-all: check rust-alone
	FUZZ_CASES=20000 $(PYTEST) -m 'not alone' --timeout 3600 && code=0 || code=$$?; \
	$(BIN)/python -m pytest -m alone --timeout 3600 && exit $$code

# a hundred thousand hostile cases over HTTP, a third to each service, and as many inputs to the readers in process
fuzz: .venv/installed
	FUZZ_CASES=100000 $(BIN)/python -m pytest -rP tests/fuzz --timeout 14400

# an hour of hostile peers beside good clients, a third for each service
soak: .venv/installed
	SOAK_S=$${SOAK_S:-3600} $(BIN)/python -m pytest -rP tests/soak

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m bench.docs --check
	$(BIN)/python tools/settings_table.py --check

# format, lint and cargo's tests of rust_serving; without cargo a line says so
rust-alone: .venv/installed
	tools/rust.sh $(CURDIR)/$(BIN)/python

# that, and the tests of the contract against it
rust: rust-alone
	@rm -f .pytest_cache/v/cache/lastfailed
	$(PYTEST) -m $(OF_RUST) || sh tools/once_more.sh $(BIN)/python $$? -m $(OF_RUST)

up:
	docker compose up --build --detach --wait torch_serving onnx_serving batched_serving

down:
	docker compose down --remove-orphans

# pin everything anew from pyproject.toml
lock: .venv/installed
	$(BIN)/python -m pip install --quiet uv
	tools/lock.sh

# what documents quote of committed runs, of --help and of the settings, written anew
splice: .venv/installed
	$(BIN)/python -m bench.docs
	$(BIN)/python tools/settings_table.py

.venv/installed: locks/dev.txt tools/install.sh
	@echo "installing the packages of locks/dev.txt (a minute or two the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh tools/install.sh locks/dev.txt .venv "$(WHEELS_DIR)"
	@touch $@

clean:
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis rust_serving/target
