# `make demo`, `make test` and `make check` need nothing but Python 3.11 or newer: the first of them sets up
# .venv from pyproject.toml, and again whenever that file changes. After that nothing uses the network.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
OFFLINE := PIP_NO_INDEX=1 HF_HUB_OFFLINE=1
# The tests run in two processes on two cores: more threads in each would wait for each other.
ALONE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
PIP := $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check --no-input
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
TORCH = $(shell sed -n 's/.*"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml | head -n 1)
TESTS ?=
REQUIRE_ALL ?=

.DEFAULT_GOAL := help
.PHONY: help demo test soak check format clean setup

help: ## what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(STAMP) ## a server, opt-outs, refusals, a recall, a release and attacks on it; look at demo-out/ (a minute)
	@$(OFFLINE) $(BIN)/countermark demo --out demo-out

test: $(STAMP) ## all tests but the long ones, on two cores (25 minutes); TESTS="tests/unit/media -k hostile"
	@$(OFFLINE) $(ALONE) $(BIN)/pytest -n 2 --dist worksteal -m "not soak" $(if $(REQUIRE_ALL),--require-all) $(TESTS)

soak: $(STAMP) ## the long tests
	@$(OFFLINE) $(BIN)/pytest -m soak $(TESTS); status=$$?; \
	if [ $$status = 5 ]; then echo "There are no long tests yet."; else exit $$status; fi

check: $(STAMP) ## ruff, mypy --strict, the import contracts (half a minute)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: run make format"; exit 1; }
	@$(BIN)/mypy
	@told=$$($(BIN)/lint-imports 2>&1) || { printf '%s\n' "$$told"; exit 1; }; printf '%s\n' "$$told" | tail -n 1

format: $(STAMP) ## put the code into its one format
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

setup: $(STAMP) ## only the set-up of .venv

clean: ## remove what was made, but .venv
	@rm -rf demo-out build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# torch comes first and alone, so that this machine's own build of it (CPU or CUDA) is the one that stays.
$(STAMP): pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "Countermark needs Python 3.11 or newer with its venv module" \
		"(Debian: apt install python3-venv); name one with: make $(MAKECMDGOALS) PYTHON=/path/to/python"; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version): one to five minutes, once."
	@$(PYTHON) -m venv $(VENV)
	@echo "  $(TORCH)"
	@$(PIP) install "$(TORCH)"
	@echo "  countermark and the rest of what it needs"
	@$(PIP) install --editable '.[all,dev]'
	@touch $@
