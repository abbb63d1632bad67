"""What `make` would do, in a folder that holds the Makefile alone."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

# The one on PATH may be a script that looks for the real one, which takes longer than all else that make does.
FAST = f"PYTHON={sys.executable}"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("MAKELEVEL", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"):  # of the make that runs these tests
        monkeypatch.delenv(name, raising=False)
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "w.pth").touch()
    return tmp_path


def would_run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["make", "--dry-run", "PY=python3", FAST, *arguments], cwd=folder, capture_output=True, text=True, timeout=30
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


def test_the_yaml_of_what_someone_else_exported_goes_with_its_onnx(folder):
    (folder / "atc_configs").mkdir()
    (folder / "atc_configs/theirs.yaml").write_text("name: theirs\ndetector: other\n")
    asked = ("MODEL=theirs", "WEIGHTS=", "ATC=nms=host opset=17", "om")
    assert "work/theirs/theirs.onnx is missing: copy the ONNX of theirs there" in would_run(folder, *asked)
    (folder / "work/theirs").mkdir(parents=True)
    (folder / "work/theirs/theirs.onnx").touch()
    os.utime(folder / "work/theirs/theirs.onnx", (0, 0))  # older than its YAML, of which it was not made
    said = would_run(folder, *asked)
    assert "-m convert --onnx work/theirs/theirs.onnx" in said
    assert "--model theirs --atc 'nms=host' --atc 'opset=17'" in " ".join(said.split())


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
    annotated(folder, f"c{letter}d")
    done = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO=c{letter}d", "preprocess")
    assert f"--image_src_path c{letter}d/val2017 " in done


def test_a_quote_in_a_setting_reaches_the_program(folder):
    assert "--set classes=['yes',\"no\"] " in run_all(
        folder, "MODEL=mine", "WEIGHTS=w.pth", "SET=classes=['yes',\"no\"]", "export"
    )


# Every stage, as a program that leaves its product and says what it was asked.
STAGES = """\
#!/bin/sh
printf ran; printf ' %s' "$@"; printf ' \\n'
of() { wanted=$1; shift; while [ "$1" != "$wanted" ]; do shift; done; value=$2; }
made() { mkdir -p "${1%/*}" && touch "$1"; }
case "$2 $3" in
export*) of --onnx "$@"; made "$value" ;;
convert*) of --output "$@"; case " $* " in *" om "*) made "$value.om" ;; *) made "$value.onnx" ;; esac ;;
preprocess*) of --bin_file_path "$@"; made "$value/manifest.json" ;;
infer*) of --output "$@"; output=$value; of --output_dirname "$@"
    made "$output/${value}_summary.json" && made "$output/$value/$#_0.bin" ;;
"postprocess eval") of --det_results_path "$@"; made "$value/metrics.json" ;;
esac
"""


def write_stages(folder: Path) -> None:
    (folder / "stages").write_text(STAGES)
    (folder / "stages").chmod(0o755)


def run_all(folder: Path, *arguments: str) -> str:
    write_stages(folder)
    done = subprocess.run(
        ["make", f"PY={folder}/stages", FAST, *arguments], cwd=folder, capture_output=True, text=True, timeout=30
    )
    return "".join(
        line + "\n" for line in (done.stdout + done.stderr).splitlines() if line.startswith(("ran", "make", "Make"))
    )


def annotated(folder: Path, name: str) -> str:
    (folder / name / "annotations").mkdir(parents=True)
    (folder / name / "annotations" / "instances_val2017.json").touch()
    (folder / name / "val2017").mkdir()
    return name


def stages(said: str) -> list[str]:
    return [line.split()[2] for line in said.splitlines() if line.startswith("ran")]


def test_images_and_annotations_of_any_name(folder):
    (folder / "truth.json").touch()
    (folder / "photos").mkdir()
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
          for value in ("0", "00", "05", "abc", "-1", "1.5", "1e3")),
        *((f"BS={value}", f"BS must be images per run, 1 or more: .* got '{value}'")
          for value in ("0", "08", "1,08", "abc", "", "-8", "8,0", "1,,8", ",8", "8,", "1.5", "nan")),
        *((f"{name}={value}", f"{name} must be 1 or 0, got '{value}'")
          for name in ("ONLY_ANNOTATED", "RECURSIVE", "AGAIN") for value in ("no", "false", "yes", "2")),
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
    assert ["--recursive", "RECURSIVE=1"] in pairs
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


def test_sub_folders_are_preprocessed_too_until_it_is_taken_back(folder):
    coco = annotated(folder, "coco")
    assert "--recursive" not in run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"COCO={coco}", "RECURSIVE=0", "eval")
    assert " --recursive" in run_all(folder, "MODEL=mine", "RECURSIVE=1", "preprocess")
    assert stages(run_all(folder, "MODEL=mine", "preprocess")) == []
    assert " --recursive " in run_all(folder, "MODEL=mine", "stream")
    said = run_all(folder, "MODEL=mine", "RECURSIVE=0", "preprocess")
    assert stages(said) == ["preprocess"]
    assert "--recursive" not in said


EVERYTHING = ["export", "convert", "preprocess", "infer", "postprocess"]


@pytest.fixture
def made(folder):
    """All products of a model, and nothing to do."""
    annotated(folder, "coco")
    (folder / "coco/val2017/a.jpg").write_text("a")
    assert stages(run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", "COCO=coco", "eval")) == EVERYTHING
    assert stages(run_all(folder, "MODEL=mine", "infer")) == []
    return folder


def older(path: Path, text: str = "other") -> None:
    """Replace a file by one that is older than everything."""
    path.write_text(text)
    os.utime(path, (0, 0))


def same_size_and_date(path: Path) -> None:
    before = path.stat()
    path.write_text("b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("replaced", "made_again"),
    [
        ("w.pth", EVERYTHING),
        ("work/mine/mine.onnx", EVERYTHING),
        ("om_models/mine_bs8.onnx", ["convert", "infer", "postprocess"]),
        ("work/mine/bins/manifest.json", ["preprocess", "infer", "postprocess"]),
        ("work/mine/results/bs8_summary.json", ["infer", "postprocess"]),
        ("coco/annotations/instances_val2017.json", ["preprocess", "infer", "postprocess"]),
        ("coco/val2017/a.jpg", ["preprocess", "infer", "postprocess"]),
        ("coco/val2017/sub/b.jpg", ["preprocess", "infer", "postprocess"]),
    ],
)
def test_what_an_older_file_replaced_is_made_again(made, replaced, made_again):
    (made / replaced).parent.mkdir(exist_ok=True)
    older(made / replaced)
    # Products first: each is made once, whatever else depends on it.
    assert sorted(stages(run_all(made, "MODEL=mine", "eval"))) == sorted(made_again)
    assert stages(run_all(made, "MODEL=mine", "infer")) == []


def test_bins_of_another_run_put_back_with_their_note_are_inferred(made):
    manifest, note = (made / "work/mine/bins" / name for name in ("manifest.json", ".manifest.json.made"))
    was, dates = hashlib.sha256(manifest.read_bytes()).hexdigest(), manifest.stat()
    manifest.write_text("of another run")
    os.utime(manifest, ns=(dates.st_atime_ns, dates.st_mtime_ns))  # before the results
    assert was in note.read_text()
    note.write_text(note.read_text().replace(was, hashlib.sha256(manifest.read_bytes()).hexdigest()))
    assert stages(run_all(made, "MODEL=mine", "infer")) == ["infer"]


def test_a_picture_of_the_same_size_and_date_is_another(made):
    same_size_and_date(made / "coco/val2017/a.jpg")
    assert stages(run_all(made, "MODEL=mine", "infer")) == ["preprocess", "infer"]


def test_a_picture_that_is_gone_is_missed(made):
    (made / "coco/val2017/a.jpg").unlink()
    assert stages(run_all(made, "MODEL=mine", "infer")) == ["preprocess", "infer"]


def test_the_same_bytes_are_the_same_whatever_their_dates(made):
    for name in ("w.pth", "coco/annotations/instances_val2017.json"):
        (made / name).rename(made / "aside")
        shutil.copy2(made / "aside", made / name)  # as rsync -a brings them to another machine
    assert stages(run_all(made, "MODEL=mine", "infer")) == []


def test_what_files_named_in_lists_hold_counts(folder):
    (folder / "names.txt").write_text("a")
    (folder / "keep.txt").write_text("a")
    given = ("MODEL=mine", "WEIGHTS=w.pth", "SET=classes=names.txt", "ATC=keep_dtype=keep.txt", "om")
    assert stages(run_all(folder, *given)) == ["export", "convert"]
    assert stages(run_all(folder, *given)) == []
    older(folder / "keep.txt")
    assert stages(run_all(folder, *given)) == ["convert"]
    older(folder / "names.txt")
    assert stages(run_all(folder, *given)) == ["export", "convert"]


def test_an_older_yaml_and_the_names_that_it_lists_count(folder):
    (folder / "atc_configs").mkdir()
    (folder / "atc_configs/mine.yaml").write_text("classes: names.txt\n")
    (folder / "atc_configs/names.txt").write_text("a")
    given = ("MODEL=mine", "WEIGHTS=w.pth", "export")
    assert stages(run_all(folder, *given)) == ["export"]
    assert stages(run_all(folder, *given)) == []
    older(folder / "atc_configs/names.txt")
    assert stages(run_all(folder, *given)) == ["export"]
    older(folder / "atc_configs/mine.yaml", "classes: coco\n")
    assert stages(run_all(folder, *given)) == ["export"]


def test_pictures_that_were_taken_away_leave_their_bins(made):
    shutil.rmtree(made / "coco/val2017")
    assert stages(run_all(made, "MODEL=mine", "infer")) == []
    said = run_all(made, "MODEL=mine", "AGAIN=1", "preprocess")
    assert stages(said) == []


def test_a_product_without_a_note_is_made_again(made):
    (made / "work/mine/.mine.onnx.made").unlink()
    assert stages(run_all(made, "MODEL=mine", "export")) == ["export"]


def test_an_input_that_changes_meanwhile_is_read_again(folder):
    (folder / "hasty").write_text(f'#!/bin/sh\nexec 9>&1\n{folder}/stages "$@"\necho more >>{folder}/w.pth\n')
    (folder / "hasty").chmod(0o755)
    write_stages(folder)
    arguments = ["make", f"PY={folder}/hasty", "MODEL=mine", "WEIGHTS=w.pth", "export"]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=True)
    assert "work/mine/mine.onnx was made while its inputs (w.pth) changed: the next make makes it again" in done.stderr
    (folder / "w.pth").rename(folder / "aside")
    older(folder / "w.pth")
    assert stages(run_all(folder, *arguments[2:])) == ["export"]


def test_nothing_to_do_is_nothing_to_do_in_a_dry_run_too(made):
    assert "stages" not in would_run(made, "MODEL=mine", "infer")


def test_one_evaluation_for_eval_and_report_at_once(made):
    said = run_all(made, "MODEL=mine", "-j4", "eval", "report")
    assert [line.split()[3] for line in said.splitlines() if line.startswith("ran")] == ["eval", "report"]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.name.startswith("stages"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("WEIGHTS=missing.pth", "WEIGHTS=missing.pth is not there: give the path of the checkpoint file"),
        ("WEIGHTS=coco", "WEIGHTS=coco is no file: give the path of the checkpoint file"),
        ("COCO=missing", "missing/annotations/instances_val2017.json is not there: COCO= is the folder with val2017/"),
        ("ANNOTATIONS=missing.json", "missing.json is not there: COCO= is the folder with val2017/"),
        ("IMAGES=w.pth", "w.pth is no folder: COCO= is the folder with val2017/"),
        ("IMAGES=missing", "missing is no folder: COCO= is the folder with val2017/"),
        ("WORK=w.pth", "WORK=w.pth: w.pth is no folder: give the folder for what is made"),
        ("WORK=w.pth/deeper", "WORK=w.pth/deeper: w.pth is no folder"),
        ("MODEL=", "MODEL= is no name of a model, such as demo: give it without folder and ending"),
        ("MODEL=atc_configs/mine", "MODEL=atc_configs/mine is no name of a model"),
        ("MODEL=mine.yaml", "MODEL=mine.yaml is no name of a model"),
        ("PY=/nowhere", "PY=/nowhere is no program: give a Python 3.11 or later that has the packages of"),
        ("PY=/tmp", "PY=/tmp is no program"),
        ("BS=eight", "BS must be images per run, 1 or more: .* got 'eight'"),
    ],
)
@pytest.mark.parametrize("target", ["export", "eval"])
def test_what_cannot_be_is_one_line_and_leaves_nothing(folder, given, said, target):
    annotated(folder, "coco")
    run_all(folder, "help")
    before = files(folder)
    told = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", "COCO=coco", given, target)
    assert re.search(said, told)
    assert len(told.splitlines()) == 1
    assert files(folder) == before


def test_a_work_folder_that_cannot_be_written_is_named(folder):
    (folder / "locked").mkdir(mode=0o500)
    # Root may write in any folder, but not on every file system.
    place = next(path for path in (folder / "locked", Path("/proc/sys")) if not os.access(path, os.W_OK))
    said = run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", f"WORK={place}/w", "export")
    assert f"WORK={place}/w: {place} cannot be written: have its permissions changed, or give WORK= another" in said


def test_python_is_looked_for_before_an_environment_is_made_of_it(folder):
    done = subprocess.run(
        ["make", "PYTHON=/nowhere", "MODEL=mine", "WEIGHTS=w.pth", "export"], cwd=folder, capture_output=True, text=True
    )
    assert "PYTHON=/nowhere is no program: give a Python 3.11 or later" in done.stderr
    assert not (folder / ".venv").exists()


def test_the_environment_that_make_setup_made_serves(folder):
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / "requirements.lock").touch()
    (folder / ".venv/.ready").touch()
    command = ["make", "MODEL=mine", "WEIGHTS=w.pth", "-n", "export"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert "PY=.venv/bin/python is no program: give a Python 3.11 or later" in done.stderr
    (folder / ".venv/bin/python").symlink_to(sys.executable)
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ".venv/bin/python -m export --set name=mine" in done.stdout


# A Python of which only the options are seen: what it makes an environment of, and what pip is told.
SEEN = """\
#!/bin/sh
echo "$@" >>{log}
case "$*" in
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
*freeze*) printf "numpy==2.0\\nsetuptools==84.2\\ntorch==2.13.0+cpu\\nyarl==1.0\\n" ;;
esac
"""


@pytest.fixture
def seen(folder):
    """A Python as above; what it was asked is in `log`."""
    (folder / "seen").write_text(SEEN.format(log=folder / "log"))
    (folder / "seen").chmod(0o755)
    (folder / "requirements.lock").write_text("# Exact versions\n# of Python 3.11\ntorch==2.12.0\nnumpy==1.0\n")
    (folder / "pyproject.toml").write_text('export = ["torch==2.13.0", "onnxscript"]\n')
    return folder


def asked(folder: Path, *arguments: str) -> "tuple[subprocess.CompletedProcess[str], list[str]]":
    (folder / "log").unlink(missing_ok=True)
    line = ["make", f"PYTHON={folder}/seen", *arguments]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
    lines = (folder / "log").read_text().splitlines() if (folder / "log").exists() else []
    return done, [line for line in lines if not line.startswith(("-c", "-I"))]


def test_setup_installs_torch_first_and_again_when_the_lock_is_newer(seen):
    pip = "-m pip install --quiet --disable-pip-version-check"
    everything = ["-m venv .venv", f"{pip} torch==2.12.0", f"{pip} -r requirements.lock"]
    assert asked(seen, "setup")[1] == everything
    assert asked(seen, "setup")[1] == []
    os.utime(seen / ".venv/.ready", (0, 0))
    assert asked(seen, "setup")[1] == everything


@pytest.mark.parametrize("ready", [True, False])
def test_nothing_is_installed_through_a_link(seen, tmp_path_factory, ready):
    theirs = tmp_path_factory.mktemp("theirs")
    (theirs / "bin").mkdir()
    shutil.copy(seen / "seen", theirs / "bin/python")
    if ready:
        (theirs / ".ready").touch()
        os.utime(theirs / ".ready", (0, 0))
    (seen / ".venv").symlink_to(theirs)
    done, lines = asked(seen, "setup")
    assert (done.returncode, lines, done.stdout) == (0, [], "")
    assert done.stderr == (
        f".venv leads to {theirs}, which may lack what requirements.lock has: taken as it is; for one of your own "
        "rm .venv, then make setup\n"
    )
    assert asked(seen, "inspect", "WEIGHTS=w.pth")[1] == ["-m export inspect w.pth"]
    assert sorted(path.name for path in theirs.iterdir()) == [".ready", "bin"][not ready :]


def test_a_link_to_no_environment_is_an_error(seen):
    (seen / ".venv").symlink_to("gone")
    done, lines = asked(seen, "setup")
    assert (done.returncode, lines) == (2, [])
    assert "error: .venv leads to gone, which is no environment: remove the link (rm .venv), then make" in done.stderr


def test_lock_takes_the_versions_of_a_fresh_environment(seen):
    (seen / ".venv").symlink_to("somebody_else_s")
    done, lines = asked(seen, "lock")
    assert done.returncode == 0, done.stderr
    assert (seen / "requirements.lock").read_text() == (
        "# Exact versions\n# of Python 3.11\ntorch==2.13.0\nnumpy==2.0\nsetuptools==84.2\nyarl==1.0\n"
    )
    fresh = Path(lines[0].removeprefix("-m venv "))
    assert fresh.is_absolute()
    assert not fresh.exists()
    assert [line.split()[-1] for line in lines[1:3]] == ["torch==2.13.0", ".[export,cpu,dev]"]


def test_a_lock_that_cannot_be_made_leaves_the_one_there_is(seen):
    before = (seen / "requirements.lock").read_text()
    (seen / "seen").write_text((seen / "seen").read_text().replace("*freeze*)", "*freeze*) exit 1;;\nnever)"))
    assert asked(seen, "lock")[0].returncode == 2
    assert (seen / "requirements.lock").read_text() == before


@pytest.mark.parametrize(("refused", "code"), [("none", 0), ("format", 2), ("mypy", 2), ("pytest", 2)])
def test_check_fails_where_one_of_its_programs_does(folder, refused, code):
    (folder / "tool").write_text(f'#!/bin/sh\necho "ran $*"\ncase "$*" in *{refused}*) exit 1; esac\n')
    (folder / "tool").chmod(0o755)
    done = subprocess.run(["make", f"PY={folder}/tool", FAST, "check"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == code
    assert ("mypy found what is to be mended" in done.stderr) == (refused == "mypy")
    started = ["-m ruff format --check .", "-m ruff check .", "-m mypy", "-m pytest -q"]
    assert all(f"ran {line}" in done.stdout for line in started[: 1 if refused == "format" else None])


def test_a_program_that_makes_nothing_is_found_out(folder):
    done = subprocess.run(
        ["make", "PY=true", "MODEL=mine", "WEIGHTS=w.pth", "export"], cwd=folder, capture_output=True, text=True
    )
    assert "work/mine/mine.onnx was not made: is PY= a Python that has the packages" in done.stderr
    assert files(folder) == ["Makefile", "w.pth"]


@pytest.mark.parametrize(
    ("target", "meant"), [("exprot", "export"), ("convert", "om"), ("evaluate", "eval"), ("xyzzy", None)]
)
def test_an_unknown_target_is_refused_with_the_nearest(folder, target, meant):
    hint = f"; did you mean make {meant}" if meant else ""
    assert f"{target} is no target{hint}; make help lists them" in run_all(folder, target)


@pytest.mark.parametrize("stage", ["export", "convert", "preprocess"])
def test_what_a_stage_refuses_leaves_nothing_of_it(folder, stage):
    annotated(folder, "coco")
    (folder / "refuse").write_text(f'#!/bin/sh\n[ "$2" != {stage} ] || exit 1\nexec {folder}/stages "$@"\n')
    (folder / "refuse").chmod(0o755)
    run_all(folder, "help")
    given = ["MODEL=mine", "WEIGHTS=w.pth", "COCO=coco", "BS=8,8"]
    before = ["export", "om", "preprocess"][: ["export", "convert", "preprocess"].index(stage)]
    for target in before:
        run_all(folder, *given, target)
    expected = files(folder)
    subprocess.run(["make", f"PY={folder}/refuse", *given, "AGAIN=1", "eval"], cwd=folder, capture_output=True)
    assert files(folder) == expected


def test_from_another_folder_it_says_where_to_go(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    command = ["make", "-f", str(folder / "Makefile"), "om"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
    assert f"this Makefile works in its own folder: make -C {folder} om" in done.stderr
    command = ["make", "-C", str(folder), "-n", "PY=python3", "MODEL=mine", "WEIGHTS=w.pth", "om"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
    assert "-m convert --onnx work/mine/mine.onnx" in done.stdout


def test_without_a_target_it_helps(folder):
    done = subprocess.run(["make"], cwd=folder, capture_output=True, text=True, check=True)
    assert "MODEL=demo" in done.stdout
    assert files(folder) == ["Makefile", "w.pth"]


def test_given_last_is_remembered_though_nothing_is_made(folder):
    for coco in ("first", "second"):
        annotated(folder, coco)
    run_all(folder, "MODEL=mine", "WEIGHTS=w.pth", "COCO=first", "LIMIT=5", "preprocess")
    run_all(folder, "MODEL=mine", "COCO=second", "preprocess")
    assert stages(run_all(folder, "MODEL=mine", "COCO=first", "LIMIT=5", "preprocess")) == []
    assert "--image_src_path first/val2017 " in run_all(folder, "MODEL=mine", "preprocess")


@pytest.mark.parametrize("work", [[], ["WORK=elsewhere"], ["WORK=elsewhere/"], ["WORK=./a/b"]])
def test_clean_removes_what_was_made_for_every_model_and_batch(folder, work):
    annotated(folder, "coco")
    run_all(folder, "help")
    before = files(folder)
    for model, batch in (("mine", "8"), ("mine", "1,4"), ("other", "8")):
        given = (f"MODEL={model}", f"BS={batch}", "WEIGHTS=w.pth", "COCO=coco", *work)
        run_all(folder, *given, "eval")
        run_all(folder, *given, "LIMIT=5", "eval")
    run_all(folder, *work, "clean")
    assert [path for path in files(folder) if path not in (*before, "om_models", "a")] == []


def test_clean_leaves_what_make_did_not_make(made):
    annotated(made, "home/photos")
    kept = made / "home/mine/notes.txt"
    run_all(made, "MODEL=mine", "WEIGHTS=w.pth", "COCO=coco", "WORK=home", "eval")
    kept.write_text("mine")
    done = subprocess.run(["make", "WORK=home", "clean"], cwd=made, capture_output=True, text=True, check=True)
    assert "home/mine/ holds what make did not make: left" in done.stdout
    assert files(made / "home/mine") == ["notes.txt"]
    assert (made / "home/photos/val2017").is_dir()
    assert (made / "work/mine/mine.onnx").exists()
