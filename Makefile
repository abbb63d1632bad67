# omline: trained detector weights -> ONNX -> Ascend OM -> COCO mAP. `make help` lists the targets.

PYTHON  ?= python3
VENV    := .venv
PY      ?= $(VENV)/bin/python
MODEL   ?= demo
# Not given: the demo's own, or what was given last time for this model.
WEIGHTS ?= $(if $(filter demo,$(MODEL)),demo/weights/fcos_r18_shapes.pth,$(shell cat $(FOLDER)/.weights 2>/dev/null))
COCO    ?= $(if $(filter demo,$(MODEL)),$(WORK)/demo/coco,$(shell cat $(FOLDER)/.images$(SUBSET) 2>/dev/null))
BS      ?= 8
SOC     ?=
WORK    ?= work
BACKEND ?= auto
LIMIT   ?=
# Keys of the spec's `atc` for `om`: ATC="nms=refine precision_mode=cube_fp16in_fp32out".
ATC     ?=
# Of `forecast`: atc's --precision_mode and --keep_dtype; default: the spec's.
PRECISION ?=
KEEP    ?=
# Keys of the spec for `export`: SET="network.norm_on_bbox=true classes=[cat,dog]"; SET= forgets them.
SET     ?= $(if $(filter demo,$(MODEL)),,$(shell cat $(FOLDER)/.settings 2>/dev/null))

ifeq ($(filter auto om cpu,$(BACKEND)),)
$(error BACKEND must be auto, om or cpu, got '$(BACKEND)')
endif

# Folders are named like targets.
.PHONY: help setup doctor demo test check format inspect export om preprocess infer eval report stream bench forecast clean FORCE coco-is-needed
.DELETE_ON_ERROR:

# With the default PY the environment is made first; `make PY=python3 ...` uses yours as it is (the NPU host's, say).
READY   := $(if $(filter $(VENV)/bin/python,$(PY)),$(VENV)/.ready)
SUFFIX  := $(if $(filter om,$(BACKEND)),om,$(if $(filter cpu,$(BACKEND)),onnx,$(if $(shell command -v atc),om,onnx)))
SUBSET  := $(if $(LIMIT),_first$(LIMIT))
FOLDER  := $(WORK)/$(MODEL)
# BS=1,4,8 is one OM with three gears; atc's paths have no commas.
COMMA   := ,
BATCH   := $(subst $(COMMA),-,$(BS))
ONNX    := $(FOLDER)/$(MODEL).onnx
OM      := om_models/$(MODEL)_bs$(BATCH).$(SUFFIX)
# One photograph for `export --verify`; without COCO= a generated picture serves.
PHOTO    = $(if $(COCO),--image "$$(find $(COCO)/val2017 -name '*.*g' | sort | head -n 1)")
TRUTH    = $(COCO)/annotations/instances_val2017.json
# A model without a YAML file is what its checkpoint and SET say.
NAMED    = $(if $(wildcard atc_configs/$(MODEL).yaml),--model $(MODEL),--set name=$(MODEL)) $(foreach pair,$(SET),--set '$(pair)')
OPTIONS  = $(foreach pair,$(ATC),--atc '$(pair)')
BINS    := $(FOLDER)/bins$(SUBSET)
# A folder of their own: ais_bench refuses to write below one that is readable by others, so `infer` makes it 0750.
RESULTS := $(FOLDER)/results
RESULT  := bs$(BATCH)$(SUBSET)
SUMMARY := $(RESULTS)/$(RESULT)_summary.json
EVAL    := $(FOLDER)/eval_bs$(BATCH)$(SUBSET)
# The NPU host may have nothing but the OM and its .om.json: then these are taken as they are.
ALONE   := $(if $(WEIGHTS)$(wildcard $(ONNX)),,$(wildcard $(OM)))
CARRIER := $(if $(ALONE),$(OM),$(ONNX))

# A product is made again when a variable that decides it has changed: its value lies in a file beside it.
remember = @mkdir -p $(@D) && { printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' >$@; }

$(FOLDER)/.weights: FORCE
	$(call remember,$(WEIGHTS))
$(FOLDER)/.settings: FORCE
	$(call remember,$(SET))
$(FOLDER)/.images$(SUBSET): FORCE
	$(call remember,$(COCO))
om_models/.$(MODEL)_bs$(BATCH): FORCE
	$(call remember,$(ONNX) $(SOC) $(ATC))
FORCE:

coco-is-needed:
	$(error COCO= is not set: the folder with val2017/ and annotations/instances_val2017.json)

help: ## list the targets and variables
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  MODEL=$(MODEL) WEIGHTS=$(WEIGHTS) COCO=$(COCO) BS=$(BS) SOC=$(SOC) WORK=$(WORK) BACKEND=$(BACKEND) (auto|om|cpu) LIMIT=$(LIMIT) SET=$(SET) ATC=$(ATC)'

setup: $(VENV)/.ready ## create .venv from requirements.lock

# Any Python will do: it runs where nothing is installed. FOR=laptop|npu; without it, by what is found here.
DOCTOR := $(if $(wildcard $(PY)),$(PY),$(if $(filter $(VENV)/bin/python,$(PY)),$(PYTHON),$(PY)))
doctor: ## what this machine can run, what it lacks and what to do about it (FOR= SOC=)
	@$(DOCTOR) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: $(DOCTOR) is older than Python 3.11: give another one with PYTHON=" >&2; exit 5; }
	@$(DOCTOR) -m infer doctor --output $(RESULTS) $(if $(FOR),--for $(FOR)) $(if $(SOC),--soc_version $(SOC))

# torch first and pinned: asked for by another package, pip would take the newest build with all of CUDA.
$(VENV)/.ready: requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' requirements.lock)"
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	touch $@

# Standard output is the COCO table and one JSON line; what the stages say on the way goes to standard error.
demo: ## the whole pipeline on the demo model and its synthetic images
	@$(MAKE) --no-print-directory infer MODEL=demo >&2
	@table="$$($(MAKE) --no-print-directory --silent eval MODEL=demo)" && \
	    $(MAKE) --no-print-directory --silent report MODEL=demo >&2 && printf '%s\n' "$$table"

# A process per core, of one thread each; each takes 0.7 GB, so at most eight. The tests of a file share their process.
TESTS = OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test: $(READY) ## run the test suite
	$(TESTS)

check: $(READY) ## format, lint, types and tests: what CI runs
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(TESTS)

format: $(READY) ## format the code and fix what the linter can fix
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

inspect: | $(READY) ## what a weights file is, and what an export would ask (WEIGHTS=)
	$(PY) -m export inspect $(or $(WEIGHTS),$(error WEIGHTS= is not set)) $(foreach pair,$(SET),--set '$(pair)')

export: $(ONNX) ## weights -> canonical ONNX (MODEL= WEIGHTS= SET=)

$(ONNX): $(WEIGHTS) $(if $(WEIGHTS),$(FOLDER)/.weights $(FOLDER)/.settings) $(wildcard atc_configs/$(MODEL).yaml) | $(READY) $(if $(COCO),$(TRUTH))
	$(if $(WEIGHTS),,$(error $@ is missing or older than its YAML, and WEIGHTS= (the checkpoint of $(MODEL)) is not set$(if $(wildcard atc_configs/$(MODEL).yaml),,; nor is there an atc_configs/$(MODEL).yaml)))
	$(PY) -m export $(NAMED) --weights $(WEIGHTS) --onnx $@ --verify $(PHOTO)

om: $(OM) ## canonical ONNX -> OM, or its CPU stand-in where atc is not on PATH (BS= SOC= ATC= BACKEND=)

$(OM): $(if $(ALONE),,$(ONNX) om_models/.$(MODEL)_bs$(BATCH)) | $(READY)
	$(PY) -m convert --onnx $(ONNX) --batch_size $(BS) --target $(if $(filter om,$(SUFFIX)),om,cpu) $(if $(SOC),--soc_version $(SOC)) $(OPTIONS) --output $(basename $@)

preprocess: $(BINS)/manifest.json ## images -> bins (COCO= LIMIT=)

$(BINS)/manifest.json: $(CARRIER) $(if $(COCO),$(FOLDER)/.images$(SUBSET) $(TRUTH),coco-is-needed) | $(READY)
	$(PY) -m preprocess --model $(CARRIER) --image_src_path $(COCO)/val2017 --bin_file_path $(BINS) $(if $(LIMIT),--limit $(LIMIT))

$(WORK)/demo/coco/annotations/instances_val2017.json: demo/dataset.py demo/scene.py | $(READY)
	$(PY) -m demo.dataset --output $(WORK)/demo/coco

infer: $(SUMMARY) ## bins -> outputs (BS=)

$(SUMMARY): $(OM) $(BINS)/manifest.json | $(READY)
	$(PY) -m infer --model $(OM) --input $(BINS) --output $(RESULTS) --output_dirname $(RESULT)

EVALUATE = $(PY) -m postprocess eval --bin_data_path $(RESULTS)/$(RESULT) --test_annotation $(BINS)/manifest.json \
	    --model $(OM) --annotations_path $(TRUTH) --det_results_path $(EVAL) $(if $(LIMIT),--subset)

# Scoring takes seconds and its table is what one asks for: `make eval` always runs it.
eval: $(SUMMARY) ## outputs -> COCO mAP
	$(EVALUATE)

$(EVAL)/metrics.json: $(SUMMARY)
	$(EVALUATE)

report: $(EVAL)/metrics.json ## one HTML page: figures, classes, drawn detections
	$(PY) -m postprocess report --det_results_path $(EVAL) --output $(FOLDER)/report.html \
	    --annotations_path $(TRUTH) --image_src_path $(COCO)/val2017

FORECAST = $(FOLDER)/forecast_bs$(BATCH)

# The fp32 figures first: what the forecast stands beside.
forecast: $(ONNX) $(EVAL)/metrics.json ## AP that the card's float16 will give, simulated on the CPU (PRECISION= KEEP=)
	$(PY) -m convert simulate --onnx $(ONNX) --batch_size $(BS) --output $(FORECAST) $(OPTIONS) \
	    $(if $(PRECISION),--precision_mode $(PRECISION)) $(if $(KEEP),--keep_dtype $(KEEP))
	$(PY) -m infer --model $(FORECAST).onnx --input $(BINS) --output $(RESULTS) --output_dirname forecast_bs$(BATCH)$(SUBSET)
	$(PY) -m postprocess eval --bin_data_path $(RESULTS)/forecast_bs$(BATCH)$(SUBSET) --test_annotation $(BINS)/manifest.json \
	    --model $(FORECAST).onnx --annotations_path $(TRUTH) --det_results_path $(EVAL)_forecast --beside $(EVAL) $(if $(LIMIT),--subset)

stream: $(OM) ## images -> mAP in one process, no bins on disk
	$(PY) -m pipeline run --model $(OM) --image_src_path $(COCO)/val2017 $(if $(LIMIT),--limit $(LIMIT) --subset) \
	    --annotations_path $(TRUTH) --det_results_path $(FOLDER)/stream_bs$(BATCH)$(SUBSET)

bench: $(ONNX) ## throughput by batch size
	$(PY) -m benchmarks --onnx $(ONNX) --output $(FOLDER)/bench

clean: ## remove everything that was built (work/, om_models/*, caches)
	rm -rf work .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find om_models -mindepth 1 ! -name README.md -delete
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
