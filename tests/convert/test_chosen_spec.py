"""Which files of the machine an ONNX may name: none."""

import pytest

from convert.__main__ import main
from convert.chosen_spec import assumed
from convert.conversion_plan import plan_conversion
from detector.errors import SpecError
from detector.onnx_files.read_write import embed_spec, write_onnx
from detector.spec import replace
from detector.spec.atc import FILE_OPTIONS
from detector.spec_files import load_spec
from pipeline.__main__ import main as pipeline

pytestmark = pytest.mark.usefixtures("no_atc")


@pytest.fixture
def named(canonical, spec, tmp_path):
    """Writes an ONNX whose spec names a path under an option of atc."""

    def write(option, value):
        embed_spec(canonical, replace(spec, atc={option: str(value)}))
        write_onnx(tmp_path / "m.onnx", canonical)
        return tmp_path / "m.onnx"

    return write


@pytest.mark.parametrize("option", [*FILE_OPTIONS, "op_compiler_cache_dir"])
def test_a_path_inside_the_file_is_neither_opened_nor_copied(named, tmp_path, option):
    secret = tmp_path / "id_rsa"
    secret.write_text("a key\n")
    file = named(option, secret)
    with pytest.raises(SpecError, match=rf"names a path of its own, atc\.{option}: .*give --atc {option}=PATH"):
        plan_conversion(file, batch_size=1)
    for command, begin in (("simulate", main), ("bisect", pipeline)):
        images = ["--bins", str(tmp_path)] if command == "bisect" else []
        with pytest.raises(SpecError, match=f"names a path of its own, atc.{option}"):
            begin([command, "--onnx", str(file), *images])


def test_given_again_it_is_taken(named, tmp_path, spec):
    keep = tmp_path / "keep.txt"
    keep.write_text("nms\n")
    file = named("keep_dtype", "elsewhere.txt")
    assert plan_conversion(file, batch_size=1, options={"keep_dtype": str(keep)}).spec.atc.keep_dtype == str(keep)
    assert plan_conversion(file, batch_size=1, options={"keep_dtype": None}).spec.atc.keep_dtype is None
    own = replace(spec, atc={"keep_dtype": str(keep)})
    assert plan_conversion(file, batch_size=1, spec=own).spec.atc.keep_dtype == str(keep)


def test_what_the_projects_own_configuration_says_needs_no_repetition(named, tmp_path, monkeypatch):
    keep = tmp_path / "keep.txt"
    keep.write_text("nms\n")
    monkeypatch.setattr("convert.chosen_spec.CONFIG_FOLDER", tmp_path)
    monkeypatch.setattr("detector.spec_files.CONFIG_FOLDER", tmp_path)
    (tmp_path / "tiny.yaml").write_text(f"atc: {{keep_dtype: {keep}}}\n")
    assert plan_conversion(named("keep_dtype", keep), batch_size=1).spec.atc.keep_dtype == str(keep)
    with pytest.raises(SpecError, match="names a path of its own"):
        plan_conversion(named("keep_dtype", tmp_path / "other.txt"), batch_size=1)


def test_what_a_yaml_file_says_of_the_chip_is_not_assumed():
    published = load_spec("fcos_r50_caffe_fpn_1x")  # its YAML names the default chip
    assert assumed(published, given=None) == ()
    mine = replace(published, name="mine")
    assert assumed(mine, given=None) == ("soc_version: Ascend310P3",)
    assert assumed(mine, given=published) == ()
    assert assumed(mine, given=load_spec("demo")) == ("soc_version: Ascend310P3",)
    assert assumed(mine, given=None, atc=["soc_version"]) == ()
