"""From an ONNX of `python -m export` to the files of a conversion."""

import hashlib
import json
import os
import stat

import pytest

from convert.__main__ import main
from convert.build import convert
from convert.conversion_plan import plan_conversion
from detector.errors import ArtifactError, SpecError, ToolError
from detector.files.lock import exclusive
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


def atc_that(tmp_path, monkeypatch, body):
    program = tmp_path / "bin" / "atc"
    program.parent.mkdir(exist_ok=True)
    find = "for word; do case $word in --output=*) out=${word#--output=};; esac; done"
    program.write_text(f"#!/bin/sh\n{find}\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


BUILDS = 'echo om >"$out.om"; echo "ATC run success, welcome"'


def test_the_om_is_bound_to_its_description(model_file, tmp_path, monkeypatch):
    atc_that(tmp_path, monkeypatch, BUILDS)
    done = convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    record = json.loads((tmp_path / "t.om.json").read_text())
    assert record["om_sha256"] == hashlib.sha256(b"om\n").hexdigest()
    assert record["graph_sha256"] == hashlib.sha256((tmp_path / "t.atc.onnx").read_bytes()).hexdigest()
    assert load_spec(done.model) == done.spec
    convert(plan_conversion(model_file, batch_size=2, target="cpu", output=tmp_path / "t"))  # described anew
    assert json.loads((tmp_path / "t.om.json").read_text()) == record
    (tmp_path / "t.om").write_bytes(b"another\n")
    with pytest.raises(ArtifactError, match=r"t\.om is not the file that was built: .*make om AGAIN=1"):
        load_spec(tmp_path / "t.om")


@pytest.mark.parametrize("end", ["exit 1", "kill -9 $$", "true"])
def test_half_an_om_is_none(model_file, tmp_path, monkeypatch, end):
    (tmp_path / "t.om").write_bytes(b"of an earlier run")
    atc_that(tmp_path, monkeypatch, f'echo half >"$out.om"; {end}')
    with pytest.raises(ToolError):
        convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    assert sorted(path.name for path in tmp_path.glob("*t.*")) == ["t.atc.log", "t.atc.onnx"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_while_atc_runs_nothing_is_there_of_an_earlier_om(model_file, tmp_path, monkeypatch):
    atc_that(tmp_path, monkeypatch, BUILDS)
    convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    atc_that(tmp_path, monkeypatch, f"ls {tmp_path} >{tmp_path}/seen; {BUILDS}")
    convert(plan_conversion(model_file, batch_size=4, output=tmp_path / "t"))
    seen = (tmp_path / "seen").read_text().split()
    assert [name for name in seen if name.startswith("t.")] == ["t.atc.log", "t.atc.onnx"]
    assert json.loads((tmp_path / "t.om.json").read_text())["batch_size"] == 4


def test_what_a_killed_conversion_left_goes_with_the_next(model_file, tmp_path):
    convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    # Of a conversion or a script that was killed; of other products: their own may be under way.
    for name in (".t.building.7", ".t.building.8.building.7", ".other.building.7"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.atc.onnx").write_bytes(b"half")
    (tmp_path / ".t.onnx.abcd1234.part").write_bytes(b"half")
    convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    assert sorted(path.name for path in tmp_path.glob(".*")) == [".other.building.7", ".t.building.8.building.7"]


def test_what_a_foreign_atc_still_writes_is_not_taken(model_file, tmp_path, monkeypatch):
    """Each conversion builds in a folder of its own."""
    atc_that(tmp_path, monkeypatch, f'echo "$out" >>{tmp_path}/outs; {BUILDS}')
    convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    monkeypatch.setattr("os.getpid", lambda: 7)
    convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))
    first, second = (tmp_path / "outs").read_text().split()
    assert first != second == str(tmp_path / ".t.building.7" / "t")


def test_a_stand_in_that_was_half_replaced_has_no_model_and_no_script(model_file, tmp_path, monkeypatch):
    convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))

    def dies(file, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("convert.products.take_name", dies)
    with pytest.raises(KeyboardInterrupt):
        convert(plan_conversion(model_file, batch_size=1, output=tmp_path / "t"))
    assert sorted(path.name for path in tmp_path.glob("t.*")) == ["t.atc.onnx", "t.om.json"]


def test_two_conversions_do_not_write_one_product(model_file, tmp_path):
    with exclusive(tmp_path / "t", doing="converting into"), pytest.raises(ArtifactError, match="is in use"):
        convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t"))


def test_a_chip_that_nobody_named_is_told_and_recorded(model_file, tmp_path, caplog):
    arguments = ["--onnx", str(model_file), "--batch_size", "2", "--output", str(tmp_path / "t")]

    def recorded() -> list[str]:
        return json.loads((tmp_path / "t.om.json").read_text())["assumed"]

    main(arguments)
    assert recorded() == ["soc_version: Ascend310P3"]
    assert caplog.text.count("assumed: soc_version: Ascend310P3, as nothing says which chip the OM is for") == 1
    for said in (["--soc_version", "310P3"], ["--atc", "soc_version=Ascend310P3"], ["--soc_version", "Ascend310P1"]):
        caplog.clear()
        main([*arguments, *said])
        assert recorded() == []
        assert "assumed" not in caplog.text


@pytest.mark.parametrize(
    ("option", "value"),
    [*(("--batch_size", value) for value in ("0", "-1", "nan", "inf", "1.5", "8,0", "5000", "9" * 5000, "")),
     *(("--canvas", value) for value in ("0,64", "-64,64", "nan,64", "64", "64,64,64", "99999999999,64"))],
)  # fmt: skip
def test_a_number_that_is_none_is_a_usage_error(model_file, tmp_path, option, value):
    arguments = ["--onnx", str(model_file), "--batch_size=2", f"--output={tmp_path / 'om' / 't'}"]
    with pytest.raises(SystemExit) as caught:
        main([*arguments, f"{option}={value}"])
    assert caught.value.code == 2
    assert not (tmp_path / "om").exists()


KEEP, MIX = "keep_dtype", "modify_mixlist"
OLD_MIX = {
    "black-list": {"to-add": ["AvgPool"], "to-remove": ["Xlog1py"]},
    "white-list": {"to-add": ["Exp"]},
}


def test_atc_reads_names_as_parsed(model_file, tmp_path, monkeypatch, caplog):
    """What atc gets and what is recorded, first with old names, then after the files were corrected."""
    keep, mix, product = tmp_path / "mine.txt", tmp_path / "mine.json", tmp_path / "om" / "t"
    atc_that(tmp_path, monkeypatch, f'echo "$@" >{tmp_path}/words; {BUILDS}')

    def built(keep_text, mix_document):
        keep.write_text(keep_text)
        mix.write_text(json.dumps(mix_document))
        options = {KEEP: str(keep), MIX: str(mix), "precision_mode": "allow_mix_precision"}
        convert(plan_conversion(model_file, batch_size=2, output=product, options=options))
        words = (tmp_path / "words").read_text().split()
        read = {
            option: next(word.split("=")[1] for word in words if word.startswith(f"--{option}="))
            for option in (KEEP, MIX)
        }
        return read, json.loads((tmp_path / "om" / "t.om.json").read_text())["files"]

    def hash_of(path):
        return hashlib.sha256(path.read_bytes()).hexdigest()

    read, recorded = built("OpType::AvgPool\n", OLD_MIX)
    made = {KEEP: tmp_path / "om" / "t.keep_dtype.txt", MIX: tmp_path / "om" / "t.modify_mixlist.json"}
    assert read == {option: str(file) for option, file in made.items()}
    assert made[KEEP].read_text() == "OpType::AvgPoolV2\n"
    assert json.loads(made[MIX].read_text()) == {
        "black-list": {"to-add": ["AvgPoolV2"], "to-remove": ["Xlog1py"]}, "white-list": {"to-add": ["Exp"]},
    }  # fmt: skip
    assert recorded == {
        option: {"file": str(given), "sha256": hash_of(given), "corrected_sha256": hash_of(made[option])}
        for option, given in ((KEEP, keep), (MIX, mix))
    }
    assert "modify_mixlist names the type AvgPool; right after parsing, when atc looks, it is AvgPoolV2" in caplog.text
    assert "keep_dtype names the type AvgPool" in caplog.text

    read, recorded = built(made[KEEP].read_text(), json.loads(made[MIX].read_text()))
    assert read == {KEEP: str(keep), MIX: str(mix)}
    assert [entry["corrected_sha256"] for entry in recorded.values()] == [None, None]
    assert not made[KEEP].exists()
    assert not made[MIX].exists()

    with pytest.raises(
        SpecError, match="modify_mixlist names 'AvgPoolV9', which is no Ascend type: did you mean AvgPool"
    ):
        built("OpType::AvgPoolV2\n", {"black-list": {"to-add": ["AvgPoolV9"]}})
    assert (tmp_path / "om" / "t.om").exists()


def test_the_script_for_the_host_names_the_corrected_mix_list(model_file, tmp_path):
    mix = tmp_path / "mine.json"
    mix.write_text(json.dumps(OLD_MIX))
    options = {MIX: str(mix), "precision_mode_v2": "mixed_float16"}
    convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t", options=options))
    assert "--modify_mixlist=t.modify_mixlist.json" in (tmp_path / "t.atc.sh").read_text()
    assert json.loads((tmp_path / "t.modify_mixlist.json").read_text())["black-list"]["to-add"] == ["AvgPoolV2"]
    assert json.loads(mix.read_text()) == OLD_MIX


def test_a_file_of_the_users_is_not_corrected_in_place(model_file, tmp_path):
    keep = tmp_path / "t.keep_dtype.txt"
    keep.write_text("OpType::AvgPool\n")
    with pytest.raises(
        SpecError, match=r"t\.keep_dtype\.txt would be overwritten with what atc is to read; give another"
    ):
        convert(plan_conversion(model_file, batch_size=2, output=tmp_path / "t", options={KEEP: str(keep)}))
    assert keep.read_text() == "OpType::AvgPool\n"
