import re
from pathlib import Path
from typing import Any

import onnx
import pytest

from detector.errors import ArtifactError, SpecError
from detector.onnx_files.read_write import METADATA_KEY, embed_spec
from detector.spec import DetectorSpec
from detector.spec.settings import Settings
from detector.spec_files import load_spec, model_names, read_settings

DEFAULTS: dict[str, Any] = {
    "name": "theirs",
    "detector": "fcos",
    "canvas": (800, 1344),
    "image": {"channels": "BGR", "mean": (1.0, 2.0, 3.0), "std": (1.0, 1.0, 1.0), "short": 800, "long": 1333},
    "decode": {"iou_threshold": 0.6},
    "classes": ("x", "y"),
}


def given(*assignments: str) -> dict[str, Any]:
    return dict(Settings({}).override(assignments).document)


@pytest.mark.parametrize(
    ("assignment", "value"),
    [
        ("network.style=caffe", {"network": {"style": "caffe"}}),
        ("network.norm_on_bbox=true", {"network": {"norm_on_bbox": True}}),
        ("network.norm_groups=16", {"network": {"norm_groups": 16}}),
        ("network.bn_eps=0.001", {"network": {"bn_eps": 0.001}}),
        ("classes=[a, b]", {"classes": ["a", "b"]}),
        ("image.mean=[1, 2.5, 3]", {"image": {"mean": [1, 2.5, 3]}}),
        ("decode={iou_threshold: 0.5}", {"decode": {"iou_threshold": 0.5}}),
        ("name=a=b", {"name": "a=b"}),
        ("name='12'", {"name": "12"}),
        ("image.short=", {"image": {"short": None}}),
    ],
)
def test_values_are_read_as_in_yaml(assignment: str, value: dict[str, Any]):
    assert given(assignment) == value


def test_keys_are_set_one_by_one():
    assert given("image.short=640", "image.long=640", "name=a", "name=a") == {
        "image": {"short": 640, "long": 640},
        "name": "a",
    }


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("name=a", "name=b", "name"),
        ("image.short=640", "image.short=800", "image.short"),
        ("image={short: 640, long: 9}", "image.short=800", "image.short"),
        ("image.short=640", "image={short: 800}", "image.short"),
        ("image.short=640", "image=", "image"),
        ("classes=[a]", "classes=[b]", "classes"),
    ],
)
def test_a_key_has_one_value(first: str, second: str, key: str):
    problem = re.escape(f"--set {second}: the key {key!r} was given another value before; give it once")
    with pytest.raises(SpecError, match=f"^{problem}$"):
        given(first, second)
    with pytest.raises(SpecError, match=f"^{problem}$"):
        Settings({"name": "c"}).override([first]).override([second])


def test_keys_of_a_part_are_told_as_they_were_given():
    settings = Settings({}).override(["log=info"], option="--atc", part="atc")
    assert settings.document == {"atc": {"log": "info"}}
    with pytest.raises(SpecError, match=r"^--atc log=debug: the key 'atc\.log' was given another value before"):
        settings.override(["log=debug"], option="--atc", part="atc")
    with pytest.raises(SpecError, match=r"^--atc log: expected KEY=VALUE, such as log=info$"):
        settings.override(["log"], option="--atc", part="atc")
    with pytest.raises(SpecError, match=r"^--atc no=1: unknown key 'atc\.no'"):
        settings.override(["no=1"], option="--atc", part="atc").spec(DEFAULTS)


def test_the_settings_before_stay_as_they_were():
    before = Settings({"image": {"short": 800}})
    assert before.override(["image.short=640"]).document == {"image": {"short": 640}}
    assert before.document == {"image": {"short": 800}}


@pytest.mark.parametrize("assignment", ["network", "=3", "network.=3", ".style=caffe", "network..style=caffe", ""])
def test_other_forms_are_errors(assignment: str):
    with pytest.raises(SpecError, match=r"--set .*: expected KEY=VALUE, such as network\.style=caffe"):
        given(assignment)


def test_a_value_that_is_no_yaml_is_an_error():
    with pytest.raises(SpecError, match=r"--set classes=\[a, b: not YAML"):
        given("classes=[a, b")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("image=3", "image: .*got '3'"),
        ("network=[1]", "network: .*got '\\[1\\]'"),
        ("decode=fast", "decode: .*got 'fast'"),
        ("image.mean.red=3", "image.mean"),
        ("image.mean=[1, 2]", r"image\.mean: expected 3 values, got 2"),
        ("network.style=[1]", "network: style must be a number, a truth value, or a text"),
        ("canvas=800", "canvas"),
    ],
)
def test_parts_of_another_kind_are_errors(assignment: str, message: str):
    with pytest.raises(SpecError, match=message):
        Settings({}).override([assignment]).spec(DEFAULTS)


@pytest.mark.parametrize("part", ["image: 3", "image: [1]", "image:"])
def test_a_part_that_is_no_mapping_is_replaced_by_one(tmp_path: Path, part: str):
    path = tmp_path / "mine.yaml"
    path.write_text(part)
    assert read_settings(path).override(["image.short=640"]).document["image"] == {"short": 640}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image: 3\n", r"mine\.yaml:1: image: "),
        ("name: a\nnetwork: [1]\n", r"mine\.yaml:2: network: "),
        ("name: a\nclases: [a, b]\n", r"mine\.yaml:2: unknown key 'clases'; did you mean 'classes'"),
        ("decode:\n  iou: 0.5\n", r"mine\.yaml:2: unknown key 'decode\.iou'"),
        ("decode:\n\n  iou_treshold: 0.5\n", r"mine\.yaml:3: unknown key .*; did you mean 'iou_threshold'"),
        ("classes: [a, a]\n", r"mine\.yaml:1: classes: 'a' is listed twice"),
        ("image:\n  std: [0, 1, 1]\n", r"mine\.yaml:2: image\.std: must be positive"),
    ],
)
def test_what_a_file_says_wrongly_has_its_line(tmp_path: Path, text: str, message: str):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        read_settings(path).spec(DEFAULTS)


def test_what_was_set_wrongly_has_no_line_of_the_file(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("canvas: [64, 96]\n")
    for assignment, said in (
        ("canvas=[1,2]", "canvas: height and width"),
        ("atc.nosuch=1", "unknown key 'atc.nosuch'"),
        ("nosuch.key=1", "unknown key 'nosuch'"),
        ("class=[a]", "unknown key 'class'; did you mean 'classes'?"),
        ("decode.iou_threshold.x=1", "decode.iou_threshold: Input should be a valid number"),
        ("decode.nms=diou_plus_one", "decode: nms 'diou_plus_one' compares every two candidates"),
        ("decode={iou: 1}", "unknown key 'decode.iou'"),
    ):
        with pytest.raises(SpecError, match=f"^{re.escape(f'--set {assignment}: {said}')}"):
            read_settings(path).override(["image.short=8", assignment]).spec(DEFAULTS)


def test_what_the_file_says_wrongly_is_no_fault_of_what_was_set(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: a\ndecode:\n  nms: diou_plus_one\n")
    with pytest.raises(SpecError, match=r"mine\.yaml:2: decode: nms 'diou_plus_one' compares"):
        read_settings(path).override(["decode.max_detections=5"]).spec(DEFAULTS)
    path.write_text("name: a\nclases: [b]\n")
    with pytest.raises(SpecError, match=r"mine\.yaml:2: unknown key 'clases'"):
        read_settings(path).override(["class=[a]"]).spec(DEFAULTS)


def test_a_misspelt_key_is_found_before_what_it_stands_for_is_missed():
    settings = Settings({}).override(["class=[a]"])
    with pytest.raises(SpecError, match=r"^--set class=\[a\]: unknown key 'class'; did you mean 'classes'\?$"):
        settings.require_known_keys(DEFAULTS)
    Settings({"canvas": 3}).require_known_keys(DEFAULTS)  # wrong, and for others to say


def test_a_sparse_file_is_completed(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("classes: [a, b]\n")
    spec = read_settings(path).spec(DEFAULTS)
    assert (spec.name, spec.classes, spec.decode.iou_threshold) == ("mine", ("a", "b"), 0.6)
    assert spec.image.mean == (1, 2, 3)


def test_parts_are_completed_key_by_key():
    spec = Settings({"image": {"short": 640}}).spec(DEFAULTS)
    assert (spec.image.short, spec.image.long, spec.image.channels) == (640, 1333, "BGR")


def test_nothing_is_taken_from_nowhere():
    with pytest.raises(SpecError, match="key 'detector' is missing"):
        Settings({"name": "a"}).spec()


def test_a_file_name_that_is_no_model_name(tmp_path: Path):
    path = tmp_path / "my model.yaml"
    path.write_text("classes: [a, b]\n")
    with pytest.raises(SpecError, match=r"file name 'my model' is no model name .*: set `name:` in the file"):
        read_settings(path).spec(DEFAULTS)


def test_models_by_name():
    name = model_names()[0]
    assert load_spec(name).name == name
    with pytest.raises(SpecError, match=rf"unknown model '{name}x'; did you mean '{name}'"):
        read_settings(f"{name}x")


def test_an_artifacts_spec_is_settings_too(tmp_path: Path):
    spec = DetectorSpec.model_validate(DEFAULTS)
    path = tmp_path / "model.om.json"
    path.write_text(f'{{"spec": {spec.model_dump_json(exclude_unset=True)}}}')
    assert read_settings(path).override(["name=mine"]).spec().name == "mine"


@pytest.mark.parametrize("name", ["nowhere.yaml", "nowhere.json", "nowhere.onnx", "nowhere.om"])
def test_files_that_are_not_there(tmp_path: Path, name: str):
    with pytest.raises(ArtifactError, match="not found"):
        read_settings(tmp_path / name)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 50000, "holds no spec: not taken: nested too deeply"),
        ("[1]", "holds no spec: it has no key 'spec'"),
        ('{"spec": {}, "spec": {}}', "holds no spec: not taken: the key 'spec' is given twice in one object"),
        ("{", "holds no spec: not JSON, perhaps truncated"),
    ],
    ids=["deep", "list", "twice", "half"],
)
def test_a_damaged_sidecar_is_one_line(tmp_path: Path, text: str, problem: str):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ArtifactError, match=problem):
        load_spec(tmp_path / "a.json")


def test_two_specs_in_one_onnx_file_are_refused(tmp_path: Path, canonical: onnx.ModelProto, spec: DetectorSpec):
    embed_spec(canonical, spec)
    canonical.metadata_props.add(key=METADATA_KEY, value=canonical.metadata_props[0].value)
    onnx.save(canonical, tmp_path / "a.onnx")
    with pytest.raises(ArtifactError, match=r"a\.onnx carries 2 specs \(metadata 'omline\.spec'\): make it again"):
        load_spec(tmp_path / "a.onnx")


def test_an_assignment_of_several_lines_is_told_in_one():
    with pytest.raises(SpecError, match=r"^--set classes=\\n\[:2: not YAML: [^\n]*$"):
        Settings({}).override(["classes=\n["])
