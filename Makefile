# `make demo` and `make test` do all set-up by themselves, in .venv.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
USABLE := import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$p -c '$(USABLE)' 2>/dev/null && { echo $$p; break; }; done)

.PHONY: install demo test fuzz lint clean

install: $(STAMP)

$(STAMP): setup.py pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python 3.10 to 3.14 found: install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev,synth]'
	@touch $@

demo: $(STAMP)
	$(BIN)/latentface project examples/astronaut.jpg -o demo --tune --overwrite
	@echo
	@echo "Photo, reconstruction and difference: $(CURDIR)/demo/astronaut.compare.png"
	@echo "Reconstruction alone:                 $(CURDIR)/demo/astronaut.projected.png"
	@echo "Latent code:                          $(CURDIR)/demo/astronaut.latent.safetensors"

test: $(STAMP)
	$(BIN)/python -m pytest

# about 20 minutes of damaged pictures, clips, latents, settings and weights
fuzz: $(STAMP)
	LATENTFACE_FUZZ_EXAMPLES=3000 $(BIN)/python -m pytest tests/io/test_fuzz.py tests/test_fuzz.py

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

clean:
	rm -rf $(VENV) demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
