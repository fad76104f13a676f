# Needs make and Python 3.11 or newer, nothing else: `make` lists the targets.
#
# Everything runs in .venv, which is made from requirements.lock: the same versions everywhere, each
# held against its hash.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

# Options that are passed through: make demo ARGS="--seconds 30", make test ARGS="-k wire".
ARGS ?=
# How long make soak takes.
MINUTES ?= 60
# Seeds of each scenario of make chaos; SEED=7 runs that one alone.
SEEDS ?= 20
# The Python that .venv is made with; the first of PYTHONS that is new enough when empty.
PYTHON ?=
PYTHONS := $(if $(PYTHON),$(PYTHON),python3.11 python3.12 python3.13 python3)

BIN := .venv/bin
INSTALLED := .venv/.installed
# What the other contenders of `make bench` need, and nothing else does.
BENCH_LOCK := tests/benchmarks/contenders.lock
BENCH_INSTALLED := .venv-bench/.installed
SOURCES := schemas agents streams clickhouse inferwatch examples tests
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
	--all-extras --group dev --group examples --group install --generate-hashes --no-header --no-annotate
LOCK_BENCH := $(BIN)/uv pip compile $(BENCH_LOCK:.lock=.in) --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: $(INSTALLED) ## Install everything into .venv; the other targets do so by themselves

.PHONY: demo
demo: $(INSTALLED) ## Run the whole pipeline on this machine: make demo ARGS="--seconds 60"
	$(BIN)/inferwatch demo $(ARGS)

.PHONY: example
example: $(INSTALLED) ## Watch an example service and its load in the demo: make example ARGS="--seconds 60"
	$(BIN)/inferwatch demo --run "$(BIN)/python examples/chat_service" $(ARGS)

# More processes than cores, as many tests wait; in the order of the folders, so that the longest
# begin first and not last.
PARALLEL := --dist loadfile --no-loadscope-reorder

.PHONY: test
test: $(INSTALLED) ## Run the tests that need nothing but .venv, on four processes
	$(BIN)/python -m pytest -m "not kafka and not chaos and not external" -n 4 $(PARALLEL) $(ARGS)

.PHONY: test-kafka
test-kafka: $(INSTALLED) ## Run the tests on Apache Kafka and a registry, on two processes (Java 21 and Maven)
	$(BIN)/python -m pytest -m "kafka and not chaos and not external" -n 2 $(PARALLEL) $(ARGS)

.PHONY: test-external
test-external: $(INSTALLED) ## Run the tests with Prometheus, Alertmanager and Node.js, also on Apache Kafka
	$(BIN)/python -m pytest -m external $(ARGS)

.PHONY: chaos
chaos: $(INSTALLED) ## Break things under load and compare every row: make chaos SEEDS=20 ARGS="-k killed"
	SEEDS=$(SEEDS) $(BIN)/python -m pytest -m chaos $(ARGS)

.PHONY: bench
bench: $(INSTALLED) $(BENCH_INSTALLED) ## Measure what an event costs, beside Faust, Quix Streams, bytewax and a bare loop
	$(BIN)/python -m tests.benchmarks.cost_per_event $(ARGS)

.PHONY: bench-latency
bench-latency: $(INSTALLED) ## Measure the time from producing an event to querying it (2 minutes)
	$(BIN)/python -m tests.benchmarks.latency $(ARGS)

.PHONY: bench-scenarios
bench-scenarios: $(INSTALLED) ## Measure tiny batches, age, three workers and raw landing (half an hour)
	$(BIN)/python -m tests.benchmarks.scenarios $(ARGS)

.PHONY: bench-storage
bench-storage: $(INSTALLED) ## Measure bytes in Kafka and ClickHouse, and rows an event (5 minutes)
	$(BIN)/python -m tests.benchmarks.storage $(ARGS)

.PHONY: bench-sdk
bench-sdk: $(INSTALLED) ## Measure what monitoring costs a service, in microseconds a call (1 minute)
	$(BIN)/python -m tests.benchmarks.sdk_overhead $(ARGS)

.PHONY: bench-rules
bench-rules: $(INSTALLED) ## Measure a tick of 10,000 rules x 1,000 groups, and a restart with three days (2 minutes)
	$(BIN)/python -m tests.benchmarks.rules_store $(ARGS)
	$(BIN)/python -m tests.benchmarks.rules_restart

.PHONY: bench-alerts
bench-alerts: $(INSTALLED) ## Measure the time from an event to its alert on the topic (2 minutes)
	$(BIN)/python -m tests.benchmarks.alert_latency $(ARGS)

.PHONY: soak
soak: $(INSTALLED) ## Run the whole pipeline for long: flat memory, bounded lag, exact: make soak MINUTES=60
	$(BIN)/python -m tests.benchmarks.soak --minutes $(MINUTES) $(ARGS)

.PHONY: bench-jvm
bench-jvm: $(INSTALLED) ## Measure it beside Kafka Streams and Flink (half an hour; needs Java 17 and Maven)
	$(BIN)/python -m tests.benchmarks.jvm_engines $(ARGS)

.PHONY: check
check: $(INSTALLED) ## Check style, types, layers, schemas and docker-compose.yml
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/mypy examples/chat_service
	$(BIN)/lint-imports
	$(BIN)/inferwatch schemas check
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

.PHONY: format
format: $(INSTALLED) ## Format the code, and repair what ruff can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: lock
lock: $(INSTALLED) ## Resolve the two locks anew: make lock ARGS="--upgrade"
	$(LOCK) --output-file requirements.lock $(ARGS)
	$(LOCK_BENCH) --output-file $(BENCH_LOCK) $(ARGS)

.PHONY: clean
clean: ## Remove .venv, caches and build outputs
	rm -rf .venv .venv-bench .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

# uv installs in a fraction of pip's time; pip installs uv itself, with the hash in the lock.
$(INSTALLED): requirements.lock pyproject.toml | .venv/pyvenv.cfg
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --requirement .venv/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes \
		--requirement requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(BENCH_INSTALLED): $(BENCH_LOCK) | .venv-bench/pyvenv.cfg
	$(BIN)/uv pip install --quiet --python .venv-bench/bin/python --require-hashes \
		--requirement $(BENCH_LOCK)
	@touch $@

.venv-bench/pyvenv.cfg: | $(INSTALLED)
	$(BIN)/python -m venv --without-pip .venv-bench

.venv/pyvenv.cfg:
	@for python in $(PYTHONS); do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
			"$$python" -c 'import ensurepip' 2> /dev/null || { \
				echo "make: $$python has no ensurepip; install its venv package (on Debian and Ubuntu: apt install python3-venv)." >&2; \
				exit 1; }; \
			echo "$$python -m venv .venv"; \
			exec "$$python" -m venv .venv; \
		fi; \
	done; \
	echo "make: Python 3.11 or newer is needed, tried: $(PYTHONS); install it or name one with PYTHON=/path/to/python." >&2; \
	exit 1
