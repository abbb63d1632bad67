"""The spec: what is accepted, how a mistake is told, where it is read from."""

import json
from pathlib import Path

import onnx
import pytest

from detector.coco import COCO_CATEGORIES, COCO_CLASSES
from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.spec import DetectorSpec, replace
from detector.spec_files import METADATA_KEY, find_spec_onnx, load_spec, model_names

YAML = """\
detector: fcos
canvas: [64, 96]
image: {channels: BGR, mean: [1, 2, 3], std: [1, 1, 1]}
classes: [a, b]
"""


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def onnx_with(folder: Path, metadata: dict[str, str]) -> Path:
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []))
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, str(folder / "m.onnx"))
    return folder / "m.onnx"


@pytest.mark.parametrize("name", model_names())
def test_every_shipped_model_loads(name: str):
    assert load_spec(name).name == name


def test_a_yaml_file_is_named_after_its_file(tmp_path: Path):
    spec = load_spec(write(tmp_path, YAML))
    assert (spec.name, spec.canvas, spec.classes) == ("mine", Size(64, 96), ("a", "b"))


def test_coco_stands_for_its_80_classes(tmp_path: Path):
    assert load_spec(write(tmp_path, YAML.replace("[a, b]", "coco"))).classes == COCO_CLASSES
    assert len(COCO_CLASSES) == 80


def test_coco_ids_are_the_official_ones():
    assert len(dict(COCO_CATEGORIES)) == 80
    ids = {name: category_id for category_id, name in COCO_CATEGORIES}
    assert (ids["person"], ids["stop sign"], ids["toothbrush"]) == (1, 13, 90)


# What is written instead of a part of the YAML above, and all that must be said about it after the path.
MISTAKES = [
    ("canvas", "canvass", r":2: unknown key 'canvass'; did you mean 'canvas'\?$"),
    (
        "canvas: [64, 96]",
        "canvass: 1\nclases: 2",
        r":2: unknown key 'canvass'; did you mean 'canvas'\? \(and 1 more\)$",
    ),
    ("detector", "detectr", r":1: unknown key 'detectr'; did you mean 'detector'\?$"),
    ("mean:", "maen:", r":3: unknown key 'image\.maen'; did you mean 'mean'\?$"),
    ("std: [1, 1, 1]", "std: [1, 1, 1], shrt: 3", r":3: unknown key 'image\.shrt'; did you mean 'short'\?$"),
    ("classes", "short: 3\nclasses", r":4: unknown key 'short'; did you mean 'image\.short'\?$"),
    ("std: [1, 1, 1]", "std: [1, 1, 1], name: x", r":3: unknown key 'image\.name'; did you mean 'name'\?$"),
    ("classes", "qqq: 3\nclasses", r":4: unknown key 'qqq'$"),
    ("canvas: [64, 96]\n", "", r":1: key 'canvas' is missing$"),
    ("canvas: [64, 96]\nimage", "image", r":1: key 'canvas' is missing$"),
    ("{channels: BGR, ", "\n  {", r":3: key 'image\.channels' is missing$"),
    ("{channels: BGR, mean: [1, 2, 3], ", "{", r":3: key 'image\.channels' is missing \(and 1 more\)$"),
    ("std: [1, 1, 1]", "std: [1, 0, 1]", r":3: image\.std: must be positive, got \[1\.0, 0\.0, 1\.0\]$"),
    ("std: [1, 1, 1]", "std: [57.12, 57.375]", r":3: image\.std: expected 3 values, got 2$"),
    ("std: [1, 1, 1]", "std: []", r":3: image\.std: expected 3 values, got 0$"),
    ("std: [1, 1, 1]", "std: [1, 1, 1, 1]", r":3: image\.std: expected 3 values, got 4$"),
    ("std: [1, 1, 1]", "std: [1,\n 1,\n x]", r":5: image\.std\.2: Input should be a valid number.*, got 'x'$"),
    ("[64, 96]", "[64]", r":2: canvas: expected 2 values, got 1$"),
    ("[64, 96]", "[64, 96, 3]", r":2: canvas: expected 2 values, got 3$"),
    ("[64, 96]", "[16, 96]", r":2: canvas: height and width must be in 32\.\.16384, got 16x96$"),
    ("[64, 96]", "64", r":2: canvas: .*got '64'$"),
    ("BGR", "GBR", r":3: image\.channels: Input should be 'BGR' or 'RGB', got 'GBR'$"),
    ("fcos", "yolo", r":1: detector: Input should be .*'fcos'.*, got 'yolo'$"),
    ("[a, b]", "[a, a]", r":4: classes: 'a' is listed twice$"),
    ("[a, b]", "[]", r":4: classes: expected at least 1 value\(s\), got 0$"),
    ("[a, b]", "[a, b]\ncategory_ids: [1]", r":5: category_ids: has 1 entries, classes has 2$"),
    ("[a, b]", "[a, b]\ncategory_ids: [1, 1]", r":5: category_ids: an id is listed twice$"),
    ("[a, b]", "[a, b]\ndecode:\n  max_detections: 2000", r":6: decode\.max_detections: .*1000, got '2000'$"),
    ("[a, b]", "[a, b]\ndecode: {score_threshold: .nan}", r":5: decode\.score_threshold: .*finite number"),
    (
        "[a, b]",
        "[a, b]\nreferences:\n- ap: 1\n  sha256: x",
        r":6: key 'references\.0\.checkpoint' is missing \(and 2 more\)$",
    ),
    ("[a, b]", "[a, b]\nname: a b", r":5: name: .*got 'a b'$"),
    ("[a, b]", "[a, b]\ncanvas: [32, 32]", r":5: key 'canvas' is given twice, first in line 2$"),
    ("std: [1", "std: [2, 2, 2],\n std: [1", r":4: key 'image\.std' is given twice, first in line 3$"),
    (
        "[a, b]",
        "[a, b]\nreferences:\n- {ap: 1, ap: 2}",
        r":6: key 'references\.0\.ap' is given twice, first in line 6$",
    ),
    ("[a, b]", "[a, b", r":5: not YAML: expected ',' or '\]', but got '<stream end>'$"),
    ("[a, b]", "\x00", r": not YAML: .*special characters"),
    ("[a, b]", "2020-13-45", r": not YAML: month must be in 1\.\.12$"),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[repr(new) for _, new, _ in MISTAKES])
def test_a_mistake_is_told_with_its_file_and_line(tmp_path: Path, old: str, new: str, message: str):
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(write(tmp_path, YAML.replace(old, new, 1)))
    assert str(caught.value).startswith(f"{tmp_path / 'mine.yaml'}:")
    assert "\n" not in str(caught.value)


MERGED = YAML.replace("image: {", "image:\n  <<: &plain {std: [2, 2, 2]}\n  ").replace("R, mean", "R\n  mean")


def test_a_merged_key_is_no_twin(tmp_path: Path):
    text = MERGED.replace("], std", "]\n  std").replace("1]}", "1]")
    assert load_spec(write(tmp_path, text)).image.std == (1, 1, 1)
    with pytest.raises(SpecError, match=r":7: image\.std: expected 3 values, got 1$"):
        load_spec(write(tmp_path, text.replace("[1, 1, 1]", "[1]")))


def test_a_yaml_that_holds_itself_ends(tmp_path: Path):
    with pytest.raises(SpecError, match=r":5: network\.x\."):
        load_spec(write(tmp_path, YAML + "network: &n {x: *n}"))


@pytest.mark.parametrize("name", ["UP.YAML", "UP.Yml"])
def test_a_suffix_counts_in_any_case(tmp_path: Path, name: str):
    assert load_spec(write(tmp_path, YAML, name)).name == "UP"


def test_a_file_name_that_is_no_model_name(tmp_path: Path):
    with pytest.raises(SpecError, match=r"my model\.yaml: file name 'my model' is no model name .*set `name:` in the"):
        load_spec(write(tmp_path, YAML, "my model.yaml"))
    assert load_spec(write(tmp_path, YAML + "name: mine", "my model.yaml")).name == "mine"
    with pytest.raises(SpecError, match=r":5: unknown key 'nme'; did you mean 'name'\? \(and 1 more\)$"):
        load_spec(write(tmp_path, YAML + "nme: mine", "my model.yaml"))


def test_a_yaml_of_something_else(tmp_path: Path):
    with pytest.raises(SpecError, match="expected a mapping of keys to values, got list"):
        load_spec(write(tmp_path, "- 1"))


def test_a_mistyped_model_name_gets_the_nearest():
    with pytest.raises(
        SpecError, match=r"unknown model 'fcos_r50_cafe_fpn_1x'; did you mean 'fcos_r50_caffe_fpn_1x'\?"
    ):
        load_spec("fcos_r50_cafe_fpn_1x")


@pytest.mark.parametrize("name", ["none.yaml", "none.onnx", "none.json"])
def test_a_missing_file(tmp_path: Path, name: str):
    with pytest.raises(ArtifactError, match=rf"{name} not found"):
        load_spec(tmp_path / name)


def test_an_om_carries_its_spec_beside_it(tmp_path: Path, spec: DetectorSpec):
    om = tmp_path / "m_bs8.om"
    with pytest.raises(ArtifactError, match=r"m_bs8\.om\.json not found: .* carries no spec; convert it with"):
        load_spec(om)
    Path(f"{om}.json").write_text(json.dumps({"spec": spec.model_dump(mode="json"), "batch_size": 8}))
    assert load_spec(om) == spec


@pytest.mark.parametrize("text", ["{", "[]", '{"batch_size": 8}'])
def test_a_damaged_file_beside_an_om(tmp_path: Path, text: str):
    with pytest.raises(ArtifactError, match=r"m\.json holds no spec"):
        load_spec(write(tmp_path, text, "m.json"))


def test_an_onnx_file_carries_its_spec_inside(tmp_path: Path, spec: DetectorSpec):
    path = onnx_with(tmp_path, {METADATA_KEY: spec.model_dump_json(), "other": "x"})
    assert load_spec(path) == spec


def test_an_onnx_file_without_a_spec(tmp_path: Path):
    path = onnx_with(tmp_path, {"other": "x"})
    assert find_spec_onnx(path) is None
    with pytest.raises(ArtifactError, match=r"carries no spec \(metadata 'omline.spec'\): export it"):
        load_spec(path)


def test_an_onnx_file_with_a_damaged_spec(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"m\.onnx: its metadata 'omline\.spec' is not JSON"):
        load_spec(onnx_with(tmp_path, {METADATA_KEY: "{"}))


def test_a_truncated_onnx_file(tmp_path: Path, spec: DetectorSpec):
    path = onnx_with(tmp_path, {METADATA_KEY: spec.model_dump_json()})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ArtifactError, match="is not an ONNX file or is truncated"):
        load_spec(path)


def test_a_spec_survives_json(spec: DetectorSpec):
    assert DetectorSpec.model_validate_json(spec.model_dump_json()) == spec


def test_tensors_have_shapes_and_sizes(spec: DetectorSpec):
    labels, dets = spec.outputs
    assert (spec.input.shape, spec.input.num_bytes) == ((3, 64, 96), 3 * 64 * 96 * 4)
    assert (labels.shape, labels.dtype, labels.num_bytes) == ((10,), "int64", 80)
    assert (dets.shape, dets.dtype, dets.num_bytes) == ((10, 5), "float32", 200)
    assert str(dets) == "'dets' [10, 5] float32"


def test_a_copy_is_validated(spec: DetectorSpec):
    assert spec.with_canvas(Size(128, 96)).canvas == (128, 96)
    with pytest.raises(SpecError, match="tiny: canvas: height and width"):
        spec.with_canvas(Size(8, 96))
    with pytest.raises(SpecError, match="unknown key 'canvs'; did you mean 'canvas'"):
        replace(spec, canvs=Size(64, 96))


def test_only_what_decides_a_bin_decides_its_fingerprint(spec: DetectorSpec):
    same = replace(spec, name="other", classes=("x",), decode={"score_threshold": 0.5})
    assert same.bins_fingerprint() == spec.bins_fingerprint()
    assert spec.with_canvas(Size(96, 64)).bins_fingerprint() != spec.bins_fingerprint()


def with_image(spec: DetectorSpec, **changes: object) -> DetectorSpec:
    return replace(spec, image={**spec.image.model_dump(), **changes})


@pytest.mark.parametrize("change", [{"channels": "BGR"}, {"mean": (0, 0, 0)}, {"resize": "modelzoo"}, {"short": 50}])
def test_preprocessing_decides_the_fingerprint(spec: DetectorSpec, change: dict):
    assert with_image(spec, **change).bins_fingerprint() != spec.bins_fingerprint()


def test_bounds_that_modelzoo_does_not_know_do_not(spec: DetectorSpec):
    plain = with_image(spec, resize="modelzoo")
    assert with_image(plain, short=50, long=90).bins_fingerprint() == plain.bins_fingerprint()


def test_the_letterbox_follows_the_spec(spec: DetectorSpec):
    box = with_image(spec, short=30).letterbox(Size(60, 80))
    assert (box.canvas, box.resized) == ((64, 96), (30, 40))


def test_an_input_of_bytes_has_its_channels_last(spec: DetectorSpec):
    tensor = with_image(spec, dtype="uint8").input
    assert (tensor.shape, tensor.dtype, tensor.num_bytes) == ((64, 96, 3), "uint8", 64 * 96 * 3)


def test_bytes_do_not_depend_on_what_normalizes_them(spec: DetectorSpec):
    plain = with_image(spec, dtype="uint8")
    assert plain.bins_fingerprint() != spec.bins_fingerprint()
    assert with_image(plain, std=[1.0, 1.0, 1.0]).bins_fingerprint() == plain.bins_fingerprint()
    assert with_image(plain, mean=[120.1, 115.0, 100.0]).bins_fingerprint() == plain.bins_fingerprint()
    assert with_image(plain, mean=[121.0, 115.0, 100.0]).bins_fingerprint() != plain.bins_fingerprint()
