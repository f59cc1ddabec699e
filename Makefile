# make demo: everything a new user needs. make test, check, bench: for development.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0

.PHONY: demo test check bench bench-models clean

demo: $(VENV)/ready
	$(BIN)/playhead demo

test: $(VENV)/ready-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile

check: $(VENV)/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/ready-dev
	HF_HUB_OFFLINE=1 $(BIN)/python -m evaluation.bench $(PARTS)

bench-models: $(VENV)/ready-dev
	$(BIN)/python -m evaluation.bench_models

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Playhead needs Python 3.11 or later, this is %s. Try: make PYTHON=python3.12 demo" % sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

# torch goes first and pinned: its plain build is the one that fits every machine.
$(VENV)/ready: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV): two or three minutes, once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[offline]'
	touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[offline,dev]'
	touch $@
