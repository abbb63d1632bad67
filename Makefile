# omline: trained detector weights -> ONNX -> Ascend OM -> COCO mAP. `make help` lists the targets.

PYTHON  ?= python3
VENV    := .venv
PY      ?= $(VENV)/bin/python
MODEL   ?= demo
WEIGHTS ?= $(if $(filter demo,$(MODEL)),demo/weights/fcos_r18_shapes.pth)
COCO    ?= $(if $(filter demo,$(MODEL)),$(WORK)/demo/coco)
BS      ?= 8
SOC     ?=
WORK    ?= work
BACKEND ?= auto
LIMIT   ?=

# Folders are named like targets.
.PHONY: help setup demo test check format export om preprocess infer eval clean
.DELETE_ON_ERROR:

# With the default PY the environment is made first; `make PY=python3 ...` uses yours as it is (the NPU host's, say).
READY   := $(if $(filter $(VENV)/bin/python,$(PY)),$(VENV)/.ready)
SUFFIX  := $(if $(filter om,$(BACKEND)),om,$(if $(filter cpu,$(BACKEND)),onnx,$(if $(shell command -v atc),om,onnx)))
SUBSET  := $(if $(LIMIT),_first$(LIMIT))
FOLDER  := $(WORK)/$(MODEL)
ONNX    := $(FOLDER)/$(MODEL).onnx
OM      := om_models/$(MODEL)_bs$(BS).$(SUFFIX)
BINS    := $(FOLDER)/bins$(SUBSET)
RESULT  := result_bs$(BS)$(SUBSET)
SUMMARY := $(FOLDER)/$(RESULT)_summary.json
EVAL    := $(FOLDER)/eval_bs$(BS)$(SUBSET)

help: ## list the targets and variables
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  MODEL=$(MODEL) WEIGHTS=$(WEIGHTS) COCO=$(COCO) BS=$(BS) SOC=$(SOC) WORK=$(WORK) BACKEND=$(BACKEND) (auto|om|cpu) LIMIT=$(LIMIT)'

setup: $(VENV)/.ready ## create .venv from requirements.lock

# torch first and pinned: asked for by another package, pip would take the newest build with all of CUDA.
$(VENV)/.ready: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

demo: ## the whole pipeline on the demo model and its synthetic images
	@$(MAKE) --no-print-directory eval MODEL=demo

test: $(READY) ## run the test suite
	$(PY) -m pytest -q

check: $(READY) ## format, lint, types and tests: what CI runs
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q

format: $(READY) ## format the code and fix what the linter can fix
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

export: $(ONNX) ## weights -> canonical ONNX (MODEL= WEIGHTS=)

$(ONNX): $(WEIGHTS) $(wildcard atc_configs/$(MODEL).yaml) | $(READY)
	$(if $(WEIGHTS),,$(error WEIGHTS= is not set: the checkpoint of $(MODEL)))
	$(PY) -m export --model $(MODEL) --weights $(WEIGHTS) --onnx $@ --verify

om: $(OM) ## canonical ONNX -> OM, or its CPU stand-in where atc is not on PATH (BS= SOC= BACKEND=)

$(OM): $(ONNX) | $(READY)
	$(PY) -m convert --onnx $(ONNX) --batch_size $(BS) --target $(if $(filter om,$(SUFFIX)),om,cpu) $(if $(SOC),--soc_version $(SOC)) --output $(basename $@)

preprocess: $(BINS)/manifest.json ## images -> bins (COCO= LIMIT=)

$(BINS)/manifest.json: $(ONNX) $(COCO)/annotations/instances_val2017.json | $(READY)
	$(PY) -m preprocess --model $(ONNX) --image_src_path $(COCO)/val2017 --bin_file_path $(BINS) $(if $(LIMIT),--limit $(LIMIT))

$(WORK)/demo/coco/annotations/instances_val2017.json: demo/dataset.py demo/scene.py | $(READY)
	$(PY) -m demo.dataset --output $(WORK)/demo/coco

infer: $(SUMMARY) ## bins -> outputs (BS=)

$(SUMMARY): $(OM) $(BINS)/manifest.json | $(READY)
	$(PY) -m infer --model $(OM) --input $(BINS) --output $(FOLDER) --output_dirname $(RESULT)

# Scoring takes seconds and its table is what one asks for: it runs every time.
eval: $(SUMMARY) ## outputs -> COCO mAP
	$(PY) -m postprocess eval --bin_data_path $(FOLDER)/$(RESULT) --test_annotation $(BINS)/manifest.json \
	    --annotations_path $(COCO)/annotations/instances_val2017.json --det_results_path $(EVAL) $(if $(LIMIT),--subset)

clean: ## remove everything that was built (work/, om_models/*, caches)
	rm -rf work .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find om_models -mindepth 1 ! -name README.md -delete
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
