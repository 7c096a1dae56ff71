# Two commands do all the set-up: `make quick` runs the workflow on embedded data, `make test` the tests.
PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
# One thread per process: two threads on a small busy machine are slower than one.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: help lock archive docs images test-lowest doctor test-install quick report check-results reference test benchmark test-slurm test-report nightly lint setup clean

help:
	@echo "make quick   set up .venv, run everything on embedded data into results/quick/ (minutes); TORCH=cpu: no CUDA"
	@echo "make report  the same, and one self-contained HTML; CONFIG=... for another config"
	@echo "make check-results   do results lie within the spread of docs/results? CONFIG=... for your config"
	@echo "make reference       write docs/results anew from the finished results of CONFIG=..."
	@echo "make archive  the commit with results and bank as one described file, to deposit"
	@echo "make test    set up .venv, run linters and all tests"
	@echo "make benchmark   set up .venv, time the training step, jobs and dry runs; best on an idle machine"
	@echo "make test-slurm   run the workflow on a SLURM of one node, started and stopped for it (Debian, root)"
	@echo "make test-install   build the wheel; look at a file and run a tiny chain with it, newest and lowest versions; TORCH=cpu"
	@echo "make nightly set up .venv, then random kills, fuzzing, a job of every kind under a profiler, other CPUs"
	@echo "make mutation  a random sample of 400 faults: how many do the tests notice? (about 20 minutes of CPU)"
	@echo "make test-lowest  the tests of files with the lowest h5py and NumPy that pyproject.toml allows"
	@echo "make doctor  ten lines about this machine for a bug report; CONFIG=... for your config"
	@echo "make test-report   look at the report in headless Chromium (installs it on Debian, as root)"
	@echo "make docs    set up .venv, write pages of the public modules into docs/api/"
	@echo "make lint    set up .venv, run the linters alone"
	@echo "make lock    write requirements.hashes anew, after a change of requirements.lock"
	@echo "make clean   remove results/quick/ and the prepared embedded data"

quick: setup
	$(BIN)/snakemake --configfile config/quick.yaml --cores $(CORES)
	@echo
	@echo "figures:" && ls results/quick/*.png
	@echo "tables:" && ls results/quick/tables/*.csv
	@echo "front page: results/quick/index.html"

# The front page and Snakemake's report in one file, of another config with CONFIG=…
CONFIG ?= config/quick.yaml
results_of = $(shell $(BIN)/python -m ticketlens.study.config_files config/config.yaml $(1))
RESULTS = $(call results_of,$(CONFIG))
report: setup
	$(BIN)/snakemake --forcerun index --configfile $(CONFIG) --cores $(CORES)
	$(BIN)/snakemake --report $(RESULTS)/report.html --configfile $(CONFIG)
	@grep -s -A 7 'rest on are not there' $(RESULTS)/logs/index.log || true
	@printf '\nfront page:  %s\none file:    %s\n' $(RESULTS)/index.html $(RESULTS)/report.html

# Without CONFIG: the tickets of the bank, measured here, against the measurements in docs/results.
check-results: CHECKED = $(if $(filter command line environment,$(origin CONFIG)),$(CONFIG),config/bank.yaml)
check-results: setup
	$(BIN)/snakemake check_results --configfile $(CHECKED) --cores $(CORES)
	@cat $(call results_of,$(CHECKED))/check.md

# Made and rendered beside docs/results, which it then replaces: a page that fails leaves that as it was.
reference: setup
	@test "$(filter command line environment,$(origin CONFIG))" || { echo "make reference needs CONFIG=..., the config of the finished study"; exit 1; }
	$(BIN)/snakemake publish --configfile $(CONFIG) --cores $(CORES)
	rm -rf docs/results.new docs/results.old
	cp -r docs/results docs/results.new
	rm -rf docs/results.new/figures docs/results.new/tables
	cp -r $(RESULTS)/published/. docs/results.new/
	$(BIN)/python -m ticketlens.pages.results_page docs/results.new
	mv docs/results docs/results.old
	mv docs/results.new docs/results
	rm -rf docs/results.old
	@$(MAKE) --no-print-directory images || echo "docs/images is not photographed anew: make images needs Chromium"

# The front page of docs/results as a desktop and a phone show it; a test says when it is out of date.
images: setup
	$(BIN)/python tests/tools/browser.py install
	PYTHONPATH=workflow $(BIN)/python tests/tools/photograph.py docs/results docs/images/front_page.png

# The commit as one file to deposit, described by the library rocrate, in an environment of its own.
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
archive:
	test -x build/rocrate/bin/python || $(PYTHON) -m venv build/rocrate
	build/rocrate/bin/python -m pip install --quiet --disable-pip-version-check rocrate==0.16.0 pyyaml
	build/rocrate/bin/python tests/tools/archive.py dist/ticketlens-$(VERSION).zip

test: lint
	$(BIN)/python -m pytest -n $(CORES)

benchmark: setup
	$(BIN)/python benchmarks/run.py $(SECTIONS)

# Installs Debian's SLURM where it is missing; fails where it cannot run.
test-slurm: setup
	@$(BIN)/python tests/tools/slurm_box.py install
	$(BIN)/python tests/tools/slurm_box.py run $(BIN)/python -m pytest -m slurm tests/workflow/test_slurm.py

nightly: setup
	$(BIN)/python -m pytest -m nightly -s
	$(BIN)/python tests/tools/cpu_settings.py
	$(MAKE) mutation

# Do the tests notice faults? A random sample of mutants; Cosmic Ray in an environment of its own.
mutation: setup
	$(PYTHON) -m venv build/mutation
	build/mutation/bin/python -m pip install --quiet --disable-pip-version-check cosmic-ray==8.7.0
	echo "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
	  > "$$(build/mutation/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth"
	build/mutation/bin/python tests/tools/mutation.py run --out build/mutation.jsonl

doctor: setup
	@$(BIN)/python -m ticketlens.training.doctor config/config.yaml $(CONFIG)

# axe-core judges how accessible the page is; without npm that test is skipped.
AXE := axe-core@4.14.1
test-report: setup
	@test -f build/axe/package/axe.min.js || ! command -v npm >/dev/null || { mkdir -p build/axe \
	  && (cd build/axe && tar xzf "$$(npm pack --silent $(AXE))"); } || echo "no $(AXE): its test is skipped"
	@if $(BIN)/python tests/tools/browser.py install; then $(BIN)/python -m pytest -m browser tests/pages; fi

# The wheel alone, in two empty environments: with the newest versions that pyproject.toml allows, as a user gets it today,
# and with the lowest of all. Downloads both: of PyTorch some GB, less with TORCH=cpu where its own index can be reached.
test-install: setup
	rm -rf build/test-install
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation -w build/test-install .
	$(BIN)/python -c "import numpy as n; n.savez('build/test-install/m.npz', w=n.eye(9, dtype='f4') + 1)"
	$(MAKE) --no-print-directory .test-wheel NAME=newest
	$(MAKE) --no-print-directory .test-wheel NAME=lowest PINS='$(LOWEST_OF_ALL)'

# `look`, and a chain: images, training, pruning, rewinding, bank, measurements, a figure.
.PHONY: .test-wheel
.test-wheel: HERE = build/test-install/$(NAME)
.test-wheel: INSTALL = $(HERE)/bin/python -m pip install --quiet --disable-pip-version-check --prefer-binary
.test-wheel:
	@echo "=== $(NAME) versions: $(or $(PINS),what pip takes)"
	$(PYTHON) -m venv $(HERE)
	@test "$(TORCH)" = "" || $(INSTALL) --index-url $(CPU_INDEX) --retries 1 --timeout 20 --no-deps \
	  $(or $(filter torch==% torchvision==%,$(PINS)),torch torchvision) > $(HERE)/torch-cpu.log 2>&1 \
	  || echo "$(CPU_INDEX) does not give the CPU build of PyTorch: taking the usual one"
	$(INSTALL) $(PINS) build/test-install/*.whl
	cd $(HERE) && bin/ticketlens look ../m.npz --out look && test -s look/index.html
	mkdir $(HERE)/chain && cd $(HERE) && bin/python ../../../tests/tools/tiny_chain.py chain

# Each lower bound of pyproject.toml as a version: pip refuses bounds that do not hold together.
LOWEST_OF_ALL = $(shell sed -n '/^dependencies/,/^]/s/^    "\([^>]*\)>=\([0-9.]*\)",$$/\1==\2/p' pyproject.toml)

# Reading and writing of files with the lowest h5py and NumPy that pyproject.toml allows.
LOWEST = $(filter h5py==% numpy==%,$(LOWEST_OF_ALL))
FILE_TESTS := $(addprefix tests/,files/test_hdf5.py files/test_places.py root/test_checkpoint_damage.py tickets/test_bank.py \
  tickets/test_bank_theta_0.py tickets/test_bad_banks.py)
test-lowest:
	rm -rf build/test-lowest
	$(PYTHON) -m venv build/test-lowest
	build/test-lowest/bin/python -m pip install --quiet --disable-pip-version-check $(LOWEST) scipy pandas pillow pytest hypothesis
	build/test-lowest/bin/python -m pytest -p no:cacheprovider $(FILE_TESTS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	$(BIN)/snakemake --lint

# Pages of the public modules from their docstrings; they load nothing from elsewhere.
PUBLIC := checkpoint spec architecture seeds networks meanfield random_matrix ladder bank exchange lens
docs: setup
	PDOC_ALLOW_EXEC=1 $(BIN)/python -m pdoc --docformat google -o docs/api $(addprefix ticketlens.,$(PUBLIC))
	@printf '\npages: docs/api/index.html\n'

# Installs only where the lock differs from what is installed. TORCH=cpu takes PyTorch's CPU build,
# some GB less than the one for GPUs, from PyTorch's own index (pytorch.org/get-started).
TORCH ?=
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
setup:
	@{ cmp -s requirements.lock .venv/installed.lock && test "$(TORCH)" = "" -o -e .venv/torch-$(TORCH); } \
	  || $(MAKE) --no-print-directory .install

.PHONY: .install
.install:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "ticketlens needs Python 3.11 to 3.13: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { test "$$(id -u)" = 0 && apt-get update -q && apt-get install -qy python3-venv; } \
	  || { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@test "$(TORCH)" = "" -o "$(TORCH)" = cpu || { echo "TORCH is '$(TORCH)'; allowed: cpu, or nothing"; exit 1; }
	$(PYTHON) -m venv "$$(readlink -f .venv || echo .venv)"  # venv refuses a link itself
	@test "$(TORCH)" = "" || { $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --retries 1 \
	  --timeout 20 --index-url $(CPU_INDEX) $$(grep -E '^torch(vision)?==' requirements.lock) > .venv/torch-cpu.log 2>&1 \
	  || echo "$(CPU_INDEX) does not give the CPU build of PyTorch: taking the usual one (why: .venv/torch-cpu.log)"; \
	  touch .venv/torch-cpu; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.hashes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock  # the rest: PyTorch's
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	cp requirements.lock .venv/installed.lock

# Hashes of all files of each locked version, of which pip takes the machine's. Without PyTorch's two: what they are
# differs from machine to machine (CPU, CUDA), and so does what they need.
lock:
	test -x build/lock/bin/uv || { $(PYTHON) -m venv build/lock && build/lock/bin/python -m pip install --quiet uv==0.13.9; }
	grep -Ev '^(torch|torchvision)==' requirements.lock > build/lock/versions.txt
	{ echo '# The versions of requirements.lock with their hashes, but PyTorch: made by `make lock`.' \
	  && build/lock/bin/uv pip compile --quiet --no-deps --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate build/lock/versions.txt; } > build/lock/hashes
	mv build/lock/hashes requirements.hashes

clean:
	rm -rf results/quick resources/cifar10-embedded.h5
