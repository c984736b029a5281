# make demo   set up once, then train, score, sample and complete real digits (about 4 minutes)
# make test   the fast tests;  make lint, make types, make slow: the rest of what CI runs
# make docs   the site of the documentation, into site/;  make serve: the playground in a browser
# make pictures, make notebooks: the pictures of docs/ideas.md; examples/notebooks from scripts
#
# On Linux the package registry's torch comes with several GB of CUDA libraries. For the small CPU
# build, name PyTorch's CPU index:  make TORCH_INDEX=<index> demo

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test slow lint types docs serve pictures notebooks setup clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
ifneq ($(TORCH_INDEX),)
	$(BIN)/python -m pip install --quiet --index-url $(TORCH_INDEX) --constraint constraints.txt torch
endif
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

slow: $(READY)
	$(BIN)/python -m pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python docs/pages.py
	$(BIN)/zensical build --strict --clean

serve: $(READY)
	$(BIN)/nextpixel serve

pictures: $(READY)
	$(BIN)/python examples/idea_pictures.py --out docs/images

notebooks: $(READY)
	$(BIN)/python examples/build_notebooks.py --out examples/notebooks

clean:
	rm -rf $(VENV) build dist site src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
