import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from detector.errors import MissingEnvironmentError, PipelineError
from infer.contract.options import CARD_OPTIONS, Options, parse, refuse_card_options

# Of ais_bench's args_check.py, in any case.
WORDS = {("yes", "true", "t", "y", "1", "Yes"): True, ("no", "false", "f", "n", "0", "F"): False}


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "m.onnx"
    path.touch()
    return str(path)


def test_defaults_are_those_of_ais_bench(model: str):
    assert parse(["--model", model]) == Options(model=model)


def test_there_is_one_field_per_option_of_ais_bench():
    assert len(fields(Options)) == 35 + 2  # strict_paths and fresh are ours


@pytest.mark.parametrize(("text", "value"), [(word, value) for words, value in WORDS.items() for word in words])
def test_switches_take_a_value(model: str, text: str, value: bool):
    assert parse(["--model", model, "--debug", text]).debug is value


def test_an_unambiguous_prefix_is_accepted(model: str):
    assert parse(["--mod", model, "--dymB", "4"]).dym_batch == 4


def test_the_device_may_be_a_list(model: str):
    assert parse(["--model", model, "--device", "0,3"]).device == (0, 3)


def test_the_last_device_is_255(model: str, capsys: pytest.CaptureFixture[str]):
    assert parse(["--model", model, "--device", "255"]).device == (255,)
    with pytest.raises(SystemExit):
        parse(["--model", model, "--device", "256"])
    assert "256 is out of range, legal values are 0 to 255" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--profiler", "1", "--output", "o"], "--profiler True"),
        (["--dump", "1", "--output", "o"], "--dump True"),
        (["--dump_npy", "1"], "--dump_npy True"),
        (["--acl_json_path", "acl.json"], "--acl_json_path acl.json"),
        (["--aipp_config", "a.config"], "--aipp_config a.config"),
        (["--dymShape_range", "x:1~4,3"], "--dymShape_range x:1~4,3"),
        (["--energy_consumption", "1"], "--energy_consumption True"),
        (["--npu_id", "1"], "--npu_id 1"),
        (["--backend", "trtexec"], "--backend trtexec"),
        (["--perf", "1"], "--perf True"),
        (["--pipeline", "1"], "--pipeline True"),
        (["--divide_input", "1"], "--divide_input True"),
        (["--device", "0,1"], "--device 0,1"),
    ],
)
def test_what_only_the_card_can_do_is_refused(model: str, arguments: list[str], name: str):
    with pytest.raises(MissingEnvironmentError, match=f"^{name} needs an Ascend card"):
        refuse_card_options(parse(["--model", model, *arguments]))


def test_every_card_option_is_an_option():
    assert set(CARD_OPTIONS) <= {field.name for field in fields(Options)}


def test_defaults_ask_for_no_card(model: str):
    refuse_card_options(parse(["--model", model, "--profiler", "0", "--device", "2", "--profiler_rename", "0"]))


def test_output_sizes_are_numbers(model: str):
    assert parse(["--model", model, "--outputSize", "10,20"]).output_sizes == (10, 20)


def test_an_output_size_out_of_range_is_refused(model: str):
    with pytest.raises(PipelineError, match="--outputSize 10,,20: expected at most 256 sizes"):
        parse(["--model", model, "--outputSize", "10,,20"])


def test_help_needs_no_heavy_import():
    heavy = "{'numpy', 'onnx', 'onnxruntime', 'pydantic', 'tqdm'}"
    code = f"import sys, infer.contract.options; print({heavy} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"
