# Every command sets up what it needs: Python 3.12 or newer, make and a package index are enough.
BIN := .venv/bin
HOST ?= 127.0.0.1
PORT ?= 8000
ALL_TESTS := -m "integration or not integration"

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run demo test check bench dev lint format reference lock clean \
        venv nodes format-check types contracts docs locks coverage

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: venv ## serve the API on HOST:PORT (127.0.0.1:8000), every network on keyless public endpoints
	$(BIN)/balance-tracker serve --host $(HOST) --port $(PORT)

demo: nodes ## the same on real local nodes with sample wallets, no internet; ONCE=1 prints and exits
	$(BIN)/balance-tracker demo --host $(HOST) --port $(PORT) $(if $(ONCE),--once)

test: nodes ## every test, with the real nodes that they start themselves
	$(BIN)/python -m pytest $(ALL_TESTS)

check: nodes format-check lint types contracts locks docs coverage ## all that CI runs; the tests with coverage

bench: nodes ## the benchmarks, one table (ARGS="--json", or "--quick --only W1,W2")
	$(BIN)/python -m benchmarks.bench $(ARGS)

dev: nodes ## set up everything for development, from a clone
	@echo "Ready: activate with '. $(BIN)/activate', or use make test, make check, make demo."

lint: venv ## ruff's findings
	$(BIN)/ruff check .

format: venv ## put the code in form, and fix what can be fixed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

reference: venv ## write the generated reference pages again
	$(BIN)/python tools/reference.py

lock: venv ## resolve the requirements again (asks the package index)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --upgrade pyproject.toml --group dev --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate --upgrade --group node --output-file requirements-node.lock

clean: ## remove what was set up and built here
	rm -rf .venv build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks tools -name __pycache__ -type d -prune -exec rm -rf {} +

venv:
	@tools/install

nodes:
	@tools/install node

format-check: venv
	$(BIN)/ruff format --check .

types: venv
	$(BIN)/mypy

contracts: venv
	$(BIN)/lint-imports

locks:
	@! grep -n '://' requirements.lock requirements-node.lock $$(git ls-files '*package-lock.json')

docs: venv
	$(BIN)/python tools/reference.py --check
	$(BIN)/python tools/price_liars.py --check
	$(BIN)/python -m pytest --quiet --doctest-modules src --ignore src/balance_tracker/storage/migrations

coverage: nodes
	$(BIN)/python -m pytest $(ALL_TESTS) --cov --cov-report=term
