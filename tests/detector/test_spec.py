"""The spec: what is accepted, how a mistake is told, where it is read from."""

import json
from pathlib import Path

import onnx
import pytest

from detector.coco import COCO_CATEGORIES, COCO_CLASSES
from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.spec import (
    METADATA_KEY,
    DetectorSpec,
    category_id_of,
    find_spec_onnx,
    load_spec,
    model_names,
    replace,
)

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
    ids = category_id_of()
    assert (ids["person"], ids["stop sign"], ids["toothbrush"]) == (1, 13, 90)


# What is written instead of a line of the YAML above, and what must be said about it.
MISTAKES = [
    (
        "detector",
        "detectr",
        r"mine\.yaml: .*unknown key 'detectr'; did you mean 'detector'\?|key 'detector' is missing",
    ),
    ("mean:", "maen:", r"key 'image\.mean' is missing \(and 1 more\)|unknown key 'image\.maen'"),
    ("std: [1, 1, 1]", "std: [1, 1, 1], shrt: 3", r"unknown key 'image\.shrt'; did you mean 'short'\?"),
    ("std: [1, 1, 1]", "std: [1, 0, 1]", r"image\.std: must be positive, got \[1\.0, 0\.0, 1\.0\]$"),
    ("[64, 96]", "[16, 96]", r"canvas: height and width must be in 32\.\.16384, got 16x96$"),
    ("[64, 96]", "64", r"canvas: .*got '64'"),
    ("BGR", "GBR", r"image\.channels: Input should be 'BGR' or 'RGB', got 'GBR'"),
    ("fcos", "yolo", r"detector: Input should be .*'fcos'.*, got 'yolo'"),
    ("[a, b]", "[a, a]", r"'a' is listed twice"),
    ("[a, b]", "[]", r"classes: .*got '\[\]'"),
    ("[a, b]", "[a, b]\ncategory_ids: [1]", r"category_ids has 1 entries, classes has 2"),
    ("[a, b]", "[a, b]\ncategory_ids: [1, 1]", r"category_ids: an id is listed twice"),
    ("[a, b]", "[a, b]\ndecode: {max_detections: 2000}", r"decode\.max_detections: .*1000, got '2000'"),
    ("[a, b]", "[a, b]\ndecode: {score_threshold: .nan}", r"decode\.score_threshold: .*finite number"),
    ("classes: [a, b]", "classes: [a, b", r"mine\.yaml is not YAML: .*line"),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[new for _, new, _ in MISTAKES])
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, message: str):
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(write(tmp_path, YAML.replace(old, new)))
    assert str(tmp_path / "mine.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


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
