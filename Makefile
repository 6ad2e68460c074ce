# make serve   all four services, on their default endpoints
# make test    the whole test suite
# make check   all that a change is held to: lint, types, tests with coverage, news
# make dist    the sdist and the wheel, into dist; both are installed, and run
# make docs    the API reference, into build/docs
# make sanitize   the tests of what is in C, and a fuzz against the same in Python, under sanitizers
# make bench   netkit and its peers, side by side
# make profile NAME=WORKLOAD   where the time of one of the benchmarks goes
#
# PYTHON=...   the Python to build the virtual environment with; the newest one found by default
# VENV=...     where that is
# FUZZ=30      how many seconds each fuzz takes
# ARGS=...     more arguments: of the service `netkit`, of pytest, of the benchmarks

VENV ?= .venv
ARGS =
BASE = origin/main
FUZZ = 30

bin = $(VENV)/bin
# What is installed for what.
extras-lint = [lint]
extras-test = [test]
extras-check = [lint,test,check]
satisfies-serve = serve
satisfies-lint = serve lint
satisfies-test = serve test
satisfies-check = serve lint test check

native-sources = $(wildcard netkit/*/*/native.c netkit/*/*/*/native.c)
sanitized = build/sanitize
# Python leaves much allocated when it ends, and frees more by itself than malloc could see.
under-sanitizers = \
	LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
	PYTHONPATH=$(sanitized):. NETKIT_REQUIRE_PEERS=1 $(bin)/python

.PHONY: serve test check lint types coverage news dist docs sanitize bench profile clean

serve: $(VENV)/installed-serve
	$(bin)/twistd -n --pidfile= netkit $(ARGS)

test: $(VENV)/installed-test
	$(bin)/python -m pytest --numprocesses=auto --dist=worksteal $(ARGS)

check: lint types coverage news

lint: $(VENV)/installed-lint
	$(bin)/ruff check
	$(bin)/ruff format --check

# Applications are checked without mypy-zope too, which their authors need not have.
types: $(VENV)/installed-check
	$(bin)/mypy
	$(bin)/mypy --config-file= --strict --allow-untyped-calls --scripts-are-modules \
		--cache-dir=.mypy_cache/plain examples/*.tac examples/net_*.py examples/plugin/upper.py

coverage: $(VENV)/installed-check
	$(MAKE) test ARGS="--cov $(ARGS)"

# A change to the code that people run needs a news fragment; the fragments need to be readable.
news: $(VENV)/installed-lint
	$(bin)/towncrier build --draft --version next > /dev/null
	@if git rev-parse --quiet --verify $(BASE) > /dev/null && \
		! git diff --quiet $(BASE)... -- netkit twisted; then \
		$(bin)/towncrier check --compare-with $(BASE); \
	fi

# auditwheel makes the wheel one for any Linux, or says why it is not.
dist: $(VENV)/installed-check
	rm -rf dist
	$(bin)/python -m build
	PATH="$(abspath $(bin)):$$PATH" $(bin)/auditwheel repair --wheel-dir dist dist/*.whl
	rm dist/*-linux_*.whl
	NETKIT_DIST=dist $(bin)/python -m pytest tests/packaging

# pydoctor ends with a warning where a name in a docstring leads nowhere, and is to need no network.
docs: $(VENV)/installed-check $(VENV)/inventories/objects.inv
	$(bin)/python docs/inventory.py $(VENV)/inventories/python.inv
	rm -rf build/docs
	$(bin)/pydoctor --quiet \
		--intersphinx-file=$(VENV)/inventories/objects.inv::https://docs.twisted.org/en/stable/api/ \
		--intersphinx-file=$(VENV)/inventories/python.inv::https://docs.python.org/3/

$(VENV)/inventories/objects.inv: $(VENV)/installed-check
	cd $(VENV) && bin/pydoctor --quiet --quiet --make-intersphinx --html-output=inventories \
		"$$(bin/python -c 'import twisted; print(*twisted.__path__)')"

# The parts in C as in setup.py, but with AddressSanitizer and UndefinedBehaviorSanitizer, beside a
# copy of the rest. What they find ends the run.
sanitize: $(VENV)/installed-test
	rm -rf $(sanitized)
	mkdir -p $(sanitized)
	cp -r netkit $(sanitized)
	find $(sanitized) -name 'native*.so' -delete
	for source in $(native-sources); do \
		$(CC) -shared -fPIC -O1 -g -std=c11 -Wall -Wextra -Werror -DPy_LIMITED_API=0x030B0000 \
			-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer \
			-I"$$($(bin)/python -c 'import sysconfig; print(sysconfig.get_path("include"))')" \
			-o $(sanitized)/$${source%.c}.abi3.so $$source || exit; \
	done
	$(under-sanitizers) -m pytest -q -p no:cacheprovider -o pythonpath='$(sanitized) .' \
		tests/wire/websocket/test_codec.py tests/wire/http/test_scanning.py \
		tests/operation/test_exchanges.py tests/wire/recording/test_contents.py \
		tests/capture/test_lanes.py \
		tests/reactor/test_channels.py tests/reactor/test_stream.py
	$(under-sanitizers) -P -m tests.wire.websocket.codec_fuzz $(FUZZ)
	$(under-sanitizers) -P -m tests.wire.http.scanning_fuzz $(FUZZ)
	$(under-sanitizers) -P -m tests.operation.exchanges_fuzz $(FUZZ)
	$(under-sanitizers) -P -m tests.wire.recording.contents_fuzz $(FUZZ)

bench: $(VENV)/installed-serve
	$(bin)/python -m benchmarks $(ARGS)

profile: $(VENV)/installed-serve
	$(bin)/python -m benchmarks --profile $(NAME)

clean:
	rm -rf .venv* benchmarks/.peers build dist *.egg-info .coverage* .*_cache .hypothesis twisted/plugins/dropin.cache

# The file says that the installation came to its end.
$(VENV)/installed-%: setup.cfg setup.py pyproject.toml $(native-sources) netkit/base/native.h
	@test -x $(bin)/pip || { $(find-python) && "$$python" -m venv --clear $(VENV); }
	@echo "installing into $(VENV) ..."
	@$(bin)/pip install --quiet --disable-pip-version-check --editable '.$(extras-$*)'
	@touch $(satisfies-$*:%=$(VENV)/installed-%)

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
