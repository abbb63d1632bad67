"""From an ONNX of `python -m export` to the files of a conversion."""

import json
import os
import stat

import pytest

from convert.__main__ import main
from convert.build import convert
from convert.plan import plan_conversion
from detector.errors import ArtifactError, SpecError
from detector.geometry import Size
from detector.spec_files import load_spec

pytestmark = pytest.mark.usefixtures("no_atc")


def test_without_atc_the_stand_in_and_what_the_host_needs(model_file, tmp_path):
    done = convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "om" / "tiny_bs2"))
    assert done.target == "cpu"
    assert sorted(file.name for file in (tmp_path / "om").iterdir()) == [
        "tiny_bs2.atc.onnx",
        "tiny_bs2.atc.sh",
        "tiny_bs2.om.json",
        "tiny_bs2.onnx",
    ]
    assert done.model.name == "tiny_bs2.onnx"
    assert os.access(tmp_path / "om" / "tiny_bs2.atc.sh", os.X_OK)


def test_the_products_carry_the_spec_with_their_canvas(model_file, tmp_path):
    done = convert(plan_conversion(model_file, batch_size=1, canvas=Size(32, 64), output=tmp_path / "t"))
    assert load_spec(done.model).canvas == Size(32, 64)
    assert load_spec(tmp_path / "t.om") == load_spec(done.model)


def test_a_conversion_is_reproducible(model_file, tmp_path):
    first = convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "a"))
    second = convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "b"))
    assert first.model.read_bytes() == second.model.read_bytes()


def test_with_atc_on_path_the_om_is_built(model_file, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "atc"
    program.parent.mkdir()
    made = 'for a; do case $a in --output=*) echo om >"${a#--output=}.om";; esac; done'
    program.write_text(f'#!/bin/sh\n{made}\necho "ATC run success"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    done = convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    assert (done.target, done.model) == ("om", tmp_path / "t.om")
    assert load_spec(tmp_path / "t.om").name == "tiny"


def test_the_input_is_never_overwritten(model_file, tmp_path):
    before = model_file.read_bytes()
    with pytest.raises(SpecError, match="would overwrite the input"):
        convert(plan_conversion(model_file, batch_size=1, output=tmp_path / "tiny"))
    assert model_file.read_bytes() == before


def test_an_om_of_another_spec_is_not_described_anew(model_file, tmp_path):
    convert(plan_conversion(model_file, batch_size=1, output=tmp_path / "t"))
    (tmp_path / "t.om").write_bytes(b"built on the host")
    convert(plan_conversion(model_file, batch_size=1, output=tmp_path / "t"))
    with pytest.raises(ArtifactError, match=r"t\.om was built from another spec"):
        convert(plan_conversion(model_file, batch_size=1, canvas=Size(32, 64), output=tmp_path / "t"))


def test_a_failed_conversion_leaves_nothing(model_file, tmp_path):
    (tmp_path / "om" / "t.onnx").mkdir(parents=True)  # in the way of the last file
    with pytest.raises(ArtifactError, match=r"cannot write .*t\.onnx: a folder is in the way"):
        convert(plan_conversion(model_file, batch_size=1, output=tmp_path / "om" / "t"))
    assert not (tmp_path / "om" / "t.atc.onnx").exists()


@pytest.mark.parametrize("product", ["t.onnx", "t.atc.onnx"])
def test_products_are_not_converted_again(model_file, tmp_path, product):
    convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    with pytest.raises(SpecError, match="already fixed to 2; convert the canonical file"):
        convert(plan_conversion(tmp_path / product, batch_size=2, output=tmp_path / "again"))


def test_a_dry_run_prints_the_command_and_writes_nothing(model_file, tmp_path, capsys):
    main(["--onnx", str(model_file), "--batch_size", "8", "--output", str(tmp_path / "om" / "x"), "--dry_run"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("atc --framework=5 ")
    assert "'--out_nodes=labels;dets'" in lines[0]
    assert json.loads(lines[-1])["target"] == "cpu"
    assert not (tmp_path / "om").exists()


def test_a_kept_operator_that_the_graph_lacks_is_found_before_atc_runs(model_file, tmp_path):
    (tmp_path / "keep.txt").write_text("scores\n")
    plan = plan_conversion(
        model_file, batch_size=1, output=tmp_path / "t", options={"keep_dtype": str(tmp_path / "keep.txt")}
    )
    with pytest.raises(SpecError, match="keep_dtype names the node 'scores', which the lowered graph lacks"):
        convert(plan)
    assert not (tmp_path / "t.onnx").exists()
