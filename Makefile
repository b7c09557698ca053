# Each target works first in a fresh clone: it sets up .venv itself.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test check lint docs notebooks clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "unifocal needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	touch $(READY)

demo: setup
	$(BIN)/unifocal compare --config examples/demo.yaml --out studies/demo

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint

# Work is stolen rather than dealt out, so that tests which share a trained study mostly share a process.
test: setup lint
	$(BIN)/pytest -n auto --dist worksteal

# The variable stills a notice about the theme's successor, see docs/decisions/0004-libraries.md.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo Built build/site/index.html

# Runs them anew and keeps what their cells give.
notebooks: setup
	cd docs/notebooks && ../../$(BIN)/jupyter nbconvert --to notebook --execute --inplace --log-level WARN *.ipynb
	rm -rf docs/notebooks/source-a-study

clean:
	rm -rf .venv studies build/site
