"""What `make` would do, in a folder that holds the Makefile alone."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("MAKELEVEL", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"):  # of the make that runs these tests
        monkeypatch.delenv(name, raising=False)
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "w.pth").touch()
    return tmp_path


def would_run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["make", "--dry-run", "PY=python3", *arguments], cwd=folder, capture_output=True, text=True, timeout=30
    )
    return done.stdout + done.stderr


def remember(folder: Path, model: str) -> None:
    """What `make export WEIGHTS=w.pth SET=canvas=[64,96]` leaves, without the product."""
    work = folder / "work" / model
    work.mkdir(parents=True)
    (work / ".weights").write_text("w.pth\n")
    (work / ".settings").write_text("canvas=[64,96]\n")


def test_weights_and_settings_of_a_model_are_remembered(folder):
    remember(folder, "mine")
    said = would_run(folder, "MODEL=mine", "om")
    assert "-m export --set name=mine --set 'canvas=[64,96]' --weights w.pth" in said
    assert "-m convert --onnx work/mine/mine.onnx" in said


def test_an_empty_setting_forgets(folder):
    remember(folder, "mine")
    assert "canvas" not in would_run(folder, "MODEL=mine", "SET=", "om").replace(".settings", "")


def test_the_demo_is_always_its_own(folder):
    remember(folder, "demo")
    (folder / "demo" / "weights").mkdir(parents=True)
    (folder / "demo" / "weights" / "fcos_r18_shapes.pth").touch()
    (folder / "demo" / "dataset.py").touch()
    (folder / "demo" / "scene.py").touch()
    said = would_run(folder, "export")
    assert "--weights demo/weights/fcos_r18_shapes.pth" in said
    assert "canvas" not in said


def test_a_model_of_which_nothing_is_known_is_named(folder):
    said = would_run(folder, "MODEL=mistyped", "WEIGHTS=", "om")
    assert "WEIGHTS= (the checkpoint of mistyped) is not set; nor is there an atc_configs/mistyped.yaml" in said


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("LIMT=5", "LIMIT"),
        ("BATCH=16", "BS"),
        ("batch_size=16", "BS"),
        ("Model=mine", "MODEL"),
        ("ANNOTATION=a.json", "ANNOTATIONS"),
        ("SUBSET=_first5", "LIMIT"),
        ("CHECKPOINT=w.pth", "WEIGHTS"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(folder, given, meant):
    said = would_run(folder, "MODEL=mine", "WEIGHTS=w.pth", given, "om")
    assert f"{given.partition('=')[0]}= is no variable of this Makefile; did you mean {meant}=?" in said
    assert "convert" not in said


def test_an_unknown_variable_like_no_other_is_refused_with_all_names(folder):
    assert "XYZZY= is no variable of this Makefile; it takes MODEL WORK WEIGHTS COCO" in would_run(
        folder, "XYZZY=1", "om"
    )


@pytest.mark.parametrize("given", ["RESULT=x", "OM=x.om", "SUMMARY=x", "FOLDER=x", "EVALUATE=true", "READY="])
def test_internal_variables_cannot_be_given(folder, given):
    assert f"{given.partition('=')[0]}= is no variable of this Makefile" in would_run(folder, given, "help")


@pytest.mark.parametrize(
    "given", ["PIP_EXTRA_INDEX_URL=https://x", "OMP_NUM_THREADS=1", "MAKEFLAGS=-k", "SHELL=/bin/sh", "https_proxy=x"]
)
def test_what_make_or_the_programs_take_passes(folder, given):
    assert "MODEL=demo" in would_run(folder, given, "help")


@pytest.mark.parametrize(
    ("name", "letter"),
    [
        *(("COCO", letter) for letter in "'\"`$;&|<>\\:() "),
        *(("WEIGHTS", letter) for letter in "' \""),
        ("WORK", "'"),
        ("BS", " "),
    ],
)
def test_a_path_that_make_cannot_take_is_refused(folder, name, letter):
    said = would_run(folder, f"{name}=a{letter}b", "export")
    assert f"{name}=a{letter}b has a {letter.strip() or 'blank'} in it" in said
    assert "export" not in said


@pytest.mark.parametrize("letter", "*?[]{}%!#~=+,@^äΩ图")
def test_other_letters_pass(folder, letter):
    (folder / f"c{letter}d/annotations").mkdir(parents=True)
    (folder / f"c{letter}d/annotations/instances_val2017.json").touch()
    done = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO=c{letter}d", "preprocess")
    assert f"--image_src_path c{letter}d/val2017 " in done


def test_a_quote_in_a_setting_reaches_the_program(folder):
    assert "--set classes=['yes',\"no\"] " in run_all(
        folder, "MODEL=mine", "WEIGHTS=w.pth", "SET=classes=['yes',\"no\"]", "export"
    )


# Every stage, as a program that leaves its product and says what it was asked.
STAGES = """\
import os, pathlib, sys
arguments = sys.argv[1:]
print("ran", *arguments, "")
def product(option, suffix=""):
    path = pathlib.Path(arguments[arguments.index(option) + 1] + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path)
stage = arguments[1]
if stage == "export":
    product("--onnx")
elif stage == "convert":
    product("--output", ".om" if "om" in arguments else ".onnx")
elif stage == "preprocess":
    product("--bin_file_path", "/manifest.json")
elif stage == "infer":
    arguments[arguments.index("--output") + 1] += "/" + arguments[arguments.index("--output_dirname") + 1]
    product("--output", "_summary.json")
    product("--output", "/" + str(len(arguments)) + "_0.bin")
elif stage == "postprocess" and arguments[2] == "eval":
    product("--det_results_path", "/metrics.json")
"""


def run_all(folder: Path, *arguments: str) -> str:
    (folder / "stages.py").write_text(STAGES)
    (folder / "stages").write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/stages.py "$@"\n')
    (folder / "stages").chmod(0o755)
    done = subprocess.run(
        ["make", f"PY={folder}/stages", *arguments], cwd=folder, capture_output=True, text=True, timeout=30
    )
    return "".join(
        line + "\n" for line in (done.stdout + done.stderr).splitlines() if line.startswith(("ran", "make", "Make"))
    )


def annotated(folder: Path, name: str) -> str:
    (folder / name / "annotations").mkdir(parents=True)
    (folder / name / "annotations" / "instances_val2017.json").touch()
    return name


def stages(said: str) -> list[str]:
    return [line.split()[2] for line in said.splitlines() if line.startswith("ran")]


def test_images_and_annotations_of_any_name(folder):
    (folder / "truth.json").touch()
    said = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", "IMAGES=photos", "ANNOTATIONS=truth.json", "eval", "report")
    assert "preprocess --model work/mine/mine.onnx --image_src_path photos " in said
    assert said.count("--annotations_path truth.json") == 2
    assert stages(run_all(folder, "MODEL=mine", "eval")) == ["postprocess"]  # both are remembered


def test_without_pictures_it_says_what_to_give(folder):
    said = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", "preprocess")
    assert "COCO= is not set: the folder with val2017/ and annotations/instances_val2017.json; or IMAGES=" in said


def test_annotations_that_are_not_there_are_named(folder):
    said = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", "COCO=nowhere", "preprocess")
    assert "nowhere/annotations/instances_val2017.json is not there: COCO= is the folder with" in said


def test_other_images_are_preprocessed_and_inferred_anew(folder):
    first, second = annotated(folder, "first"), annotated(folder, "second")
    everything = ["export", "convert", "preprocess", "infer", "postprocess"]
    assert stages(run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={first}", "eval")) == everything
    said = run_all(folder, "MODEL=mine", f"COCO={second}", "eval")
    assert stages(said) == ["preprocess", "infer", "postprocess"]
    # `infer` removes the first one's results itself, when it has the lock.
    assert "--output work/mine/results --output_dirname bs8 --fresh 1 " in said
    assert stages(run_all(folder, "MODEL=mine", "eval")) == ["postprocess"]
    assert stages(run_all(folder, "MODEL=mine", f"COCO={first}", "eval")) == ["preprocess", "infer", "postprocess"]


def test_a_second_make_removes_nothing_of_the_first(folder):
    coco = annotated(folder, "coco")
    run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", "infer")
    before = sorted((folder / "work/mine/results").rglob("*"))
    (folder / "stages").write_text("#!/bin/sh\nexit 1\n")  # as `infer` where another one holds its folder
    subprocess.run(["make", f"PY={folder}/stages", "MODEL=mine", "AGAIN=1", "infer"], cwd=folder, check=False)
    assert sorted((folder / "work/mine/results").rglob("*")) == before


@pytest.mark.parametrize(("first", "second"), [(["LIMIT=5"], []), ([], ["LIMIT=5"]), (["LIMIT=5"], ["LIMIT=7"])])
def test_pictures_are_remembered_with_and_without_a_limit(folder, first, second):
    coco = annotated(folder, "coco")
    run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", *first, "eval")
    said = run_all(folder, "MODEL=mine", *second, "eval", "report")
    assert stages(said) == ["preprocess", "infer", "postprocess", "postprocess"]
    assert "--image_src_path coco/val2017 " in said
    assert stages(run_all(folder, "MODEL=mine", *first, "eval")) == ["postprocess"]


def test_reports_are_named_like_the_metrics_they_show(folder):
    coco = annotated(folder, "coco")
    run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", "eval")
    assert "eval_bs8 --output work/mine/report.html " in run_all(folder, "MODEL=mine", "report")
    said = run_all(folder, "MODEL=mine", "LIMIT=5", "report")
    assert "eval_bs8_first5 --output work/mine/report_first5.html " in said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        *((f"LIMIT={value}", f"LIMIT must be how many images to take, 1 or more, got '{value}'")
          for value in ("0", "00", "abc", "-1", "1.5", "1e3")),
        *((f"BS={value}", f"BS must be images per run, 1 or more: .* got '{value}'")
          for value in ("0", "abc", "", "-8", "8,0", "1,,8", ",8", "8,", "1.5", "nan")),
    ],
)  # fmt: skip
def test_a_number_that_is_none_is_refused_before_anything_is_written(folder, given, said):
    before = sorted(folder.rglob("*"))
    coco = "nowhere"
    assert re.search(said, run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", given, "om", "eval"))
    assert [path for path in sorted(folder.rglob("*")) if not path.name.startswith("stages")] == before


@pytest.mark.parametrize("given", ["LIMIT=5", "LIMIT=10", "BS=1", "BS=1,4,8", "BS=16", "BS=20,10"])
def test_numbers_pass(folder, given):
    assert stages(run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", given, "om")) == ["export", "convert"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("BATCH", "BS"), ("LIMT", "LIMIT"), ("limit", "LIMIT"), ("bs", "BS"), ("ANNOTATION", "ANNOTATIONS")],
)
def test_what_the_environment_nearly_says_is_told_and_does_not_stop(folder, monkeypatch, name, meant):
    monkeypatch.setenv(name, "16")
    said = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", "om")
    assert (
        f"{name} of the environment is no variable of this Makefile and changes nothing; did you mean {meant}=?" in said
    )
    assert stages(said) == ["export", "convert"]
    assert "of the environment" not in run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"{meant}=4", "help")


@pytest.mark.parametrize(
    "name", ["DATA", "OUTPUT", "PATHS", "USER", "SHLVL", "IMG", "MODE_OF_X", "BASE", "FORMAT", "SOCK"]
)
def test_the_environment_may_hold_anything_else(folder, monkeypatch, name):
    monkeypatch.setenv(name, "16")
    assert "of the environment" not in run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", "om")


def test_zero_switches_off(folder):
    coco = annotated(folder, "coco")
    run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", "eval")
    assert stages(run_all(folder, "MODEL=mine", "ONLY_ANNOTATED=0", "AGAIN=0", "preprocess")) == []
    assert "--only_annotated" in run_all(folder, "MODEL=mine", "ONLY_ANNOTATED=1", "preprocess")
    said = run_all(folder, "MODEL=mine", "ONLY_ANNOTATED=0", "preprocess")
    assert stages(said) == ["preprocess"]
    assert "--only_annotated" not in said


def test_streaming_leaves_the_same_images_out(folder):
    coco = annotated(folder, "coco")
    said = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", "ONLY_ANNOTATED=1", "stream")
    assert "-m pipeline run " in said
    assert " --only_annotated " in said


def test_stages_are_told_the_variables_that_stand_for_their_options(folder):
    (folder / "tell").write_text('#!/bin/sh\nfor word in $OMLINE_MAKE; do echo "ran $word"; done\n')
    (folder / "tell").chmod(0o755)
    done = subprocess.run(
        ["make", f"PY={folder}/tell", "MODEL=mine", "WEIGHTS=w.pth", "export"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    pairs = [line.split()[1].split(":") for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ["--only_annotated", "ONLY_ANNOTATED=1"] in pairs
    recipes = (ROOT / "Makefile").read_text().split(".DELETE_ON_ERROR:")[1]
    for option, variable in pairs:
        assert option in recipes
        assert f"$({variable.partition('=')[0]})" in recipes or variable == "BACKEND="


@pytest.mark.parametrize(
    ("target", "made"),
    [
        ("export", ["export"]),
        ("om", ["convert"]),
        ("preprocess", ["preprocess"]),
        ("infer", ["infer"]),
    ],
)
def test_again_makes_the_named_product_and_nothing_before_it(folder, target, made):
    coco = annotated(folder, "coco")
    run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", "eval")
    assert stages(run_all(folder, "MODEL=mine", target)) == []
    assert stages(run_all(folder, "MODEL=mine", target, "AGAIN=1")) == made
    after = ["export", "convert", "preprocess", "infer", "postprocess"]
    behind = {"export": after[1:], "om": after[3:], "preprocess": after[3:], "infer": after[4:]}
    assert stages(run_all(folder, "MODEL=mine", "eval")) == behind[target]


def test_the_demo_runs_where_nothing_but_its_om_is(folder):
    (folder / "om_models").mkdir()
    (folder / "om_models" / "demo_bs8.om").touch()
    for file in ("demo/weights/fcos_r18_shapes.pth", "demo/dataset.py", "demo/scene.py"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    coco = annotated(folder, "work/demo/coco")
    assert coco
    said = run_all(folder, "BACKEND=om", "infer", "eval")
    assert stages(said) == ["preprocess", "infer", "postprocess"]
    assert "preprocess --model om_models/demo_bs8.om" in said


def test_only_annotated_images_are_preprocessed_again_until_it_is_taken_back(folder):
    coco = annotated(folder, "coco")
    run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", "eval")
    said = run_all(folder, "MODEL=mine", "ONLY_ANNOTATED=1", "preprocess")
    assert "--only_annotated coco/annotations/instances_val2017.json" in said
    assert stages(run_all(folder, "MODEL=mine", "preprocess")) == []
    assert "--only_annotated" not in run_all(folder, "MODEL=mine", "ONLY_ANNOTATED=", "preprocess")
