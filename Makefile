# Two commands do everything, set-up included: make demo, make test.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-compose test-grafana browser lint bench clean

demo: .venv/ready
	$(BIN)/otel-tutor demo

test: .venv/ready lint browser
	$(BIN)/otel-tutor build
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder # they mostly wait; a file's share what they start; the longest are in the first folders

browser: # one test opens a page
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; } \
	|| { echo "make test opens a page in Chromium: install it, e.g. sudo apt-get install chromium" >&2; exit 1; }

# compose.yaml for real, as root: apt-get install podman podman-compose runc debootstrap busybox-static
test-compose: .venv/ready
	$(BIN)/otel-tutor build
	$(BIN)/pytest -m containers tests/compose

# the dashboards against Grafana's own types; node and npm, whose registry it asks
test-grafana: .venv/ready
	$(BIN)/pytest -m grafana tests/dashboards

lint: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: .venv/ready
	$(BIN)/pip install --quiet --editable '.[bench]' && $(BIN)/python -m tests.bench

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --editable '.[dev]' && touch $@

clean:
	rm -rf .venv dist .mypy_cache .pytest_cache .ruff_cache
