# omline: trained detector weights -> ONNX -> Ascend OM -> COCO mAP. `make help` lists the targets.

PYTHON  ?= python3
VENV    := .venv
PY      ?= $(VENV)/bin/python
MODEL   ?= demo
# Not given: the demo's own, or what was given last time for this model.
WEIGHTS ?= $(if $(filter demo,$(MODEL)),demo/weights/fcos_r18_shapes.pth,$(shell cat $(FOLDER)/.weights 2>/dev/null))
# COCO= is the folder of both; IMAGES= and ANNOTATIONS= are a folder and a file of any name.
COCO    ?= $(if $(filter demo,$(MODEL)),$(WORK)/demo/coco)
IMAGES  ?= $(if $(COCO),$(COCO)/val2017,$(shell cat $(FOLDER)/.image_folder 2>/dev/null))
ANNOTATIONS ?= $(if $(COCO),$(COCO)/annotations/instances_val2017.json,$(shell cat $(FOLDER)/.annotation_file 2>/dev/null))
# ONLY_ANNOTATED=1: of a folder with more images than ANNOTATIONS lists, only those; 0 takes it back.
ONLY_ANNOTATED ?= $(shell cat $(FOLDER)/.only_annotated 2>/dev/null)
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
# AGAIN=1 makes the products of the given targets again, though they are newer than what they are made of.
AGAIN   ?=
# Of `doctor`: laptop or npu.
FOR     ?=

# What the command line may set: any other name would change nothing, or the wrong thing, and be passed over in silence.
VARIABLES := MODEL WORK WEIGHTS COCO IMAGES ANNOTATIONS ONLY_ANNOTATED BS SOC BACKEND LIMIT ATC PRECISION KEEP SET AGAIN FOR PY PYTHON VENV
# What goes to make itself, or to the programs as their environment.
PASSED_ON := MAKE% MFLAGS GNUMAKEFLAGS SHELL .SHELLFLAGS VPATH PATH HOME TMPDIR LANG LANGUAGE LC_% LD_% PIP_% OMP_% OPENBLAS_% \
    MKL_% ORT_% OMLINE_% ASCEND_% CUDA_% PYTHONPATH PYTHONUTF8 PYTHONIOENCODING PYTHONWARNINGS PYTEST_% %_proxy %_PROXY
# What others call them, where no likeness leads there.
ALSO_CALLED := BATCH:BS BATCHSIZE:BS BATCH_SIZE:BS SUBSET:LIMIT CHECKPOINT:WEIGHTS DATA:COCO OM:MODEL ONNX:MODEL OUTPUT:WORK FORCE:AGAIN
LIKE       = import difflib, sys; also = dict(pair.split(":") for pair in sys.argv[2].split()); \
    near = difflib.get_close_matches(sys.argv[1].upper(), [*sys.argv[3:], *also], 1); print(*(also.get(name, name) for name in near))
MEANT      = $(shell $(PYTHON) -c '$(LIKE)' '$(1)' '$(ALSO_CALLED)' $(VARIABLES))
# What others call them too, so that in the environment it is seldom meant for us.
GENERIC   := DATA OM OUTPUT FORCE PY PYTHON VENV
# Of the environment, where anything may stand: what is nearly one of ours, as NAME:OURS.
NEARLY     = import difflib, os, sys; generic = sys.argv[2].split(); ours = [name for name in sys.argv[3:] if name not in generic]; \
    also = {given: name for given, name in (pair.split(":") for pair in sys.argv[1].split()) if given not in generic}; \
    near = lambda given: [name for name in ours if name == given] or difflib.get_close_matches(given, [name for name in ours if len(name) > 3], 1, 0.85); \
    found = {given: also.get(given.upper()) or (*near(given.upper()), "")[0] for given in os.environ if given not in sys.argv[3:]}; \
    print(*(given + ":" + name for given, name in sorted(found.items()) if name))
GIVEN     := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
$(foreach name,$(filter-out $(VARIABLES) $(PASSED_ON),$(GIVEN)),$(error $(name)= is no variable of this Makefile$(if $(call MEANT,$(name)),; did you mean $(call MEANT,$(name))=?); it takes $(VARIABLES)))
ifeq ($(MAKELEVEL),0)
AROUND    := $(foreach pair,$(shell $(PYTHON) -I -S -c '$(NEARLY)' '$(ALSO_CALLED)' '$(GENERIC)' $(VARIABLES) 2>/dev/null),$(if $(findstring file,$(origin $(lastword $(subst :, ,$(pair))))),$(pair)))
$(foreach pair,$(AROUND),$(warning $(firstword $(subst :, ,$(pair))) of the environment is no variable of this Makefile and changes nothing; did you mean $(lastword $(subst :, ,$(pair)))=?))
endif

# make splits names at blanks, and it and the shell obey these; SET and ATC are lists, PY and PYTHON commands.
OPEN      := (
CLOSE     := )
OBEYED    := ' " ` $$ ; & | < > \ : $(OPEN) $(CLOSE)
DOLLAR     = $(if $(findstring command line,$(origin $(1))),$(findstring $$,$(subst $$$(OPEN),,$(value $(1)))))
FOUND      = $(firstword $(if $(word 2,$($(1))),blank) $(DOLLAR) $(foreach letter,$(OBEYED),$(findstring $(letter),$($(1)))))
$(foreach name,$(filter-out SET ATC PY PYTHON,$(VARIABLES)),$(if $(call FOUND,$(name)),$(error $(name)=$(value $(name)) has a $(call FOUND,$(name)) in it, which make or the shell would not take as part of a name: give a link (ln -s) without it, or run the stages without make (README.md, "or, without make"))))

# Whole numbers from 1 on, refused here: what the stages refuse has left files that remember it.
letters   = $(subst 0,,$(subst 1,,$(subst 2,,$(subst 3,,$(subst 4,,$(subst 5,,$(subst 6,,$(subst 7,,$(subst 8,,$(subst 9,,$(1)))))))))))
no_count  = $(call letters,$(1))$(if $(subst 0,,$(1)),,zero)
COMMA    := ,
ifneq ($(and $(LIMIT),$(call no_count,$(LIMIT))),)
$(error LIMIT must be how many images to take, 1 or more, got '$(LIMIT)'; without LIMIT= all are taken)
endif
NO_SIZES := $(strip $(filter $(COMMA)% %$(COMMA),$(BS)) $(findstring $(COMMA)$(COMMA),$(BS)) \
    $(foreach size,$(or $(subst $(COMMA), ,$(BS)),0),$(call no_count,$(size))))
ifneq ($(NO_SIZES),)
$(error BS must be images per run, 1 or more: one number such as 8, or gears such as 1$(COMMA)4$(COMMA)8; got '$(BS)')
endif
ifeq ($(filter auto om cpu,$(BACKEND)),)
$(error BACKEND must be auto, om or cpu, got '$(BACKEND)')
endif

# The variables that stand for options which messages of the stages name; they are told with them.
export OMLINE_MAKE := --only_annotated:ONLY_ANNOTATED=1 --limit:LIMIT= --subset:LIMIT= --batch_size:BS= --soc_version:SOC= \
    --atc:ATC= --set:SET= --weights:WEIGHTS= --target:BACKEND= --image_src_path:IMAGES= --annotations_path:ANNOTATIONS= \
    --precision_mode:PRECISION= --keep_dtype:KEEP=

# Folders are named like targets.
.PHONY: help setup doctor demo test check format inspect export om preprocess infer eval report stream bench forecast clean FORCE coco-is-needed
.DELETE_ON_ERROR:

# With the default PY the environment is made first; `make PY=python3 ...` uses yours as it is (the NPU host's, say).
READY   := $(if $(filter $(VENV)/bin/python,$(PY)),$(VENV)/.ready)
SUFFIX  := $(if $(filter om,$(BACKEND)),om,$(if $(filter cpu,$(BACKEND)),onnx,$(if $(shell command -v atc),om,onnx)))
SUBSET  := $(if $(LIMIT),_first$(LIMIT))
FOLDER  := $(WORK)/$(MODEL)
# BS=1,4,8 is one OM with three gears; atc's paths have no commas.
BATCH   := $(subst $(COMMA),-,$(BS))
ONNX    := $(FOLDER)/$(MODEL).onnx
OM      := om_models/$(MODEL)_bs$(BATCH).$(SUFFIX)
# One photograph for `export --verify`; without IMAGES a generated picture serves.
PHOTO    = $(if $(IMAGES),--image "$$(find $(IMAGES) -name '*.*g' | sort | head -n 1)")
# A model without a YAML file is what its checkpoint and SET say.
NAMED    = $(if $(wildcard atc_configs/$(MODEL).yaml),--model $(MODEL),--set name=$(MODEL)) $(foreach pair,$(SET),--set $(call quoted,$(pair)))
OPTIONS  = $(foreach pair,$(ATC),--atc $(call quoted,$(pair)))
BINS    := $(FOLDER)/bins$(SUBSET)
# A folder of their own: ais_bench refuses to write below one that is readable by others, so `infer` makes it 0750.
RESULTS := $(FOLDER)/results
RESULT  := bs$(BATCH)$(SUBSET)
SUMMARY := $(RESULTS)/$(RESULT)_summary.json
EVAL    := $(FOLDER)/eval_bs$(BATCH)$(SUBSET)
# The NPU host may have nothing but the OM and its .om.json: then these are taken as they are. The demo's weights are
# always there, and no reason to export on a host without torch.
GIVEN_WEIGHTS := $(if $(filter demo.om,$(MODEL).$(SUFFIX)),$(filter-out demo/weights/fcos_r18_shapes.pth,$(WEIGHTS)),$(WEIGHTS))
ALONE   := $(if $(GIVEN_WEIGHTS)$(wildcard $(ONNX)),,$(wildcard $(OM)))
CARRIER := $(if $(ALONE),$(OM),$(ONNX))

quoted   = '$(subst ','\'',$(1))'
# With AGAIN=1: the target that it names has been asked for, so its product is made again.
again    = $(if $(filter-out 0,$(AGAIN)),$(if $(filter $(1),$(MAKECMDGOALS)),FORCE))
# A product is made again when a variable that decides it has changed: its value lies in a file beside it.
remember = @mkdir -p $(@D) && { printf '%s\n' $(quoted) | cmp -s - $@ || printf '%s\n' $(quoted) >$@; }

$(FOLDER)/.weights: FORCE
	$(call remember,$(WEIGHTS))
$(FOLDER)/.settings: FORCE
	$(call remember,$(SET))
$(FOLDER)/.image_folder: FORCE
	$(call remember,$(IMAGES))
$(FOLDER)/.annotation_file: FORCE
	$(call remember,$(ANNOTATIONS))
$(FOLDER)/.only_annotated: FORCE
	$(call remember,$(filter-out 0,$(ONLY_ANNOTATED)))
om_models/.$(MODEL)_bs$(BATCH): FORCE
	$(call remember,$(ONNX) $(SOC) $(ATC))
FORCE:

coco-is-needed:
	$(error COCO= is not set: the folder with val2017/ and annotations/instances_val2017.json; or IMAGES= (a folder) and ANNOTATIONS= (a file))
DEMO_FILE := $(WORK)/demo/coco/annotations/instances_val2017.json
ifneq ($(filter-out $(DEMO_FILE),$(ANNOTATIONS)),)
$(ANNOTATIONS):
	$(error $@ is not there: COCO= is the folder with val2017/ and annotations/instances_val2017.json; for other names give IMAGES= (a folder) and ANNOTATIONS= (a file))
endif

help: ## list the targets and variables
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  MODEL=$(MODEL) WEIGHTS=$(WEIGHTS) COCO=$(COCO) IMAGES=$(IMAGES) ANNOTATIONS=$(ANNOTATIONS) ONLY_ANNOTATED=$(ONLY_ANNOTATED) BS=$(BS) SOC=$(SOC) WORK=$(WORK) BACKEND=$(BACKEND) (auto|om|cpu) LIMIT=$(LIMIT) SET=$(SET) ATC=$(ATC) AGAIN=$(AGAIN)'

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
TESTS = OMLINE_MAKE= OMP_NUM_THREADS=1 $(PY) -m pytest -q -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

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
	$(PY) -m export inspect $(or $(WEIGHTS),$(error WEIGHTS= is not set)) $(foreach pair,$(SET),--set $(call quoted,$(pair)))

export: $(ONNX) ## weights -> canonical ONNX (MODEL= WEIGHTS= SET=)

$(ONNX): $(WEIGHTS) $(if $(WEIGHTS),$(FOLDER)/.weights $(FOLDER)/.settings) $(wildcard atc_configs/$(MODEL).yaml) $(call again,export) | $(READY) $(ANNOTATIONS)
	$(if $(WEIGHTS),,$(error $@ is missing or older than its YAML, and WEIGHTS= (the checkpoint of $(MODEL)) is not set$(if $(wildcard atc_configs/$(MODEL).yaml),,; nor is there an atc_configs/$(MODEL).yaml)))
	$(PY) -m export $(NAMED) --weights $(WEIGHTS) --onnx $@ --verify $(PHOTO)

om: $(OM) ## canonical ONNX -> OM, or its CPU stand-in where atc is not on PATH (BS= SOC= ATC= BACKEND=)

$(OM): $(if $(ALONE),,$(ONNX) om_models/.$(MODEL)_bs$(BATCH)) $(call again,om) | $(READY)
	$(PY) -m convert --onnx $(ONNX) --batch_size $(BS) --target $(if $(filter om,$(SUFFIX)),om,cpu) $(if $(SOC),--soc_version $(SOC)) $(OPTIONS) --output $(basename $@)

preprocess: $(BINS)/manifest.json ## images -> bins (COCO= LIMIT=)

PICTURES := $(if $(and $(IMAGES),$(ANNOTATIONS)),$(FOLDER)/.image_folder $(FOLDER)/.annotation_file $(FOLDER)/.only_annotated $(ANNOTATIONS),coco-is-needed)

$(BINS)/manifest.json: $(CARRIER) $(PICTURES) $(call again,preprocess) | $(READY)
	$(PY) -m preprocess --model $(CARRIER) --image_src_path $(IMAGES) --bin_file_path $(BINS) $(if $(LIMIT),--limit $(LIMIT)) \
	    $(if $(filter-out 0,$(ONLY_ANNOTATED)),--only_annotated $(ANNOTATIONS))

$(DEMO_FILE): demo/dataset.py demo/scene.py | $(READY)
	$(PY) -m demo.dataset --output $(WORK)/demo/coco

infer: $(SUMMARY) ## bins -> outputs (BS=)

# --fresh: what an earlier run of other images left would be nobody's results.
$(SUMMARY): $(OM) $(BINS)/manifest.json $(call again,infer) | $(READY)
	$(PY) -m infer --model $(OM) --input $(BINS) --output $(RESULTS) --output_dirname $(RESULT) --fresh 1

EVALUATE = $(PY) -m postprocess eval --bin_data_path $(RESULTS)/$(RESULT) --test_annotation $(BINS)/manifest.json \
	    --model $(OM) --annotations_path $(ANNOTATIONS) --det_results_path $(EVAL) $(if $(LIMIT),--subset)

# Scoring takes seconds and its table is what one asks for: `make eval` always runs it.
eval: $(SUMMARY) ## outputs -> COCO mAP
	$(EVALUATE)

$(EVAL)/metrics.json: $(SUMMARY) $(PICTURES)
	$(EVALUATE)

report: $(EVAL)/metrics.json ## one HTML page: figures, classes, drawn detections
	$(PY) -m postprocess report --det_results_path $(EVAL) --output $(FOLDER)/report$(SUBSET).html \
	    --annotations_path $(ANNOTATIONS) --image_src_path $(IMAGES)

FORECAST = $(FOLDER)/forecast_bs$(BATCH)

# The fp32 figures first: what the forecast stands beside.
forecast: $(ONNX) $(EVAL)/metrics.json ## AP that the card's float16 will give, simulated on the CPU (PRECISION= KEEP=)
	$(PY) -m convert simulate --onnx $(ONNX) --batch_size $(BS) --output $(FORECAST) $(OPTIONS) \
	    $(if $(PRECISION),--precision_mode $(PRECISION)) $(if $(KEEP),--keep_dtype $(KEEP))
	$(PY) -m infer --model $(FORECAST).onnx --input $(BINS) --output $(RESULTS) --output_dirname forecast_bs$(BATCH)$(SUBSET) --fresh 1
	$(PY) -m postprocess eval --bin_data_path $(RESULTS)/forecast_bs$(BATCH)$(SUBSET) --test_annotation $(BINS)/manifest.json \
	    --model $(FORECAST).onnx --annotations_path $(ANNOTATIONS) --det_results_path $(EVAL)_forecast --beside $(EVAL) $(if $(LIMIT),--subset)

stream: $(OM) $(PICTURES) ## images -> mAP in one process, no bins on disk
	$(PY) -m pipeline run --model $(OM) --image_src_path $(IMAGES) $(if $(LIMIT),--limit $(LIMIT) --subset) \
	    $(if $(filter-out 0,$(ONLY_ANNOTATED)),--only_annotated) \
	    --annotations_path $(ANNOTATIONS) --det_results_path $(FOLDER)/stream_bs$(BATCH)$(SUBSET)

bench: $(ONNX) ## throughput by batch size
	$(PY) -m benchmarks --onnx $(ONNX) --output $(FOLDER)/bench

clean: ## remove everything that was built (work/, om_models/*, caches)
	rm -rf work .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find om_models -mindepth 1 ! -name README.md -delete
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
