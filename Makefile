# Everything a fresh clone needs is CPython 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.ready-bench
ARGS ?=
# Tests run on all cores; each process has a Postgres of its own. JOBS=0 runs them one after the other.
JOBS ?= logical
PARALLEL := -n $(JOBS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

.PHONY: run demo test faults bench check format lock clean

run: $(READY) ## the whole service on embedded parts, with sample leads
	$(BIN)/consentflow dev --sample $(ARGS)

demo: $(READY) ## the 30-day story in under a minute
	$(BIN)/consentflow demo $(ARGS)

test: $(READY) ## every test
	$(BIN)/pytest $(PARALLEL) $(ARGS)

faults: export FULL ?= 1
faults: export FAULTS_ROUNDS ?= 10
faults: $(READY) ## ten large rounds of random kills, told in faults.json; FAULTS_SEED=… repeats one
	rm -f faults.json
	$(BIN)/pytest -s tests/faults/test_rounds.py $(ARGS); code=$$?; $(BIN)/python tests/faults/records.py; exit $$code

check: $(READY) ## format, lint, types, import contracts, and whether the installed libraries fit each other
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip check

bench: $(BENCH_READY) ## how fast, against floors measured in the same run; FULL=1 grows what grows to a million
	$(BIN)/python -m benchmarks $(ARGS)

format: $(READY) ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Needs uv; the files it writes name no index address.
lock:
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra otel -o requirements/run.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev --extra otel --extra test -o requirements/dev.txt pyproject.toml
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev --extra otel --extra test --extra bench -c requirements/dev.txt -o requirements/bench.txt pyproject.toml
	echo hatchling | uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c requirements/dev.txt -o requirements/build.txt -

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# The libraries that the benchmarks compare with, beside what is there.
$(BENCH_READY): $(READY) requirements/bench.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
