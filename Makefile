# omline: trained detector weights -> ONNX -> Ascend OM -> COCO mAP. `make help` lists the targets.

.DEFAULT_GOAL := help
HERE    := $(realpath $(dir $(firstword $(MAKEFILE_LIST))))
ifneq ($(HERE),$(realpath .))
$(error this Makefile works in its own folder: make -C $(HERE) $(MAKECMDGOALS))
endif

PYTHON  ?= python3
VENV    := .venv
PY      ?= $(VENV)/bin/python
MODEL   ?= demo
recalled = $(shell cat $(FOLDER)/.$(1) 2>/dev/null)
# Not given: the demo's own, or what was given last time for this model.
WEIGHTS ?= $(if $(filter demo,$(MODEL)),demo/weights/fcos_r18_shapes.pth,$(call recalled,weights))
# COCO= is the folder of both; IMAGES= and ANNOTATIONS= are a folder and a file of any name.
COCO    ?= $(if $(filter demo,$(MODEL)),$(WORK)/demo/coco)
IMAGES  ?= $(if $(COCO),$(COCO)/val2017,$(call recalled,image_folder))
ANNOTATIONS ?= $(if $(COCO),$(COCO)/annotations/instances_val2017.json,$(call recalled,annotation_file))
# ONLY_ANNOTATED=1: of a folder with more images than ANNOTATIONS lists, only those; 0 takes it back.
ONLY_ANNOTATED ?= $(call recalled,only_annotated)
# RECURSIVE=1: the images of sub-folders too, where IMAGES holds some itself; 0 takes it back.
RECURSIVE ?= $(call recalled,recursive)
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
SET     ?= $(if $(filter demo,$(MODEL)),,$(call recalled,settings))
# AGAIN=1 makes the products of the given targets again, though they are newer than what they are made of.
AGAIN   ?=
# Of `doctor`: laptop or npu.
FOR     ?=

quoted   = '$(subst ','\'',$(1))'

FOLDER  := $(WORK)/$(MODEL)
# What the command line may set: any other name would change nothing, or the wrong thing, and be passed over in silence.
VARIABLES := MODEL WORK WEIGHTS COCO IMAGES ANNOTATIONS ONLY_ANNOTATED RECURSIVE BS SOC BACKEND LIMIT ATC PRECISION KEEP SET AGAIN FOR PY PYTHON VENV
# What goes to make itself, or to the programs as their environment.
PASSED_ON := MAKE% MFLAGS GNUMAKEFLAGS SHELL .SHELLFLAGS VPATH PATH HOME TMPDIR LANG LANGUAGE LC_% LD_% PIP_% OMP_% OPENBLAS_% \
    MKL_% ORT_% OMLINE_% ASCEND_% CUDA_% PYTHONPATH PYTHONUTF8 PYTHONIOENCODING PYTHONWARNINGS PYTEST_% %_proxy %_PROXY
# What others call them, where no likeness leads there.
ALSO_CALLED := BATCH:BS BATCHSIZE:BS BATCH_SIZE:BS SUBSET:LIMIT CHECKPOINT:WEIGHTS DATA:COCO OM:MODEL ONNX:MODEL OUTPUT:WORK FORCE:AGAIN
LIKE       = import difflib, sys; also = dict(pair.split(":") for pair in sys.argv[2].split()); \
    known = {name.upper(): name for name in sys.argv[3:]} | also; \
    near = difflib.get_close_matches(sys.argv[1].upper(), known, 1); print(*(known[name] for name in near))
NEAREST    = $(shell $(PYTHON) -c '$(LIKE)' $(call quoted,$(1)) '$(2)' $(3) 2>/dev/null)
MEANT      = $(call NEAREST,$(1),$(ALSO_CALLED),$(VARIABLES))
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

# Read once: what is remembered lies in files.
WEIGHTS   := $(WEIGHTS)
IMAGES    := $(IMAGES)
ANNOTATIONS := $(ANNOTATIONS)
ONLY_ANNOTATED := $(ONLY_ANNOTATED)
RECURSIVE := $(RECURSIVE)
SET       := $(SET)

TARGETS   := help setup lock doctor demo test check format inspect export om preprocess infer eval report stream bench forecast clean
TARGETS_CALLED := CONVERT:om ATC:om ONNX:export BINS:preprocess INFERENCE:infer EVALUATE:eval BENCHMARK:bench INSTALL:setup PYTEST:test LINT:check
NO_TARGET := $(firstword $(foreach goal,$(MAKECMDGOALS),$(if $(findstring /,$(goal))$(filter $(TARGETS),$(goal)),,$(goal))))
ifneq ($(NO_TARGET),)
$(error $(NO_TARGET) is no target$(addprefix ; did you mean make ,$(call NEAREST,$(NO_TARGET),$(TARGETS_CALLED),$(TARGETS))); make help lists them)
endif
# Folders are named like targets.
.PHONY: $(TARGETS) FORCE coco-is-needed
.DELETE_ON_ERROR:

# make splits names at blanks, and it and the shell obey these; SET and ATC are lists, PY and PYTHON commands.
OPEN      := (
CLOSE     := )
OBEYED    := ' " ` $$ ; & | < > \ : $(OPEN) $(CLOSE)
DOLLAR     = $(if $(findstring command line,$(origin $(1))),$(findstring $$,$(subst $$$(OPEN),,$(value $(1)))))
FOUND      = $(firstword $(if $(word 2,$($(1))),blank) $(DOLLAR) $(foreach letter,$(OBEYED),$(findstring $(letter),$($(1)))))
$(foreach name,$(filter-out SET ATC PY PYTHON,$(VARIABLES)),$(if $(call FOUND,$(name)),$(error $(name)=$(value $(name)) has a $(call FOUND,$(name)) in it, which make or the shell would not take as part of a name: give a link (ln -s) without it, or run the stages without make (README.md, "or, without make"))))

# Whole numbers from 1 on, refused here: what the stages refuse has left files that remember it.
letters   = $(subst 0,,$(subst 1,,$(subst 2,,$(subst 3,,$(subst 4,,$(subst 5,,$(subst 6,,$(subst 7,,$(subst 8,,$(subst 9,,$(1)))))))))))
no_count  = $(call letters,$(1))$(if $(subst 0,,$(1)),,zero)$(filter 0%,$(1))
COMMA    := ,
ifneq ($(and $(LIMIT),$(call no_count,$(LIMIT))),)
$(error LIMIT must be how many images to take, 1 or more, got '$(LIMIT)' (no 0 stands before a number); without LIMIT= all are taken)
endif
NO_SIZES := $(strip $(filter $(COMMA)% %$(COMMA),$(BS)) $(findstring $(COMMA)$(COMMA),$(BS)) \
    $(foreach size,$(or $(subst $(COMMA), ,$(BS)),0),$(call no_count,$(size))))
ifneq ($(NO_SIZES),)
$(error BS must be images per run, 1 or more: one number such as 8, or gears such as 1$(COMMA)4$(COMMA)8; got '$(BS)' (no 0 stands before a number))
endif
$(foreach name,ONLY_ANNOTATED RECURSIVE AGAIN,$(if $(filter-out 0 1,$($(name))),$(error $(name) must be 1 or 0, got '$($(name))')))
ifeq ($(filter auto om cpu,$(BACKEND)),)
$(error BACKEND must be auto, om or cpu, got '$(BACKEND)')
endif

# The variables that stand for options which messages of the stages name; they are told with them.
export OMLINE_MAKE := --only_annotated:ONLY_ANNOTATED=1 --recursive:RECURSIVE=1 --limit:LIMIT= --subset:LIMIT= --batch_size:BS= --soc_version:SOC= \
    --atc:ATC= --set:SET= --weights:WEIGHTS= --target:BACKEND= --image_src_path:IMAGES= --annotations_path:ANNOTATIONS= \
    --precision_mode:PRECISION= --keep_dtype:KEEP=

# With the default PY the environment is made first; `make PY=python3 ...` uses yours as it is (the NPU host's, say).
READY   := $(if $(filter $(VENV)/bin/python,$(PY)),$(VENV)/.ready)
SUFFIX  := $(if $(filter om,$(BACKEND)),om,$(if $(filter cpu,$(BACKEND)),onnx,$(if $(shell command -v atc),om,onnx)))
SUBSET  := $(if $(LIMIT),_first$(LIMIT))
# BS=1,4,8 is one OM with three gears; atc's paths have no commas.
BATCH   := $(subst $(COMMA),-,$(BS))
ONNX    := $(FOLDER)/$(MODEL).onnx
OM      := om_models/$(MODEL)_bs$(BATCH).$(SUFFIX)
# One photograph for `export --verify`; without IMAGES a generated picture serves.
PHOTO    = $(if $(shell [ -d '$(IMAGES)' ] && echo yes),--image "$$(find $(IMAGES) -name '*.*g' | sort | head -n 1)")
# A model without a YAML file is what its checkpoint and SET say.
NAMED    = $(if $(wildcard atc_configs/$(MODEL).yaml),--model $(MODEL),--set name=$(MODEL)) $(foreach pair,$(SET),--set $(call quoted,$(pair)))
OPTIONS  = $(foreach pair,$(ATC),--atc $(call quoted,$(pair)))
BINS    := $(FOLDER)/bins$(SUBSET)
MANIFEST := $(BINS)/manifest.json
# A folder of their own: ais_bench refuses to write below one that is readable by others, so `infer` makes it 0750.
RESULTS := $(FOLDER)/results
RESULT  := bs$(BATCH)$(SUBSET)
SUMMARY := $(RESULTS)/$(RESULT)_summary.json
EVAL    := $(FOLDER)/eval_bs$(BATCH)$(SUBSET)
METRICS := $(EVAL)/metrics.json
# The NPU host may have nothing but the OM and its .om.json: then these are taken as they are. The demo's weights are
# always there, and no reason to export on a host without torch.
GIVEN_WEIGHTS := $(if $(filter demo.om,$(MODEL).$(SUFFIX)),$(filter-out demo/weights/fcos_r18_shapes.pth,$(WEIGHTS)),$(WEIGHTS))
ALONE   := $(if $(GIVEN_WEIGHTS)$(wildcard $(ONNX)),,$(wildcard $(OM)))
# A detector that someone else exported: its ONNX lies at its place, and the YAML says what it is.
ADOPTED := $(if $(GIVEN_WEIGHTS),,$(shell grep -qs '^detector: *other *$$' atc_configs/$(MODEL).yaml && echo --model $(MODEL)))
CARRIER := $(if $(ALONE),$(OM),$(if $(ADOPTED),atc_configs/$(MODEL).yaml,$(ONNX)))
DEMO_FILE := $(WORK)/demo/coco/annotations/instances_val2017.json
PICTURES := $(and $(IMAGES),$(ANNOTATIONS))

# What may not be, said before anything is made: `! ` and the line.
CHECKS = refuse() { echo "! $$*"; exit; }; nearest='$(FOLDER)'; \
    case '$(MODEL)' in ""|[!A-Za-z0-9]*|*[!A-Za-z0-9_-]*) refuse "MODEL=$(MODEL) is no name of a model, such as $(or $(MODELS),demo): give it without folder and ending, in letters, digits, _ and -";; esac; \
    while ! [ -e "$$nearest" ]; do case "$$nearest" in */*) nearest="$${nearest%/*}";; *) nearest=.;; esac; [ "$$nearest" ] || nearest=/; done; \
    [ -d "$$nearest" ] || refuse "WORK=$(WORK): $$nearest is no folder: give the folder for what is made (work, if left out)"; \
    [ -w "$$nearest" ] || refuse "WORK=$(WORK): $$nearest cannot be written: have its permissions changed, or give WORK= another folder"; \
    [ -f '$(GIVEN_WEIGHTS)' ] || [ -z '$(GIVEN_WEIGHTS)' ] || \
        refuse "WEIGHTS=$(GIVEN_WEIGHTS) is $$([ -e '$(GIVEN_WEIGHTS)' ] && echo no file || echo not there): give the path of the checkpoint file$(if $(wildcard $(ONNX)),$(COMMA) or WEIGHTS= to take $(ONNX) as it is)"; \
    [ -z '$(OTHER_TRUTH)' ] || [ -e '$(ANNOTATIONS)' ] || \
        refuse "$(ANNOTATIONS) is not there: COCO= is the folder with val2017/ and annotations/instances_val2017.json; for other names give IMAGES= (a folder) and ANNOTATIONS= (a file)"; \
    [ -z '$(OTHER_TRUTH)' ] || [ -z '$(IMAGES)' ] || [ -d '$(IMAGES)' ] || [ -e '$(MANIFEST)' ] || refuse "$(NO_IMAGES)";
MODELS    = $(sort $(notdir $(basename $(wildcard atc_configs/*.yaml))))
OTHER_TRUTH := $(filter-out $(DEMO_FILE),$(ANNOTATIONS))
NO_IMAGES = $(IMAGES) is no folder: COCO= is the folder with val2017/ and annotations/instances_val2017.json; for other names give IMAGES= (a folder of images) and ANNOTATIONS= (a file)
# PY may be a command with options.
PROGRAM  := $(if $(and $(READY),$(if $(wildcard $(READY)),,yes)),PYTHON,PY)
RUNS      = command -v $(call quoted,$(firstword $($(PROGRAM)))) >/dev/null && ! [ -d $(call quoted,$(firstword $($(PROGRAM)))) ] || \
    { echo '! $(PROGRAM)=$(subst ','\'',$($(PROGRAM))) is no program: give a Python 3.11 or later$(if $(READY),$(if $(filter PY,$(PROGRAM)),: rm -r $(VENV) and run make setup), that has the packages of requirements.lock$(COMMA) or leave PY= out and one is made)'; exit; };

# Dates do not tell what a product was made of: its inputs may have been replaced by older files, or itself by a backup.
# A hidden note beside it has the variables that decided it, and of itself and each input the SHA-256 and by what the file
# is known to be the one that was hashed: size, times of content and inode; of a folder of images only these, of all its files.
note   = $(dir $(1)).$(notdir $(1)).made
FACTS  = facts() { if [ -d "$$1" ]; then find -L "$$1" -type f ! -name ".*" -printf "%P %s %T@ %C@\n" 2>/dev/null | LC_ALL=C sort | sha256sum | cut -c -64; \
    else stat -Lc %s/%.9Y/%.9Z "$$1" 2>/dev/null || echo -; fi; }; \
    sum() { if [ -f "$$1" ]; then sha256sum <"$$1" | cut -c -64; else echo -; fi; };
# Of a folder that is gone nothing can be made again: what was made of it stays.
SAME   = same() { [ "$$2" = "$$(facts "$$1")" ] || if [ -e "$$1" ]; then [ "$$3" != - ] && [ "$$3" = "$$(sum "$$1")" ]; else [ "$$3" = - ]; fi; }; \
    current() { IFS= read -r by && [ "$$by" = "$$1" ] && while read -r facts sum path; do same "$$path" "$$facts" "$$sum" || return 1; done; }; \
    kept() { IFS= read -r value && [ "$$value" = "$$1" ]; };
WRITE  = write() { note="$$1" by="$$2" before="$$3" product="$$4"; shift 4; after=; for path; do after="$$after$${after:+ }$$(facts "$$path")"; done; \
    [ -e "$$product" ] || { echo "error: $$product was not made: is PY= a Python that has the packages of requirements.lock?" >&2; exit 1; }; \
    [ "$$before" = "$$after" ] || { rm -f "$$note"; echo "$$product was made while its inputs ($$*) changed: the next make makes it again" >&2; return; }; \
    { printf "%s\n" "$$by"; for path in "$$product" "$$@"; do echo "$$(facts "$$path") $$(sum "$$path") $$path"; done; } >"$$note.part" && mv -f "$$note.part" "$$note"; };

# What each product is (_IS), made of which files (_OF) and decided by which variables (_BY).
YAML       := $(wildcard atc_configs/$(MODEL).yaml)
# Files that lists of KEY=VALUE name: names of classes, operators to keep.
files       = $(foreach pair,$(1),$(if $(wildcard $(lastword $(subst =, ,$(pair)))/.),,$(wildcard $(lastword $(subst =, ,$(pair))))))
ONNX_IS    := $(ONNX)
ONNX_OF    := $(WEIGHTS) $(YAML) $(if $(YAML),$(wildcard $(shell sed -n 's,^classes: *\([A-Za-z0-9_./-]*\) *$$,atc_configs/\1,p' $(YAML)))) $(call files,$(SET))
ONNX_BY    := $(NAMED) --weights $(WEIGHTS)
OM_IS      := $(OM)
OM_OF      := $(ONNX) $(if $(ADOPTED),$(YAML)) $(call files,$(ATC))
OM_BY      := $(ONNX) $(SOC) $(ATC)
BINS_IS    := $(MANIFEST)
BINS_OF    := $(CARRIER) $(ANNOTATIONS) $(IMAGES)
BINS_BY    := $(CARRIER) $(ANNOTATIONS) $(IMAGES) $(filter-out 0,$(ONLY_ANNOTATED)) $(if $(filter-out 0,$(RECURSIVE)),recursive)
RESULTS_IS := $(SUMMARY)
RESULTS_OF := $(OM) $(MANIFEST)
RESULTS_BY := $(OM)
METRICS_IS := $(METRICS)
METRICS_OF := $(SUMMARY) $(ANNOTATIONS)
METRICS_BY := $(ANNOTATIONS)
# An OM that was built by the script for the NPU host has no note, and where atc is not here none can be made.
SCRIPTED   := $(if $(filter om,$(SUFFIX)),$(if $(wildcard $(call note,$(OM))),,$(if $(shell command -v atc),,yes)))
NOTED      := $(if $(WEIGHTS),ONNX) $(if $(ALONE)$(SCRIPTED),,OM) $(if $(PICTURES),BINS RESULTS METRICS)

# What is given holds for the next calls too, once something was made of it.
MEMORY     := $(if $(ALONE),,$(if $(WEIGHTS),weights settings)) $(if $(PICTURES),image_folder annotation_file only_annotated recursive)
weights_IS := $(WEIGHTS)
settings_IS := $(SET)
image_folder_IS := $(IMAGES)
annotation_file_IS := $(ANNOTATIONS)
only_annotated_IS := $(filter-out 0,$(ONLY_ANNOTATED))
recursive_IS := $(filter-out 0,$(RECURSIVE))

FREE      := $(filter help clean,$(or $(MAKECMDGOALS),help))
MAKING    := $(filter-out help setup lock doctor demo test check format inspect clean,$(or $(MAKECMDGOALS),help))
# In one shell: what is wrong, else which products are not made of what there is now, and what is to be remembered.
STATE     := $(shell $(if $(FREE),,$(RUNS)) $(if $(MAKING),$(CHECKS) $(FACTS) $(SAME) \
    $(foreach key,$(NOTED),current $(call quoted,$($(key)_BY)) 2>/dev/null <$(call note,$($(key)_IS)) || echo $(key); ) \
    $(foreach key,$(MEMORY),kept $(call quoted,$($(key)_IS)) 2>/dev/null <$(FOLDER)/.$(key) || echo $(key); )))
ifeq ($(firstword $(STATE)),!)
$(error $(wordlist 2,999,$(STATE)))
endif
ANEW      := $(filter $(NOTED),$(STATE))
MODEL_MEMORY   := $(addprefix $(FOLDER)/.,$(filter weights settings,$(STATE)))
PICTURE_MEMORY := $(addprefix $(FOLDER)/.,$(filter image_folder annotation_file only_annotated recursive,$(STATE)))

# With AGAIN=1: the target that it names has been asked for, so its product is made again.
again    = $(if $(filter-out 0,$(AGAIN)),$(if $(filter $(1),$(MAKECMDGOALS)),FORCE))
anew     = $(if $(filter $(1),$(ANEW)),FORCE)
# The facts are read when the recipe is expanded, which is before its first command.
noted    = $(if $(findstring n,$(firstword -$(MAKEFLAGS))),,@$(FACTS) $(WRITE) write $(call note,$@) $(call quoted,$($(1)_BY)) '$(shell $(FACTS) for path in $($(1)_OF); do facts "$$path"; done)' $@ $($(1)_OF))
remember = printf '%s\n' $(call quoted,$($(1)_IS)) >$(FOLDER)/.$(1)

$(MODEL_MEMORY): | $(ONNX)
	@$(call remember,$(patsubst .%,%,$(@F)))
$(PICTURE_MEMORY): | $(MANIFEST)
	@$(call remember,$(patsubst .%,%,$(@F)))
$(MODEL_MEMORY) $(PICTURE_MEMORY): FORCE
FORCE:

coco-is-needed:
	$(error COCO= is not set: the folder with val2017/ and annotations/instances_val2017.json; or IMAGES= (a folder) and ANNOTATIONS= (a file))

help: ## list the targets and variables
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  MODEL=$(MODEL) WEIGHTS=$(WEIGHTS) COCO=$(COCO) IMAGES=$(IMAGES) ANNOTATIONS=$(ANNOTATIONS) ONLY_ANNOTATED=$(ONLY_ANNOTATED) RECURSIVE=$(RECURSIVE) BS=$(BS) SOC=$(SOC) WORK=$(WORK) BACKEND=$(BACKEND) (auto|om|cpu) LIMIT=$(LIMIT) SET=$(SET) ATC=$(ATC) AGAIN=$(AGAIN)'

setup: $(VENV)/.ready ## create .venv from requirements.lock

# Any Python will do: it runs where nothing is installed. FOR=laptop|npu; without it, by what is found here.
DOCTOR := $(if $(wildcard $(PY)),$(PY),$(if $(filter $(VENV)/bin/python,$(PY)),$(PYTHON),$(PY)))
doctor: ## what this machine can run, what it lacks and what to do about it (FOR= SOC=)
	@$(DOCTOR) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: $(DOCTOR) is older than Python 3.11: give another one with PYTHON=" >&2; exit 5; }
	@$(DOCTOR) -m infer doctor --output $(RESULTS) $(if $(FOR),--for $(FOR)) $(if $(SOC),--soc_version $(SOC))

# torch first and pinned: asked for by another package, pip would take the newest build with all of CUDA.
PIP      = bin/python -m pip install --quiet --disable-pip-version-check
OLD      = "error: PYTHON=$(PYTHON) is older than Python 3.11: give another one with PYTHON="
require_python = @$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo $(OLD) >&2; exit 5; }
# An environment behind a link is somebody else's, and may serve others: nothing is installed there.
LINKED  := $(shell readlink $(VENV))
ifneq ($(LINKED),)
$(VENV)/.ready: requirements.lock
	@[ -x $(VENV)/bin/python ] || { \
	    echo "error: $(VENV) leads to $(LINKED), which is no environment: remove the link (rm $(VENV)), then make setup" >&2; exit 5; }
	@echo "$(VENV) leads to $(LINKED), which may lack what requirements.lock has: taken as it is; for one of your own rm $(VENV), then make setup" >&2
else
$(VENV)/.ready: requirements.lock
	$(require_python)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/$(PIP) "$$(grep '^torch==' requirements.lock)"
	$(VENV)/$(PIP) -r requirements.lock
	touch $@
endif

# In an environment of its own, so that nothing comes along that was installed by hand.
lock: ## requirements.lock anew: the newest that pyproject.toml takes (PYTHON=, network)
	$(require_python)
	@fresh="$$(mktemp -d)" && trap 'rm -rf "$$fresh"' EXIT && $(PYTHON) -m venv "$$fresh" && \
	    "$$fresh"/$(PIP) "$$(grep -o 'torch==[0-9.]*' pyproject.toml)" && "$$fresh"/$(PIP) -e '.[export,cpu,dev]' && \
	    "$$fresh"/bin/python -m pip freeze --all --exclude pip --exclude-editable | sed 's/^\(torch==.*\)+cpu$$/\1/' >"$$fresh"/all && \
	    { grep '^#' requirements.lock; grep '^torch==' "$$fresh"/all && grep -v '^torch==' "$$fresh"/all; } >"$$fresh"/lock && \
	    { diff requirements.lock "$$fresh"/lock || cp "$$fresh"/lock requirements.lock; } && rm -rf omline.egg-info

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
	@echo '$(PY) -m mypy, beside the tests'; $(PY) -m mypy & types=$$!; trap 'kill $$types 2>/dev/null' EXIT; \
	    $(TESTS); tests=$$?; wait $$types || { echo 'mypy found what is to be mended: see above' >&2; exit 1; }; exit $$tests

format: $(READY) ## format the code and fix what the linter can fix
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

inspect: | $(READY) ## what a weights file is, and what an export would ask (WEIGHTS=)
	$(PY) -m export inspect $(or $(WEIGHTS),$(error WEIGHTS= is not set: give the path of the checkpoint file)) $(foreach pair,$(SET),--set $(call quoted,$(pair)))

export: $(MODEL_MEMORY) $(ONNX) ## weights -> canonical ONNX (MODEL= WEIGHTS= SET=)

$(ONNX): $(if $(WEIGHTS),$(ONNX_OF),$(if $(ADOPTED),,$(YAML))) $(call anew,ONNX) $(call again,export) | $(READY) $(ANNOTATIONS)
	$(if $(ADOPTED),$(error $@ is missing: copy the ONNX of $(MODEL) there))
	$(if $(WEIGHTS),,$(error $@ is missing or older than its YAML, and WEIGHTS= (the checkpoint of $(MODEL)) is not set$(if $(YAML),,; nor is there an atc_configs/$(MODEL).yaml$(if $(MODELS),$(COMMA) only $(MODELS)))))
	$(PY) -m export $(NAMED) --weights $(WEIGHTS) --onnx $@ --verify $(PHOTO)
	$(call noted,ONNX)

om: $(MODEL_MEMORY) $(OM) ## canonical ONNX -> OM, or its CPU stand-in where atc is not on PATH (BS= SOC= ATC= BACKEND=)

$(OM): $(if $(ALONE),,$(OM_OF)) $(call anew,OM) $(call again,om) | $(READY)
	$(PY) -m convert --onnx $(ONNX) --batch_size $(BS) --target $(if $(filter om,$(SUFFIX)),om,cpu) $(ADOPTED) $(if $(SOC),--soc_version $(SOC)) $(OPTIONS) --output $(basename $@)
	$(call noted,OM)

preprocess: $(MODEL_MEMORY) $(PICTURE_MEMORY) $(MANIFEST) ## images -> bins (COCO= LIMIT=)

$(MANIFEST): $(CARRIER) $(if $(PICTURES),$(ANNOTATIONS),coco-is-needed) $(call anew,BINS) $(call again,preprocess) | $(READY)
	@[ -d $(IMAGES) ] || { echo "error: $(NO_IMAGES)" >&2; exit 2; }
	$(PY) -m preprocess --model $(CARRIER) --image_src_path $(IMAGES) --bin_file_path $(BINS) $(if $(LIMIT),--limit $(LIMIT)) \
	    $(if $(filter-out 0,$(ONLY_ANNOTATED)),--only_annotated $(ANNOTATIONS)) $(if $(filter-out 0,$(RECURSIVE)),--recursive)
	$(call noted,BINS)

$(DEMO_FILE): demo/dataset.py demo/scene.py | $(READY)
	$(PY) -m demo.dataset --output $(WORK)/demo/coco

infer: $(MODEL_MEMORY) $(OM) $(PICTURE_MEMORY) $(SUMMARY) ## bins -> outputs (BS=)

# --fresh: what an earlier run of other images left would be nobody's results.
$(SUMMARY): $(OM) $(MANIFEST) $(call anew,RESULTS) $(call again,infer) | $(READY)
	$(PY) -m infer --model $(OM) --input $(BINS) --output $(RESULTS) --output_dirname $(RESULT) --fresh 1
	$(call noted,RESULTS)

eval: $(MODEL_MEMORY) $(OM) $(PICTURE_MEMORY) $(METRICS) ## outputs -> COCO mAP

# Scoring takes seconds and its table is what one asks for: `make eval` always runs it.
$(METRICS): $(SUMMARY) $(ANNOTATIONS) $(call anew,METRICS) $(if $(filter eval,$(MAKECMDGOALS)),FORCE) | $(READY)
	$(PY) -m postprocess eval --bin_data_path $(RESULTS)/$(RESULT) --test_annotation $(MANIFEST) \
	    --model $(OM) --annotations_path $(ANNOTATIONS) --det_results_path $(EVAL) $(if $(LIMIT),--subset)
	$(call noted,METRICS)

report: $(MODEL_MEMORY) $(OM) $(PICTURE_MEMORY) $(METRICS) ## one HTML page: figures, classes, drawn detections
	$(PY) -m postprocess report --det_results_path $(EVAL) --output $(FOLDER)/report$(SUBSET).html \
	    --annotations_path $(ANNOTATIONS) --image_src_path $(IMAGES)

FORECAST = $(FOLDER)/forecast_bs$(BATCH)
# Of one end of the forecast's range: nothing, .low or .high.
FORECAST_OF = $(PY) -m infer --model $(FORECAST)$(1).onnx --input $(BINS) --output $(RESULTS) \
    --output_dirname forecast_bs$(BATCH)$(SUBSET)$(1) --fresh 1 && \
    $(PY) -m postprocess eval --bin_data_path $(RESULTS)/forecast_bs$(BATCH)$(SUBSET)$(1) --test_annotation $(MANIFEST) \
    --model $(FORECAST)$(1).onnx --annotations_path $(ANNOTATIONS) --det_results_path $(EVAL)_forecast$(1) $(if $(LIMIT),--subset)

# The fp32 figures first: what the forecast stands beside.
forecast: $(MODEL_MEMORY) $(OM) $(PICTURE_MEMORY) $(ONNX) $(METRICS) ## AP that the card's float16 will give, simulated on the CPU (PRECISION= KEEP=)
	$(PY) -m convert simulate --onnx $(ONNX) --batch_size $(BS) --output $(FORECAST) $(OPTIONS) \
	    $(if $(PRECISION),--precision_mode $(PRECISION)) $(if $(KEEP),--keep_dtype $(KEEP))
	@rm -rf $(foreach end,.low .high,$(EVAL)_forecast$(end))
	@for end in .low .high; do [ ! -e $(FORECAST)$$end.onnx ] || { \
	    echo "the $${end#.} end of what operators may do inside:" && { $(call FORECAST_OF,$$end); } >/dev/null; } || exit; done
	@set --; [ ! -e $(FORECAST).low.onnx ] || set -- --ends $(EVAL)_forecast.low $(EVAL)_forecast.high; \
	$(call FORECAST_OF,) --beside $(EVAL) "$$@"

stream: $(MODEL_MEMORY) $(OM) $(if $(PICTURES),$(ANNOTATIONS),coco-is-needed) ## images -> mAP in one process, no bins on disk
	$(PY) -m pipeline run --model $(OM) --image_src_path $(IMAGES) $(if $(LIMIT),--limit $(LIMIT) --subset) \
	    $(if $(filter-out 0,$(ONLY_ANNOTATED)),--only_annotated) $(if $(filter-out 0,$(RECURSIVE)),--recursive) \
	    --annotations_path $(ANNOTATIONS) --det_results_path $(FOLDER)/stream_bs$(BATCH)$(SUBSET)
	@$(foreach name,image_folder annotation_file only_annotated recursive,$(call remember,$(name)); )

bench: $(MODEL_MEMORY) $(ONNX) ## throughput by batch size
	$(PY) -m benchmarks --onnx $(ONNX) --output $(FOLDER)/bench

# What make makes in the folder of a model. A WORK= that is not our own may be anybody's folder: nothing else of it goes.
CLEANED  := *.onnx .*.onnx.* .weights .settings .image_folder .annotation_file .only_annotated .recursive bins bins_first* .bins*.lock \
    results eval_bs* .eval_bs* report.html report_first*.html .report*.lock forecast_bs* .forecast_bs* stream_bs* .stream_bs* bench
clean: ## remove everything that was built (WORK=, om_models/*, caches)
	@for folder in $(filter-out work,$(WORK))/*/; do \
	    set -- "$$folder".weights "$$folder".image_folder "$$folder".*.made "$$folder"bins*/.*.made; \
	    for mark; do [ -e "$$mark" ] && break; mark=; done; [ "$$mark" ] || continue; \
	    (cd "$$folder" && echo "rm -rf $$folder" && rm -rf $(CLEANED)); \
	    [ "$$folder" != $(WORK)/demo/ ] || rm -rf $(WORK)/demo/coco; \
	    rmdir "$$folder" 2>/dev/null || echo "$$folder holds what make did not make: left"; \
	done; rmdir $(filter-out work,$(WORK)) 2>/dev/null || true
	rm -rf $(filter work,$(WORK)) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find om_models -mindepth 1 ! -name README.md -delete
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
