"""Somebody's command lines, judged: with and without the files that they name."""

import json
import os
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from convert.__main__ import main
from convert.aipp.rules import aipp_problems
from convert.atc.line import TAKES_SPELLINGS
from convert.check.command import check_command
from detector.errors import ArtifactError
from tests.convert.aipp import test_rules as aipp_tests
from tests.convert.atc import test_file_forms as form_tests
from tests.convert.atc import test_rules as line_tests

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "check.md").read_text(encoding="utf-8")
LINE = "atc --framework=5 --model=m.onnx --output=m --soc_version=Ascend310P3"
AIPP = """aipp_op {
    aipp_mode: static
    input_format: RGB888_U8
    src_image_size_w: 640
    src_image_size_h: 480
    mean_chn_0: 123.675
}
"""


def save(path, shape, name="images", output="output0"):
    nodes = [helper.make_node("Identity", [name], [output], name="Identity_0")]
    values = [helper.make_tensor_value_info(value, TensorProto.FLOAT, shape) for value in (name, output)]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", values[:1], values[1:])), path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "m.onnx", [1, 3, 640, 640])
    save(tmp_path / "open.onnx", ["batch", 3, 640, 640])
    return tmp_path


def run(text, *options):
    said = []
    code = check_command([text, *options, "--json"], said.append)
    (line,) = said
    return code, json.loads(line)


def verdicts(text, *options):
    """Verdict, reasons and codes by option, of the only command in a text."""
    code, document = run(text, *options)
    (command,) = document["commands"]
    found = {option["option"]: (option["verdict"], " ".join(option["why"])) for option in command["options"]}
    assert code == (1 if "refused" in [verdict for verdict, _ in found.values()] else 0)
    return found


def test_a_legal_line_is_legal_in_every_option(here):
    code, document = run(f'{LINE} --input_shape="images:1,3,640,640" --out_nodes=output0 --log=error')
    assert (code, document["verdict"], document["legal"]) == (0, "legal", 7)
    assert {option["verdict"] for option in document["commands"][0]["options"]} == {"legal"}


def test_the_example_of_the_page_says_what_the_page_says(here):
    save(here / "yolo.onnx", ["batch", 3, 640, 640])
    (here / "aipp.cfg").write_text(AIPP)
    (here / "build.sh").write_text(PAGE.split("```sh\n")[1].split("```")[0])
    said = []
    assert check_command(["build.sh"], said.append) == 1
    assert said == PAGE.split("$ python -m convert check build.sh\n")[1].split("\n```")[0].splitlines()


REFUSED = {
    "another input": ("--input_shape=input:1,3,640,640", "input_shape", "no input 'input', but 'images' (E10016)"),
    "fewer sizes": ("--input_shape=images:1,3,640", "input_shape", "'images' has 3 sizes, in the model 4 (E10049)"),
    "open sizes": ("--model=open.onnx", "model", "'images' is -1,3,640,640: its open sizes need --input_shape"),
    "another output": ("--out_nodes=dets", "out_nodes", "neither an output nor a node with a slot 'dets'"),
    "no slot": ("--out_nodes=Identity_0:1", "out_nodes", "a slot 'Identity_0:1'; its outputs: 'output0' (E10016)"),
    "half of another": ("--input_fp16_nodes=x", "input_fp16_nodes", "no input 'x'"),
    "gears without -1": ("--input_shape=images:1,3,640,640 --dynamic_batch_size=1,2", "input_shape", "has no -1"),
    "two kinds of gears": ("--dynamic_batch_size=1,2 --dynamic_image_size=$1", "dynamic_batch_size", "exclude each"),
    "precisions": ("--precision_mode=$1 --precision_mode_v2=fp16", "precision_mode", "got '$1' and v2 'fp16'"),
    "mix list": ("--modify_mixlist=no.json", "modify_mixlist", "needs mixed precision"),
    "chip": ("--soc_version=310P3", "soc_version", "write Ascend310P3 (E10001)"),
    "type": ("--output_type=FP64", "output_type", "got 'FP64'; legal are FP32"),
    "no option": ("--outnode=x", "outnode", "atc has no option '--outnode'; did you mean --out_nodes?"),
    "removed": ("--auto_tune_mode=RL", "auto_tune_mode", "was removed from atc"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "option", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_atc_refuses_is_told_with_the_reason(here, words, option, said):
    verdict, why = verdicts(f"{LINE} {words}")[option]
    assert verdict == "refused"
    assert said in why


UNKNOWN = {
    "argument": ("--log=$1", "log", "depends on $1, which only a shell knows"),
    "what rests on it": ("--precision_mode=$1 --modify_mixlist=m.json", "modify_mixlist", "depends on $1"),
    "no file": ("--insert_op_conf=no.cfg", "insert_op_conf", "no.cfg is not here; what it says is not checked"),
    "no model": ("--model=no.onnx", "model", "no.onnx is not here; names and shapes"),
    "no ONNX": ("--model=notes.txt", "model", "cannot be read: notes.txt"),
    "a folder": ("--keep_dtype=.", "keep_dtype", "cannot be read: .: a folder, expected a file"),
    "a pipe": ("--keep_dtype=pipe", "keep_dtype", "cannot be read: pipe: a FIFO, expected a regular file"),
    "a name without end": (f"--keep_dtype={'x' * 5000}", "keep_dtype", "cannot be read"),
    "no text": ("--keep_dtype=latin", "keep_dtype", "it is not text"),
    "frozen otherwise": ("--input_shape=images:8,3,640,640", "input_shape", "is 1,3,640,640 in the model, here 8,3"),
    "another framework": ("--framework=3 --model=m.pb --input_format=NHWC", "input_format", "those of ONNX models"),
    "another atc": ("--soc_version=Hi3516CV610 --image_list=x", "image_list", "the atc for Hi3516CV610 is another"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "option", "said"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_what_cannot_be_known_here_is_told(here, words, option, said):
    (here / "m.json").write_text("{}")
    (here / "notes.txt").write_text("notes")
    (here / "latin").write_bytes(b"\xe9")
    os.mkfifo(here / "pipe")
    verdict, why = verdicts(f"{LINE} {words}")[option]
    assert verdict == "unknown"
    assert said in why


LEGAL = {
    "another chip": ("--soc_version=Ascend910B4", "soc_version", "'Ascend910B4' is another chip"),
    "a mode of another chip": (
        "--soc_version=Ascend910B4 --precision_mode_v2=mixed_bfloat16",
        "precision_mode_v2",
        "the 310P has not",
    ),
    "one dash": ("-log=info", "log", "the manual writes --log"),
    "deprecated": ("--op_select_implmode=high_precision", "op_select_implmode", "use --op_precision_mode"),
    "small channel": ("--insert_op_conf=dynamic.cfg --enable_small_channel=1", "enable_small_channel", "pays with"),
    "a slot": ("--out_nodes=Identity_0:0", "out_nodes", ""),
}  # fmt: skip


@pytest.mark.parametrize(("words", "option", "said"), LEGAL.values(), ids=LEGAL.keys())
def test_what_is_legal_and_of_no_use_is_told(here, words, option, said):
    (here / "dynamic.cfg").write_text("aipp_op { aipp_mode: dynamic max_src_image_size: 1228800 }")
    verdict, why = verdicts(f"{LINE} {words}")[option]
    assert verdict == "legal"
    assert said in why


@pytest.mark.parametrize(
    ("words", "option", "by_release"),
    [
        ("--out_node=output0", "out_nodes", {"6.0.1": "unknown", "7.0": "legal", "9.2": "legal"}),
        ("--auto_tune_mode=RL", "auto_tune_mode", {"6.0.1": "unknown", "7.0": "refused", "9.2": "refused"}),
        (
            "--model=open.onnx --input_shape=images:-1,3,640,640 --dynamic_dims='1;2'",
            "input_format",
            {"6.0.1": "refused", "8.1": "unknown", "8.5": "legal"},
        ),
    ],
)
def test_a_verdict_is_that_of_a_release(here, words, option, by_release):
    assert {cann: verdicts(f"{LINE} {words}", "--cann", cann)[option][0] for cann in by_release} == by_release


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--input_shape=images:1,3,480,640", "mean_chn_0 is 123.675, expected a whole number"),
        ("--input_shape=images:1,3,640,640", "makes images of height 480, the model's input has 640 (E10052)"),
        ("--input_shape=images:1,4,480,640", "input_format is RGB888_U8, of 3 or 1 channels; the model's input has 4"),
        ("--input_shape=images:1,3,-1,-1 --dynamic_image_size='8,8;9,9'", "src_image_size_w must be 0 with image"),
        ("--input_shape=images:1,3,-1,-1 --dynamic_dims='8,8;9,9' --input_format=ND", "cannot be combined with"),
    ],
)
def test_an_aipp_file_is_read_with_the_rest_of_the_line(here, words, said):
    (here / "aipp.cfg").write_text(AIPP)
    verdict, why = verdicts(f"{LINE} --model=no.onnx --insert_op_conf=aipp.cfg {words}")["insert_op_conf"]
    assert verdict == "refused"
    assert said in why


@pytest.mark.parametrize("changes", [planted[0] for planted in line_tests.PLANTED.values()], ids=line_tests.PLANTED)
def test_every_rule_of_a_line_is_reached_from_the_command(here, changes):
    words = " ".join(f"'{word}'" for word in line_tests.line(**changes)[1:])
    found = [verdict for verdict, _ in verdicts(f"atc {words}", "--cann", "6.0.1").values()]
    assert "refused" in found or line_tests.check_arguments(line_tests.line(**changes))[0].taken_from == TAKES_SPELLINGS


@pytest.mark.parametrize("planted", form_tests.PLANTED.values(), ids=form_tests.PLANTED)
def test_every_rule_of_an_options_file_is_reached_from_the_command(here, planted):
    option, name, text, _ = planted
    (here / name).write_text(text)
    mixed = "--precision_mode=allow_mix_precision"
    assert verdicts(f"{LINE} {mixed} --{option}={name}")[option][0] == "refused"


@pytest.mark.parametrize("changes", [mark[0] for mark in aipp_tests.REFUSED], ids=str)
def test_every_rule_of_an_aipp_file_is_reached_from_the_command(here, changes):
    (here / "a.cfg").write_text(aipp_tests.text(**changes))
    problems = aipp_problems(aipp_tests.text(**changes))
    verdict, why = verdicts(f"{LINE} --model=no.onnx --insert_op_conf=a.cfg")["insert_op_conf"]
    assert verdict == "refused"
    assert problems[0] in why


def test_what_is_missing_is_told_but_not_where_a_variable_may_hold_it():
    assert verdicts("atc --model=no.onnx --framework=5 --output=m")["soc_version"] == ("refused", "is missing (E10054)")
    found = verdicts("atc --model=no.onnx --framework=5 $options")
    assert found["soc_version"] == ("unknown", "depends on $options, which only a shell knows")
    assert "$options may hold further options" in found[""][1]


def test_of_many_inputs_some_are_named(here):
    values = [helper.make_tensor_value_info(f"x{index}", TensorProto.FLOAT, [1]) for index in range(7)]
    for count, said in ((5, "but 'x0', 'x1', 'x2', 'x3', 'x4' (E10016)"), (7, "'x4' and 2 more (E10016)")):
        onnx.save(helper.make_model(helper.make_graph([], "g", values[:count], [])), here / "many.onnx")
        assert verdicts(f"{LINE} --model=many.onnx --input_shape=a:1")["input_shape"][1].endswith(said)


def test_a_list_without_quotes_is_told():
    assert "the shell ends the line at a ;" in verdicts("atc --out_nodes=a:0;b:0 --model=no.onnx")[""][1]


def test_files_are_found_from_the_folder_of_the_script_too(here):
    (here / "scripts").mkdir()
    save(here / "scripts" / "beside.onnx", [1, 3, 8, 8], name="beside")
    (here / "scripts" / "build.sh").write_text(f"{LINE} --model=beside.onnx --input_shape=x:1,3,8,8\n")
    assert "'beside'" in verdicts("scripts/build.sh")["input_shape"][1]


def test_words_that_a_shell_has_split_already_are_taken(here, capsys):
    assert main(["check", "--json", "--", *LINE.split(), "--out_nodes=output0;output0"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "legal"


@pytest.mark.parametrize("what", ["build.sh", "nothing", "atc"])
def test_neither_a_file_nor_a_line_is_refused(what, here):
    with pytest.raises(ArtifactError, match=f"^{what}: neither a file nor a command line: give the line that starts"):
        check_command([what], print)


def test_a_script_without_a_call_is_refused(here):
    (here / "build.sh").write_text("make -j8\n")
    with pytest.raises(ArtifactError, match=r"^build\.sh: no call of atc in it; give the line that starts with atc"):
        check_command(["build.sh"], print)


def test_a_script_is_a_regular_file(here):
    os.mkfifo(here / "pipe")
    with pytest.raises(OSError, match="a FIFO, expected a regular file"):
        check_command(["pipe"], print)


def test_nothing_is_executed(here):
    run(f"{LINE} --log=$(touch made) --debug_dir=`touch made`\ntouch made")
    assert not (here / "made").exists()


def test_a_terminal_obeys_nothing_of_the_text(here):
    said = []
    check_command([f"{LINE} --log='\x1b[2J'"], said.append)
    assert any(r"--log=\x1b[2J" in line for line in said)
    assert "\x1b" not in "".join(said)
