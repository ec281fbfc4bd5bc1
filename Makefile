# Every target sets up what it needs in .venv; python3 >= 3.11 and make are enough.
#   make demo    make test    make lint    make bench    make docs    make fuzz
# TORCH chooses the torch requirement, e.g. make demo TORCH="torch==2.13.0" or TORCH="torch --index-url URL".

PYTHON ?= python3
TORCH ?= torch>=2.6
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt
PEERS := spikingjelly==2.0.0 snntorch==1.0.0 norse==1.1.0 nir nirtorch tonic==1.7.0 importRosbag DCLS==0.1.1
PEERS_NEED := loguru scipy tqdm packaging requests h5py

export OMP_NUM_THREADS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

.PHONY: demo test test-slow test-triton fuzz lint bench docs format clean
demo: $(VENV)/.demo
	$(BIN)/snnkit demo $(if $(RESUME),--resume)

test: $(VENV)/.test
	OMP_NUM_THREADS=1 SNNKIT_ORACLES=required $(BIN)/python -m pytest -n auto

test-slow: $(VENV)/.test
	OMP_NUM_THREADS=1 SNNKIT_ORACLES=required $(BIN)/python -m pytest -n auto -m "slow or not slow"

# the CUDA kernels, in Triton's interpreter on the CPU; where a GPU is, `make test` runs them on it
test-triton: $(VENV)/.triton
	OMP_NUM_THREADS=1 TRITON_INTERPRET=1 $(BIN)/python -m pytest tests/kernels/test_triton_lif.py tests/kernels/test_triton_families.py

# ten times the mutated files of `make test`
fuzz: $(VENV)/.test
	OMP_NUM_THREADS=1 SNNKIT_FUZZ_CASES=1000000 $(BIN)/python -m pytest -n auto -k mutated tests/data/readers

lint: $(VENV)/.lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(VENV)/.lint
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/.test
	for name in neurons norm transformer open_neuromorphic streaming event_linear integer delays delay_rounding \
		energy_overhead imports data points; do \
		$(BIN)/python -m benchmarks.$$name || exit 1; done
	$(BIN)/python -m benchmarks.report

docs: $(VENV)/.docs
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# torch first and alone; whatever follows is installed under a constraint that keeps it
$(VENV)/.torch:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "snnkit needs Python 3.11 or newer; run make with PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --disable-pip-version-check $(if $(findstring --,$(TORCH)),$(TORCH),"$(TORCH)")
	$(BIN)/python -m pip freeze | grep '^torch==' > $(VENV)/constraints.txt
	touch $@

$(VENV)/.demo: pyproject.toml setup.py $(wildcard snnkit/kernels/csrc/*) $(VENV)/.torch
	$(PIP) --editable ".[train]"
	touch $@

# the peers that tests compare with: without their requirements, which would replace torch
$(VENV)/.test: pyproject.toml $(VENV)/.demo
	$(PIP) --group test $(PEERS_NEED)
	$(PIP) --no-deps $(PEERS)
	touch $@

# a torch for CUDA already has the triton it fits
$(VENV)/.triton: pyproject.toml $(VENV)/.test
	$(BIN)/python -c 'import triton' 2>/dev/null || $(PIP) --group triton
	touch $@

$(VENV)/.lint: pyproject.toml $(VENV)/.demo
	$(PIP) --group lint
	touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.demo
	$(PIP) --group docs
	touch $@
