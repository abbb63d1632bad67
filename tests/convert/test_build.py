import json
import os
import stat

import onnx
import pytest

from convert.__main__ import main
from convert.build import convert, plan_conversion
from detector.errors import ArtifactError, MissingEnvironmentError, SpecError
from detector.geometry import Size
from detector.onnx_file import write_onnx
from detector.spec_files import load_spec


@pytest.fixture
def model_file(canonical, tmp_path):
    path = tmp_path / "tiny.onnx"
    write_onnx(path, canonical)
    return path


@pytest.fixture(autouse=True)
def no_atc(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


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


def test_an_om_without_atc_is_a_missing_environment(model_file):
    with pytest.raises(MissingEnvironmentError, match=r"atc not found on PATH: source .*set_env\.sh"):
        plan_conversion(model_file, batch_size=1, target="om")


@pytest.mark.parametrize(("given", "name"), [("310P3", "Ascend310P3"), ("Ascend310P1", "Ascend310P1")])
def test_soc_names_are_normalized(model_file, given, name):
    assert plan_conversion(model_file, batch_size=1, soc_version=given).soc_version == name


def test_another_chip_is_refused(model_file):
    with pytest.raises(SpecError, match=r"atc\.soc_version: .*'Ascend310P3'.* got 'Ascend310'"):
        plan_conversion(model_file, batch_size=1, soc_version="310")


def test_a_batch_below_1_is_refused(model_file):
    with pytest.raises(SpecError, match=r"batch_size must be in 1\.\.4096, got 0"):
        plan_conversion(model_file, batch_size=0)


def test_an_onnx_without_spec_is_refused(model_file, canonical):
    del canonical.metadata_props[:]
    onnx.save(canonical, model_file)
    with pytest.raises(ArtifactError, match=r"carries no spec .* export it with `python -m export`"):
        plan_conversion(model_file, batch_size=1)


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


def test_a_truncated_onnx_is_refused(model_file):
    model_file.write_bytes(model_file.read_bytes()[:-100])
    with pytest.raises(ArtifactError, match="is not an ONNX file or is truncated"):
        plan_conversion(model_file, batch_size=1)


def test_a_dry_run_prints_the_command_and_writes_nothing(model_file, tmp_path, capsys):
    main(["--onnx", str(model_file), "--batch_size", "8", "--output", str(tmp_path / "om" / "x"), "--dry_run"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("atc --framework=5 ")
    assert "'--out_nodes=labels;dets'" in lines[0]
    assert json.loads(lines[-1])["target"] == "cpu"
    assert not (tmp_path / "om").exists()
