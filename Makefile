# Evenly: make run, make test. Settings come from the environment:
#   EVENLY_PORT (8501), EVENLY_ADDRESS (127.0.0.1), EVENLY_DATA (./data), EVENLY_DATABASE_URL, EVENLY_LAUNCHER (local),
#   PYTHON (python3)

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help
.PHONY: help run demo test gpu lint format clean

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# pip finds packages by its own settings (pip.conf, PIP_* variables). Only package names are shown.
PIP_INSTALL = $(PY) -m pip install --disable-pip-version-check --no-input --progress-bar off
PIP_SHOWN = while read -r word rest; do case "$$word" in \
	Downloading) echo "  $$word $${rest%% (from *}" ;; Installing) echo "  Installing" ;; esac; done

help:  ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.installed  ## Install what is missing, migrate the database, start the worker and the app
	@exec $(PY) serve.py --with-parent

demo: $(VENV)/.installed  ## In the terminal: a baseline and a weighted run on MNIST-1D, 3 seeds
	@exec $(PY) cli.py demo

# One thread per test process, as several share the cores.
test: $(VENV)/.installed-dev lint  ## Install what the tests need and run all of them
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder $(PYTEST_ARGS)

gpu: $(VENV)/.installed-dev  ## Test and measure training on this machine's GPU in ten minutes; GPU_ARGS="--out gpu.md"
	$(PY) -m benchmarks.gpu $(GPU_ARGS)

lint: $(VENV)/.installed-dev  ## Check style, common errors and formatting (ruff)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check --quiet . || { echo "evenly: some files are not formatted; run make format" >&2; exit 1; }

format: $(VENV)/.installed-dev  ## Format every file (ruff)
	$(PY) -m ruff format .

clean:  ## Remove the environment and caches; runs and data stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Reports a Python that is too old or lacks venv; recreates a broken or incomplete environment.
$(PY):
	@$(PYTHON) -c 'import sys' 2>/dev/null || { echo "evenly: $(PYTHON) not found; install Python 3.11 or newer, or choose one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "evenly: $$($(PYTHON) --version) is too old, 3.11 or newer is required; choose another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "evenly: this Python cannot create environments; on Debian or Ubuntu: apt install python3-venv" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed: requirements.txt | $(PY)
	@echo "Installing what Evenly needs into $(VENV). The first time takes some minutes, mostly for PyTorch."
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP_INSTALL) -r requirements.txt | $(PIP_SHOWN)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@echo "Installing what the tests need."
	@$(PIP_INSTALL) -r requirements-dev.txt | $(PIP_SHOWN)
	@touch $@
