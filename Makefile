# Every target sets up what it needs on a fresh Debian 12 or Raspberry Pi OS: Python 3.11 or newer, make, apt.
# The environment lives in .venv; a stamp in it says for which requirements it was made.

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEBIAN := $(VENV)/.debian
MINUTES ?= 10
DAYS ?= 365

.PHONY: help setup page demo test breadth check format bench docs corruption soak durability long fuzz micropython homeassistant vm clean

help:  ## say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 14

setup: $(READY)  ## make .venv with everything in it, once

$(READY): pyproject.toml constraints.txt tools/setup.sh
	@bash tools/setup.sh $(VENV)
	@touch $@

$(DEBIAN): Makefile tools/debian.sh | $(READY)  # programs that the tests are done with: a browser, brokers, databases
	@bash tools/debian.sh dbus:dbus-daemon chromium strace openssl mosquitto mosquitto-clients:mosquitto_sub mbpoll \
		prometheus:promtool influxdb:influxd victoria-metrics
	@touch $@

demo: page  ## the gateway with simulated packs, and its page; nothing to connect
	$(BIN)/cellwire demo

page: $(READY)  ## the page, built from web/ into the package
	PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python tools/page.py

# What computes goes first, one test a core; the others wait for packs most of the time, so three share one.
COMPUTING := tests/families/ tests/history/ tests/readings/
WAITING := $(filter-out $(COMPUTING) tests/micropython/ tests/breadth/ tests/__pycache__/,$(wildcard tests/*/))
test: $(READY) $(DEBIAN) page  ## all tests, on all cores
	$(BIN)/pytest -n auto --dist worksteal tests/test_*.py $(COMPUTING)
	@# Beside them runs `breadth`, which waits most of the time, too; what it says comes after.
	@$(MAKE) --no-print-directory breadth >$(VENV)/.breadth.log 2>&1 & beside=$$!; status=0; \
		$(BIN)/pytest -n $$((3 * $$(nproc))) --dist worksteal $(WAITING) || status=1; \
		wait $$beside || status=1; cat $(VENV)/.breadth.log; exit $$status

breadth: $(READY) $(DEBIAN)  ## packs of other makers, as aiobmsble recorded them; in an environment of Python 3.12 or newer
	@python=$$(bash tools/breadth.sh $(VENV)) && \
		{ [ -z "$$python" ] || "$$python" -m pytest -n $$(nproc) --dist worksteal tests/breadth; }

check: $(READY)  ## format, lint, types, architecture
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$$PWD/$(BIN):$$PATH" $(BIN)/python tools/page.py check
	$(BIN)/pytest -s tests/test_architecture.py

format: $(READY)  ## write the code the way `check` wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) $(DEBIAN) page  ## speed beside other programs, the wire and bare SQLite; half an hour, DAYS=20 for less
	$(BIN)/python bench/run.py --decode-with "$$(bash tools/bench.sh $(VENV))" --minutes $(MINUTES) --days $(DAYS)

corruption: $(READY)  ## a million damaged frames a family: nothing wrong may get out
	$(BIN)/python bench/corruption.py

soak: $(READY)  ## simulated packs with faults for MINUTES=10
	$(BIN)/python bench/soak.py --minutes $(MINUTES)

durability: $(READY) $(DEBIAN)  ## 50 kills and 60 simulated power cuts: nothing acknowledged may be lost
	$(BIN)/python bench/durability.py --kills 50 --cuts 60

long: $(READY) $(DEBIAN) page  ## the outputs' tests in their long form: a broker away for a minute, 100,000 rows into killed databases
	CELLWIRE_LONG=1 $(BIN)/pytest -n 2 tests/mqtt tests/prometheus tests/influx

fuzz: $(READY)  ## random bytes into every receiver for MINUTES=10, and 10,000 broken requests into the web server
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[fuzz]" || \
		echo "*** atheris did not install here: Hypothesis fuzzes alone"
	$(BIN)/python bench/fuzz.py --minutes $(MINUTES)
	$(BIN)/python tests/web/test_http_fuzz.py 10000

micropython: $(READY)  ## the codecs under MicroPython
	@test -x $(BIN)/micropython || { echo "MicroPython is not installed: there is no package of it for this machine"; exit 1; }
	$(BIN)/pytest -s tests/test_micropython.py

homeassistant: $(READY) $(DEBIAN)  ## discovery against a real Home Assistant, which is installed beside: 830 MB, Python 3.13
	@bash tools/homeassistant.sh $(VENV)-homeassistant
	CELLWIRE_HOMEASSISTANT="$$PWD/$(VENV)-homeassistant" $(BIN)/pytest -n 0 tests/mqtt/test_home_assistant.py

vm: $(READY)  ## by Bluetooth with the real BlueZ, in a virtual machine with simulated packs: some 4 minutes, amd64
	@bash tools/debian.sh qemu-system-x86:qemu-system-x86_64 bluez:bluetoothctl busybox-static:busybox cpio kmod:depmod dbus:dbus-daemon
	@sh tools/vm/build.sh $(VENV)/.vm
	@sh tools/vm/run.sh $(VENV)/.vm $(BIN)/python

docs: $(READY)  ## the documentation as web pages in site/
	$(BIN)/python tools/documentation.py site

clean:  ## remove what the other targets made
	rm -rf $(VENV) $(VENV)-bench $(VENV)-breadth $(VENV)-homeassistant web/node_modules src/cellwire/outputs/web/page site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
