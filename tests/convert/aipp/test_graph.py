import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from convert.__main__ import main
from convert.aipp.config import aipp_of
from convert.aipp.graph import with_aipp
from convert.build import convert
from convert.conversion_plan import plan_conversion
from convert.graph.freeze import freeze
from detector.errors import SpecError
from detector.geometry import Size
from detector.onnx_files.read_write import embed_spec, write_onnx
from detector.spec import replace
from detector.spec_files import read_spec_onnx
from tests.conftest import run_onnx
from tests.convert.aipp.arithmetic import apply


@pytest.fixture
def in_bytes(spec):
    return replace(spec, image={**spec.image.model_dump(), "dtype": "uint8"})


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)


@pytest.mark.parametrize("channels", ["BGR", "RGB"])
def test_the_first_nodes_are_the_model_of_aipp_to_the_bit(canonical, in_bytes, images, channels):
    spec = replace(in_bytes, image={**in_bytes.image.model_dump(), "channels": channels})
    frozen = freeze(canonical, batch_size=2, canvas=Size(64, 96))
    fed = with_aipp(frozen, aipp_of(spec))
    onnx.checker.check_model(fed)
    normalized = apply(aipp_of(spec), images).astype(np.float32)
    ours, theirs = run_onnx(fed, images), run_onnx(frozen, normalized)
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_the_input_is_bytes_with_channels_last(canonical, in_bytes):
    frozen = freeze(canonical, batch_size=2, canvas=Size(64, 96))
    (value,) = with_aipp(frozen, aipp_of(in_bytes)).graph.input
    assert (value.name, value.type.tensor_type.elem_type) == ("input", TensorProto.UINT8)
    assert [dim.dim_value for dim in value.type.tensor_type.shape.dim] == [2, 64, 96, 3]


def test_a_conversion_for_bytes_leaves_the_aipp_file_and_names_it_to_atc(canonical, tmp_path):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    plan = plan_conversion(
        tmp_path / "tiny.onnx", batch_size=2, target="cpu", output=tmp_path / "out" / "tiny_bs2", dtype="uint8"
    )
    result = convert(plan)
    assert "--insert_op_conf=tiny_bs2.aipp.cfg" in result.command
    assert "--input_shape=input:2,3,64,96" in result.command
    assert (tmp_path / "out" / "tiny_bs2.aipp.cfg") in result.files
    assert "--insert_op_conf=tiny_bs2.aipp.cfg" in (tmp_path / "out" / "tiny_bs2.atc.sh").read_text()
    assert read_spec_onnx(result.model).image.dtype == "uint8"
    lowered = onnx.load(str(tmp_path / "out" / "tiny_bs2.atc.onnx"))
    assert lowered.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT


def test_the_files_for_the_npu_host_are_named_with_aipps(canonical, tmp_path, caplog):
    caplog.set_level("INFO")
    write_onnx(tmp_path / "tiny.onnx", canonical)
    made = tmp_path / "out" / "tiny_bs2"
    main(["--onnx", str(tmp_path / "tiny.onnx"), "--batch_size", "2", "--target", "cpu", "--dtype", "uint8",
          "--output", str(made)])  # fmt: skip
    assert f"copy {made}.aipp.cfg, {made}.atc.onnx, {made}.om.json, {made}.atc.sh to the NPU host" in caplog.text


def test_a_conversion_for_floats_has_no_aipp(canonical, tmp_path):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    plan = plan_conversion(tmp_path / "tiny.onnx", batch_size=2, target="cpu", output=tmp_path / "tiny_bs2")
    assert plan.aipp_file is None
    assert not any("insert_op_conf" in word for word in convert(plan).command)


def test_what_aipp_cannot_do_is_refused_before_anything_is_written(canonical, spec, tmp_path):
    embed_spec(canonical, replace(spec, image={**spec.image.model_dump(), "mean": [-5.0, 0.0, 0.0]}))
    write_onnx(tmp_path / "tiny.onnx", canonical)
    with pytest.raises(SpecError, match=r"image\.mean has -5"):
        plan_conversion(tmp_path / "tiny.onnx", batch_size=2, target="cpu", dtype="uint8")


def test_lint_speaks_before_anything_is_written(canonical, tmp_path, monkeypatch):
    monkeypatch.setattr("convert.product_graphs.lower", lambda frozen, atc: frozen)
    write_onnx(tmp_path / "tiny.onnx", canonical)
    plan = plan_conversion(tmp_path / "tiny.onnx", batch_size=2, target="auto", output=tmp_path / "out" / "tiny")
    with pytest.raises(SpecError, match=r"cannot be lowered for atc: .* takes the default domain only"):
        convert(plan)
    assert not (tmp_path / "out").exists()


def test_lint_is_a_command_of_convert(canonical, tmp_path):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    command = [sys.executable, "-m", "convert", "lint", str(tmp_path / "tiny.onnx"), "--json"]
    finished = subprocess.run(command, capture_output=True, text=True)
    assert finished.returncode == 1
    assert json.loads(finished.stdout)["verdict"] == "fails"
