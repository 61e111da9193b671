# The environment is created by the first target that needs it: `make demo` and `make test` start from Python and make.
PYTHON ?= python3
DATA ?= ../shared/data
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= auto  # processes that run tests; 0 for none but pytest itself
# One thread per worker: more threads than cores are slower.
PYTEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo paper real test test-slow test-all lint types clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,jpeg,mlflow,onnx,slurm,tensorboard,wandb]'
	@touch $@

demo: $(READY)  ## the full pipeline on synthetic CT: train, predict, measure, report (outputs/demo)
	$(BIN)/liverspleen demo output=outputs/demo

paper: $(READY)  ## the paper's tables from cases made to its numbers, published against reproduced (outputs/paper)
	$(BIN)/python experiments/kjr2020/run.py output=outputs/paper

real: $(READY)  ## the full pipeline on real CT; DATA=folder with a cohort.csv (outputs/real_ct)
	$(BIN)/python experiments/real_ct/run.py data=$(DATA) output=outputs/real_ct

test: $(READY)  ## the tests that need neither a GPU nor real data nor much time
	$(PYTEST)

test-slow: $(READY)  ## the other tests that need neither a GPU nor real data
	$(PYTEST) -m '(slow or ddp or slurm or browser) and not gpu and not real' --durations=30 --durations-min=10

test-all: $(READY)  ## every test; those whose data, program or device is absent are skipped with the reason
	$(PYTEST) -m ''

lint: $(READY)  ## ruff (rules and format), codespell, and the list of words that are not used
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/python .ci/words.py

types: $(READY)  ## mypy, strict on evaluation, imaging and cohort
	$(BIN)/mypy

clean:  ## remove the environment and all outputs
	rm -rf .venv outputs .pytest_cache .mypy_cache .ruff_cache
