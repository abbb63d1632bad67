"""Where a spec is read from: a shipped model, a YAML file, an ONNX, an OM."""

from pathlib import Path

import onnx
import pytest

from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.onnx_files.read_write import METADATA_KEY
from detector.products.om_file import write_description
from detector.spec import DetectorSpec
from detector.spec_files import find_spec_onnx, load_spec, model_names
from tests.detector.spec.yaml_spec import YAML, write


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
    write_description(Path(f"{om}.json"), {"spec": spec.model_dump(mode="json"), "batch_size": 8})
    assert load_spec(om) == spec


@pytest.mark.parametrize("text", ["{", "[]", '{"batch_size": 8}'])
def test_a_damaged_file_beside_an_om(tmp_path: Path, text: str):
    with pytest.raises(ArtifactError, match=r"m\.json holds no spec"):
        load_spec(write(tmp_path, text, "m.json"))


def test_an_onnx_file_carries_its_spec_inside(tmp_path: Path, spec: DetectorSpec):
    path = onnx_with(tmp_path, {METADATA_KEY: spec.model_dump_json(), "other": "x"})
    found = load_spec(path)
    assert found.model_copy(update={"departures": spec.departures}) == spec
    assert [each[:37] for each in found.departures] == ["m.onnx carries no SHA-256 of its cont"]  # it has no seal


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
