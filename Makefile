# Every target does all set-up by itself, in .venv.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
USABLE := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c '$(USABLE)' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: install demo test fuzz lint docs man clean

install: $(STAMP)

$(STAMP): setup.py pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.14 found: install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,synth,docs,ui]'
	@touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py demo

# two files at a time, each with one thread, the longest first (tests/conftest.py)
test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# the site, in build/site; any warning is an error
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

# a manual page for each command, in build/man
man: $(STAMP)
	$(BIN)/python docs/manual.py build/man

# about 20 minutes of damaged pictures, clips, latents, settings and weights
fuzz: $(STAMP)
	LATENTFACE_FUZZ_EXAMPLES=6000 $(BIN)/python -m pytest tests/io/test_fuzz.py tests/test_fuzz.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf $(VENV) demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
