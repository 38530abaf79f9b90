# A fresh clone needs Python 3.11+ and make. Everything else is installed into .venv from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: install up demo test check fmt bench lock clean
install: .venv/.installed

.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

up: install
	$(BIN)/millrace up

demo: install
	$(BIN)/millrace demo

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Side by side, each worker with servers of its own; the whole system and its killing one by one.
test: check
	$(BIN)/pytest --numprocesses auto --dist loadfile --no-loadscope-reorder tests --ignore tests/e2e --ignore tests/chaos
	$(BIN)/pytest tests/e2e tests/chaos

fmt: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m bench

# The lock holds hashes and no index address; uv writes it from pyproject.toml.
lock: install
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-annotate --output-file requirements.lock

clean:
	rm -rf .venv .clients .data
