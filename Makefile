# `make demo` and `make test` set everything up on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-page lint types wheel results study objectives robust robust-share modes example base-model clean
.PHONY: bench-abstainer bench-attacks bench-aurc bench-families bench-files bench-guarantee bench-memory
.PHONY: bench-perturbations bench-reading bench-selector bench-training bench-vqa

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	# torch first and pinned: a plain `torch` would take whatever build is newest, with gigabytes of drivers.
	$(BIN)/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)          ## a small study: fine-tunes and tests, clean and attacked; ends with the answer and the report's path
	PATH="$(CURDIR)/$(BIN):$$PATH" lit-vlr study --config configs/study/demo.yaml --jobs 2

test: $(INSTALLED)          ## the whole test suite, a file to a core at a time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

test-page:                  ## the tests of `lit-vlr demo-page`, in an environment of its own: Gradio wants an older pillow
	$(PYTHON) -m venv $(VENV)-page
	grep -v '^pillow==' constraints.txt > $(VENV)-page/constraints.txt
	$(VENV)-page/bin/pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(VENV)-page/bin/pip install --quiet --disable-pip-version-check -c $(VENV)-page/constraints.txt -e '.[dev,page]'
	OMP_NUM_THREADS=1 $(VENV)-page/bin/python -m pytest -q tests/page tests/verbs/test_demo_page.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

wheel: $(INSTALLED)         ## build the wheel and test it from outside of the checkout
	PATH="$(CURDIR)/$(BIN):$$PATH" bash scripts/check_wheel.sh

results: $(INSTALLED)       ## the figures of the README: three seeds, about an hour on two cores
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m scripts.results

study: $(INSTALLED)         ## every objective, plain and adversarial, under every attack: about nineteen hours on two cores
	PATH="$(CURDIR)/$(BIN):$$PATH" lit-vlr study --config configs/study/full.yaml

objectives: $(INSTALLED)    ## the table of every objective, clean and attacked, three seeds
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m scripts.tables --study configs/study/objectives.yaml --out benchmarks/results/objectives

robust: $(INSTALLED)        ## does a selective objective with adversarial training hold under attack? three seeds
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m scripts.tables --study configs/study/robust.yaml --out benchmarks/results/robust

robust-share: $(INSTALLED)  ## what is due to adversarial training alone: the robust study's attack without a selector
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m scripts.tables --study configs/study/robust_share.yaml --out benchmarks/results/robust_share

modes: $(INSTALLED)         ## what each mode of adversarial training buys and costs: about half an hour on two cores
	PATH="$(CURDIR)/$(BIN):$$PATH" python -m scripts.modes

example: $(INSTALLED)       ## an ordinary classifier, trained and tested under attack: a quarter of a minute
	$(BIN)/python -m examples.digits

base-model: $(INSTALLED)    ## pre-train the embedded model again: about an hour on two cores
	$(BIN)/python -m scripts.tiny_llava --out lit_vlr/assets/tiny_llava

bench-abstainer: $(INSTALLED)   ## attacks on the abstainer beside the usual one, on a run of `make results`
	$(BIN)/python -m benchmarks.abstainer_attack

bench-attacks: $(INSTALLED)     ## robust accuracy and time of attacks beside torchattacks and autoattack, if they are there
	$(BIN)/python -m benchmarks.attack_strength

bench-aurc: $(INSTALLED)    ## time of AURC of a million answers beside one argsort
	$(BIN)/python -m benchmarks.aurc_speed

bench-families: $(INSTALLED)    ## every model family against plain transformers, in 4 bit, under attack; a minute
	$(BIN)/python -m benchmarks.families

bench-files: $(INSTALLED)   ## what is left of attacks when their pictures are 8-bit PNG files, on a run of `make modes`
	$(BIN)/python -m benchmarks.realisability

bench-guarantee: $(INSTALLED)   ## how often a promised risk is broken in domain, out of it and under attack
	$(BIN)/python -m benchmarks.guarantee_ood

bench-memory: $(INSTALLED)      ## peak memory and time of a QLoRA step beside plain transformers and peft; 7B on a GPU
	$(BIN)/python -m benchmarks.memory

bench-perturbations: $(INSTALLED)   ## time of every perturbation, forward and backward
	$(BIN)/python -m benchmarks.perturbation_cost

bench-reading: $(INSTALLED)     ## time and memory of reading 214,354 VQAv2-shaped questions with their answers
	$(BIN)/python -m benchmarks.reading_speed

bench-selector: $(INSTALLED)    ## what a selector adds to a training step
	$(BIN)/python -m benchmarks.selector_cost

bench-training: $(INSTALLED)    ## time of a training step in each mode beside a clean step
	$(BIN)/python -m benchmarks.adversarial_cost

bench-vqa: $(INSTALLED)     ## time of VQA accuracy on the VizWiz validation annotations (in ../shared/data)
	$(BIN)/python -m benchmarks.vqa_accuracy_speed

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
