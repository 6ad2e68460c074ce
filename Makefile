# make serve   all four services, on their default endpoints
# make test    the whole test suite
# make check   all that a change is held to: lint, types, tests with coverage, news
# make bench   netkit and its peers, side by side
# make profile NAME=WORKLOAD   where the time of one of the benchmarks goes
#
# PYTHON=...   the Python to build the virtual environment with; the newest one found by default
# VENV=...     where that is
# ARGS=...     more arguments: of the service `netkit`, of pytest, of the benchmarks

VENV ?= .venv
ARGS =
BASE = origin/main

bin = $(VENV)/bin
extras-test = [test]
extras-check = [test,check]

.PHONY: serve test check lint types coverage news bench profile clean

serve: $(VENV)/installed-serve
	$(bin)/twistd -n --pidfile= netkit $(ARGS)

test: $(VENV)/installed-test
	$(bin)/python -m pytest $(ARGS)

check: lint types coverage news

lint: $(VENV)/installed-check
	$(bin)/ruff check
	$(bin)/ruff format --check

types: $(VENV)/installed-check
	$(bin)/mypy

coverage: $(VENV)/installed-check
	$(MAKE) test ARGS="--cov $(ARGS)"

# A change to the code that people run needs a news fragment; the fragments need to be readable.
news: $(VENV)/installed-check
	$(bin)/towncrier build --draft --version next > /dev/null
	@if git rev-parse --quiet --verify $(BASE) > /dev/null && \
		! git diff --quiet $(BASE)... -- netkit twisted; then \
		$(bin)/towncrier check --compare-with $(BASE); \
	fi

bench: $(VENV)/installed-serve
	$(bin)/python -m benchmarks $(ARGS)

profile: $(VENV)/installed-serve
	$(bin)/python -m benchmarks --profile $(NAME)

clean:
	rm -rf .venv* benchmarks/.peers build dist *.egg-info .coverage* .*_cache .hypothesis twisted/plugins/dropin.cache

# The file says that the installation came to its end.
$(VENV)/installed-%: setup.cfg setup.py pyproject.toml $(wildcard netkit/*/*/*.c netkit/*/*/*/*.c)
	@test -x $(bin)/pip || { $(find-python) && "$$python" -m venv --clear $(VENV); }
	@echo "installing into $(VENV) ..."
	@$(bin)/pip install --quiet --disable-pip-version-check --editable '.$(extras-$*)'
	@touch $@

# Debian keeps ensurepip, without which there is no virtual environment, in a package of its own.
define find-python
	python=; bare=; \
	for candidate in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
		"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || continue; \
		"$$candidate" -c 'import ensurepip, venv' 2> /dev/null && python=$$candidate && break; \
		bare=$$candidate; \
	done; \
	if test -n "$$python"; then :; \
	elif test -n "$$bare"; then \
		echo "$$bare cannot make a virtual environment; on Debian: apt install python3-venv" >&2; \
		exit 1; \
	else \
		echo "netkit needs Python 3.11 or newer, and $(or $(PYTHON),the PATH) has none;" \
			"install one, or name one: make PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi
endef
