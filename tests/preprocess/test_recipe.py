"""Which spec the bins are made for."""

import json
from pathlib import Path

import pytest

from detector.errors import SpecError
from detector.products.om_file import write_description
from detector.spec_files import load_spec
from preprocess.recipe import guide_spec, model_spec

MODEL = "fcos_r50_caffe_fpn_1x"


def test_without_a_model_it_is_the_published_guide():
    spec = guide_spec(height=None, width=None, recipe=None)
    assert spec.canvas == (800, 1333)
    assert spec.image.resize == "modelzoo"
    assert spec.image.channels == "BGR"
    assert spec.image.mean == (102.9801, 115.9465, 122.7717)
    assert spec.image.std == (1.0, 1.0, 1.0)


def test_the_guide_on_another_canvas():
    assert guide_spec(height=640, width=None, recipe="mmdet").canvas == (640, 1333)


def test_a_canvas_out_of_range():
    with pytest.raises(SpecError, match=r"canvas: height and width must be in 32\.\.16384, got 8x1333$"):
        guide_spec(height=8, width=None, recipe=None)


def test_a_model_brings_its_canvas_and_rule():
    spec = model_spec(MODEL, height=None, width=None, recipe=None)
    assert (spec.canvas, spec.image.resize) == ((800, 1344), "mmdet")


def test_the_models_own_canvas_may_be_repeated():
    assert model_spec(MODEL, height=800, width=1344, recipe="mmdet").canvas == (800, 1344)


def test_another_canvas_than_the_models_is_an_error():
    with pytest.raises(SpecError, match=r"has the canvas 800x1344, .* say 640x1344; .*--canvas 640,1344"):
        model_spec(MODEL, height=640, width=None, recipe=None)


def test_a_named_model_may_be_given_another_recipe():
    assert model_spec(MODEL, height=None, width=None, recipe="modelzoo").image.resize == "modelzoo"


@pytest.mark.parametrize("name", ["m.om", "M.OM"])
def test_a_converted_model_may_not(tmp_path: Path, name: str):
    spec = guide_spec(height=None, width=None, recipe=None)
    om = tmp_path / name
    write_description(Path(f"{om}.json"), {"spec": spec.model_dump(mode="json")})
    assert model_spec(str(om), height=None, width=None, recipe="modelzoo") == spec
    with pytest.raises(SpecError, match=r"converted for the recipe 'modelzoo', --recipe says 'mmdet'; leave it out"):
        model_spec(str(om), height=None, width=None, recipe="mmdet")


def test_bins_of_the_guides_command_line_fit_the_guides_model():
    guide = guide_spec(height=None, width=None, recipe=None)
    assert guide.bins_fingerprint() == load_spec("fcos_r50_caffe_fpn_1x_guide").bins_fingerprint()
    assert guide.canvas == (800, 1333)


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_the_element_type_asked_for_overrides_the_models(tmp_path: Path, dtype: str):
    assert model_spec(MODEL, height=None, width=None, recipe=None, dtype=dtype).image.dtype == dtype
    assert guide_spec(height=None, width=None, recipe=None, dtype=dtype).image.dtype == dtype


def test_an_om_decides_the_element_type(tmp_path: Path):
    om = tmp_path / "m.om"
    om.write_bytes(b"om")
    (tmp_path / "m.om.json").write_text(json.dumps({"spec": load_spec(MODEL).model_dump(mode="json")}))
    with pytest.raises(SpecError, match=r"takes 'input' \[3, 800, 1344\] float32, --dtype says uint8"):
        model_spec(str(om), height=None, width=None, recipe=None, dtype="uint8")
