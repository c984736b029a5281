# make demo   set up once, then train, score, sample and complete real digits (about 4 minutes)
# make test   the fast tests;  make lint, make types, make slow: the rest of what CI runs
# make docs   the site of the documentation, into site/;  make serve: the playground in a browser
# make pictures, make notebooks: pictures of the docs; examples/notebooks from scripts
#
# On Linux the package registry's torch comes with several GB of CUDA libraries. For the small CPU
# build, name PyTorch's CPU index:  make TORCH_INDEX=<index> demo

PYTHON ?= python3
VENV ?= .venv
TORCH_INDEX ?=
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TOOLS := $(VENV)/.tools

.PHONY: demo test slow lint types docs serve pictures notebooks setup clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
ifneq ($(TORCH_INDEX),)
	$(BIN)/python -m pip install --quiet --index-url $(TORCH_INDEX) --constraint constraints.txt torch
endif
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[web]'
	touch $@

$(TOOLS): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(TOOLS)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

slow: $(TOOLS)
	$(BIN)/python -m pytest -m slow

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(TOOLS)
	$(BIN)/mypy

docs: $(TOOLS)
	$(BIN)/python docs/pages.py
	$(BIN)/zensical build --strict --clean

serve: $(READY)
	$(BIN)/nextpixel serve

pictures: $(TOOLS)
	$(BIN)/python examples/idea_pictures.py --out docs/images
	$(BIN)/python examples/attention_picture.py --out docs/images
	$(BIN)/nextpixel sample mnist2-gated-class --count 20 --columns 10 --out docs/images/scan.gif

notebooks: $(TOOLS)
	$(BIN)/python examples/build_notebooks.py --out examples/notebooks

clean:
	rm -rf $(VENV) build dist site src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
