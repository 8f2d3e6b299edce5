# Two commands do everything, set-up included: make demo, make test. While you edit: make check.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: audit demo check coverage faults fuzz guests models mutations matrix pins resolution servers soak test test-compose test-docker test-grafana browser lint bench clean

demo: .venv/ready
	$(BIN)/otel-tutor demo

test: lint coverage browser
	$(BIN)/otel-tutor build
	$(BIN)/pytest -m "processes or stack" -n 4 --dist loadfile --no-loadscope-reorder # most of it is waiting; the files that take longest come first

# Lint, types and the tests in memory: no Go, no network, no root. Under a minute once it has run before.
check: lint
	$(BIN)/pytest -m memory -n 2

# How much of the package the tests in memory run
coverage: .venv/ready
	$(BIN)/coverage erase && $(BIN)/coverage run -m pytest -m memory -n 2
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report

# Breaks each guard between telemetry and the app in a copy of the package, and expects that a test fails.
mutations: .venv/ready
	$(BIN)/python -m tests.mutations

# The tests in memory on each minor release of OpenTelemetry with each Python that is there or that uv can fetch: half an hour
matrix: .venv/ready
	$(BIN)/python -m tests.matrix

# Other SDKs beside otel_tutor, the newest of each, in environments of their own: a minute
guests: .venv/ready
	$(BIN)/pytest -m guests tests/neighbours

# Real model clients with each library that traces them, against a server's account, and real vector stores: a quarter of an hour, and 6 GB for torch
models: .venv/ready
	$(BIN)/pytest -m models -n 2 tests/models

# Task queues and servers, the newest of each, in an environment of their own: two minutes; apt-get install redis-server
servers: .venv/ready
	$(BIN)/pytest -m servers tests/servers

# Whether the newest of 15 neighbours stay so next to otel_tutor, with uv and two releases of pip; it installs none of them
resolution: .venv/ready
	$(BIN)/python -m tests.resolution

browser: # one test opens a page
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } \
	|| { echo "make test opens a page in Chromium: install it, e.g. sudo apt-get install chromium" >&2; exit 1; }

# compose.yaml for real, as root: apt-get install podman podman-compose runc debootstrap busybox-static golang-github-containernetworking-plugin-dnsname
test-compose: .venv/ready
	$(BIN)/otel-tutor build
	$(BIN)/pytest -m containers tests/compose

# otel-tutor's commands on a Docker that runs, with Compose v2; its images are made by the same tools
test-docker: .venv/ready
	$(BIN)/otel-tutor build
	OTEL_TUTOR_ENGINE=docker $(BIN)/pytest -m containers tests/compose/test_commands.py

# the dashboards against Grafana's own types; node and npm, whose registry it asks
test-grafana: .venv/ready
	$(BIN)/pytest -m grafana tests/dashboards

# A million calls with values that nothing expects, 100,000 requests, and 10,000 tries of each way to interrupt a recording: an hour
fuzz: .venv/ready
	$(BIN)/python -m tests.fuzz

lint: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	for platform in darwin win32; do \
	  $(BIN)/mypy --platform $$platform --cache-dir .mypy_cache/$$platform --exclude '/(demo|tools)/' otel_tutor || exit 1; \
	done # what an app imports; the stack is for Linux

# What telemetry costs, beside peers in environments of their own: 20 minutes; apt-get install wrk
bench: .venv/ready
	@command -v wrk >/dev/null || { echo "make bench puts load on servers with wrk: install it, e.g. sudo apt-get install wrk" >&2; exit 1; }
	$(BIN)/otel-tutor build
	$(BIN)/pip install --quiet --editable '.[bench]' && $(BIN)/python -m tests.bench

# An hour of load on the whole stack, and what grows meanwhile; python -m tests.soak 5 takes five minutes
soak: .venv/ready
	$(BIN)/otel-tutor build
	$(BIN)/python -m tests.soak

# Each fault of the matrix under load, and what it costs: three quarters of an hour, as root for the small disks
faults: .venv/ready
	$(BIN)/otel-tutor build
	$(BIN)/python -m tests.faults && $(BIN)/python -m tests.faults.page

# Every package of the checkout's environment is pinned with hashes; this asks for the newest that pyproject.toml allows.
pins: .venv/ready
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --extra dev pyproject.toml --output-file requirements.txt

# Known vulnerabilities of the Python packages that are pinned; it asks pypi.org and fails without an answer
audit: .venv/ready
	$(BIN)/uvx pip-audit --strict --disable-pip --no-deps --requirement requirements.txt

.venv/ready: pyproject.toml requirements.txt
	$(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --require-hashes --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable . && touch $@

clean:
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache
