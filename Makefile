# Everything that a clone needs: `make pretrain` and `make test` set up what they use, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTS_READY := $(VENV)/.tests-ready
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help pretrain test lint clean

help:
	@echo "make pretrain   train the default model on the standard library's source (about five minutes on two cores)"
	@echo "make test       lint, check types, and run the tests"
	@echo "make lint       ruff and mypy alone"
	@echo "make clean      remove the virtual environment and caches (runs/ stays)"

pretrain: $(READY)
	$(BIN)/accelerate launch --quiet --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
		scripts/pretrain.py

# DeepSpeed compiles a helper at its first use, with the ninja that is found on the path.
test: lint
	PATH="$(CURDIR)/$(BIN):$$PATH" HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -q

lint: $(TESTS_READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The stamps make a second `make` start at once; they are renewed when what is to be installed changes.
$(VENV)/.created:
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(READY): pyproject.toml constraints.txt | $(VENV)/.created
	@echo "installing hf_strategies and what it needs (torch is large: a minute or more)"
	@$(INSTALL) --editable .
	@touch $@

$(TESTS_READY): $(READY)
	@echo "installing what the tests need"
	@$(INSTALL) --editable ".[dev]"
	@touch $@

clean:
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache *.egg-info
