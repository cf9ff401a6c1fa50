# Every target sets itself up: the first one creates .venv and installs what constraints.txt pins.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INSTALL ?= $(BIN)/pip install --quiet -c constraints.txt
export TOKENIZERS_PARALLELISM := false
# Hundreds of processes of the tests would each compile what they import.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check format bench docs licences release clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s "$$(printf '\t')"

$(STAMP): setup.py pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	$(INSTALL) -e '.[dev,minilm,redis,bucket,postgres,bench,lightgbm,lineage,yaml,notebook]'
	@mkdir -p build/typing && ln -sfn ../.. build/typing/deepfeast
	@touch $@

$(VENV)/.docs: $(STAMP)
	$(INSTALL) -e '.[docs]'
	@touch $@

demo: $(STAMP)  ## generate a marketplace, embed it, and see whether the deep features help
	$(BIN)/deepfeast demo

test: $(STAMP)  ## run the tests
	$(BIN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder --durations=10

check: $(STAMP)  ## format and lint checks, types, the compiled parts of the pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python docs/compile_pages.py --check

format: $(STAMP)  ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)  ## run the benchmarks against peers, and write docs/benchmarks.md and its JSON
	$(BIN)/python benchmarks/page.py

docs: $(VENV)/.docs  ## write the compiled parts of the pages, and the site into build/site
	$(BIN)/python docs/compile_pages.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "build/site/index.html opens from disk, and below any path of a server"

licences: $(STAMP)  ## list what is installed, under which licences
	$(BIN)/python docs/licences.py

release: $(STAMP)  ## build sdist and wheel of the last commit into dist, twice, and check them
	$(INSTALL) -e '.[release]'
	$(BIN)/python .ci/release

clean:  ## remove what the targets made
	rm -rf $(VENV) build dist demo *.egg-info
