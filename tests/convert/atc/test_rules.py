"""Command lines as guides have them, and with planted defects."""

import json
import re
from pathlib import Path

import pytest

from convert.atc.rules import check_arguments

# Options and values of 62 command lines of Ascend/ModelZoo-PyTorch (commit 6a2804a3, below ACL_PyTorch/), by file and
# line. Variables have the values that the guides' own text gives: chip_name is 310P3, as npu-smi prints it, a batch
# size is 1; braces without a dollar sign stay as they are printed. "illegal" is the option that the manual objects to.
GUIDES = json.loads((Path(__file__).parent / "atc_guide_lines.json").read_text())

LEGAL = {
    "framework": "5",
    "model": "m.onnx",
    "output": "m",
    "input_format": "NCHW",
    "input_shape": "input:1,3,800,1344",
    "soc_version": "Ascend310P3",
    "out_nodes": "labels;dets",
    "log": "error",
}


def line(**changes):
    return ["atc", *(f"--{name}={value}" for name, value in {**LEGAL, **changes}.items() if value is not None)]


def fatal(arguments):
    return [problem for problem in check_arguments(arguments) if problem.is_fatal]


def test_there_are_enough_guides():
    assert len(GUIDES) >= 60
    assert len({guide["guide"] for guide in GUIDES}) == len(GUIDES)
    assert 20 <= sum(guide["illegal"] is not None for guide in GUIDES) <= 40


@pytest.mark.parametrize("guide", GUIDES, ids=[guide["guide"] for guide in GUIDES])
def test_a_guides_line_is_what_the_manual_says(guide):
    objections = {problem.option for problem in fatal(guide["arguments"])}
    assert (guide["illegal"] in objections) if guide["illegal"] else not objections


def test_the_misspelling_of_the_published_guide_is_told():
    guide = next(guide for guide in GUIDES if guide["guide"].startswith("contrib/cv/detection/Fcos/"))
    (problem,) = fatal(guide["arguments"])
    assert str(problem) == (
        "--out_nodes: cut to '--out_node': only current atc takes a prefix, write --out_nodes in full"
    )


GOOD = {
    "as it is": {},
    "nodes": {"out_nodes": "Concat_120:0;Cast_7:1"},
    "range": {"input_shape": "input:1~8,3,800,1344", "input_format": "ND"},
    "scalar and colons": {"input_shape": "onnx::Reshape_0:1,3,8,8;scale:"},
    "any size": {"input_shape": "input:-1,3,-1,-1"},
    "no shape": {"input_shape": None},
    "batch gears of two inputs": {"input_shape": "a:-1,3,8,8;b:-1,4;c:2", "dynamic_batch_size": "1,2,4,8"},
    "image gears": {"input_shape": "a:8,3,-1,-1", "dynamic_image_size": "416,416;832,832"},
    "dimension gears of three inputs": {
        "input_shape": "a:1,1,40,-1;b:1,-1;c:-1,-1",
        "dynamic_dims": "20,20,1,1;40,40,2,2;80,60,4,4",
        "input_format": "ND",
    },
    "separator at the end": {"input_shape": "a:1,3,-1,-1", "dynamic_image_size": "416,416;832,832;"},
    "types of outputs": {"output_type": "dets:0:FP16", "out_nodes": "dets:0"},
    "channels last": {
        "input_shape": "input:1,-1,-1,3",
        "dynamic_image_size": "416,416;832,832",
        "insert_op_conf": "aipp.cfg",
        "input_format": "NHWC",
    },
    "AIPP layout": {"insert_op_conf": "aipp.cfg", "input_format": "NHWC"},
}


@pytest.mark.parametrize("changes", GOOD.values(), ids=GOOD.keys())
def test_a_good_line_raises_no_alarm(changes):
    assert check_arguments(line(**changes)) == []


GEARS = {"input_shape": "input:-1,3,800,1344"}
IMAGES = {"input_shape": "input:1,3,-1,-1"}
DIMS = {"input_shape": "input:-1,3,-1,1344", "input_format": "ND"}
PLANTED = {
    "no model": ({"model": None}, "model", "E10054"),
    "no framework": ({"framework": None}, "framework", "E10007"),
    "Caffe": ({"framework": "0"}, "framework", "E10007"),
    "framework by name": ({"framework": "onnx"}, "framework", "E10007"),
    "folder": ({"output": "om_models/"}, "output", "E10022"),
    "blank in a path": ({"model": "my model.onnx"}, "model", None),
    "variable": ({"soc_version": "Ascend${chip_name}"}, "soc_version", "E10001"),
    "prefix twice": ({"soc_version": "AscendAscend310P3"}, "soc_version", "E10001"),
    "layout": ({"input_format": "NHWC"}, "input_format", "E10001"),
    "no name": ({"input_shape": "1,3,800,1344"}, "input_shape", "E10002"),
    "brackets": ({"input_shape": "input:[1,3,800,1344]"}, "input_shape", "E10002"),
    "no number": ({"input_shape": "input:1,3,H,1344"}, "input_shape", "E10002"),
    "size 0": ({"input_shape": "input:0,3,800,1344"}, "input_shape", "E10011"),
    "range backwards": ({"input_shape": "input:8~1,3,800,1344"}, "input_shape", None),
    "gears without -1": ({"dynamic_batch_size": "1,8"}, "input_shape", "E10031"),
    "gears without shape": ({"input_shape": None, "dynamic_batch_size": "1,8"}, "dynamic_batch_size", "E10004"),
    "gears and range": ({"input_shape": "a:-1,3,1~8,8", "dynamic_batch_size": "1,8"}, "input_shape", "E10040"),
    "batch gears on a side": (
        {"input_shape": "input:1,3,-1,1344", "dynamic_batch_size": "1,8"},
        "input_shape",
        "E10018",
    ),
    "image gears on the batch": ({**GEARS, "dynamic_image_size": "8,8;9,9"}, "input_shape", "E10019"),
    "image gears on the channels": (
        {"input_shape": "input:1,-1,-1,3", "dynamic_image_size": "8,8;9,9"},
        "input_shape",
        "E10019",
    ),
    "no chip of the family": ({"soc_version": "Ascend310P"}, "soc_version", "E10001"),
    "gear of one size": ({**IMAGES, "dynamic_image_size": "800;1344,800"}, "dynamic_image_size", "E10020"),
    "one gear": ({**GEARS, "dynamic_batch_size": "8"}, "dynamic_batch_size", "E10035"),
    "101 gears": (
        {**GEARS, "dynamic_batch_size": ",".join(str(size) for size in range(1, 102))},
        "dynamic_batch_size",
        "E10036",
    ),
    "gear 0": ({**GEARS, "dynamic_batch_size": "0,8"}, "dynamic_batch_size", "E10038"),
    "negative gear": ({**GEARS, "dynamic_batch_size": "-1,8"}, "dynamic_batch_size", "E10003"),
    "gear twice": ({**GEARS, "dynamic_batch_size": "8,8"}, "dynamic_batch_size", "E10039"),
    "two kinds": (
        {**GEARS, "dynamic_batch_size": "1,8", "dynamic_image_size": "8,8;9,9"},
        "dynamic_batch_size",
        "E10009",
    ),
    "gears and old range": (
        {**GEARS, "dynamic_batch_size": "1,8", "input_shape_range": "input:[1~8,3,8,8]"},
        "dynamic_batch_size",
        "E10009",
    ),
    "dims without ND": ({**DIMS, "input_format": "NCHW", "dynamic_dims": "1,8;2,8"}, "input_format", "E10001"),
    "dims too few": ({**DIMS, "dynamic_dims": "1;2,8"}, "dynamic_dims", "E10003"),
    "dims and AIPP": ({**DIMS, "dynamic_dims": "1,8;2,8", "insert_op_conf": "a.cfg"}, "insert_op_conf", "E10001"),
    "image gears with ND": (
        {**IMAGES, "input_format": "ND", "dynamic_image_size": "8,8;9,9"},
        "input_format",
        None,
    ),
    "AIPP and float16": ({"insert_op_conf": "a.cfg", "input_fp16_nodes": "input"}, "input_fp16_nodes", "E10034"),
    "AIPP and a range": (
        {"insert_op_conf": "a.cfg", "input_shape": "input:1~8,3,800,1344"},
        "input_shape",
        None,
    ),
    "AIPP and ND": ({"insert_op_conf": "a.cfg", "input_format": "ND"}, "input_format", None),
    "two precisions": ({"precision_mode": "force_fp16", "precision_mode_v2": "fp16"}, "precision_mode", "E10056"),
    "bfloat16": ({"precision_mode_v2": "mixed_bfloat16"}, "precision_mode_v2", "E10001"),
    "mixlist alone": ({"modify_mixlist": "mix.json"}, "modify_mixlist", "E10001"),
    "types without mode": ({"optypelist_for_implmode": "Exp"}, "optypelist_for_implmode", "E10001"),
    "types and a mode for all": (
        {"op_select_implmode": "high_precision_for_all", "optypelist_for_implmode": "Exp"},
        "optypelist_for_implmode",
        None,
    ),
    "implementation": ({"op_select_implmode": "high_preformance"}, "op_select_implmode", "E10001"),
    "mixed outputs": ({"out_nodes": "dets;Concat_1:0"}, "out_nodes", None),
    "type of outputs": ({"output_type": "FP64"}, "output_type", "E10001"),
    "type without nodes": ({"output_type": "dets:0:FP16", "out_nodes": None}, "output_type", "E10001"),
    "log": ({"log": "warn"}, "log", "E10010"),
    "switch": ({"status_check": "true"}, "status_check", "E10006"),
    "removed": ({"auto_tune_mode": "RL,GA"}, "auto_tune_mode", "E10001"),
    "unknown": ({"outnodes": "dets"}, "outnodes", None),
    "prefix": ({"out_nodes": None, "out_node": "dets"}, "out_nodes", None),
    "dash": ({"input_shape": None, "input-shape": "input:1,3,8,8"}, "input_shape", None),
}


@pytest.mark.parametrize(("changes", "option", "code"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_defect_is_found_with_its_cause(changes, option, code):
    (problem, *others) = fatal(line(**changes))
    assert (problem.option, problem.code) == (option, code)
    assert not others


def test_a_blank_after_the_equals_sign_loses_the_value():
    words = [*line(soc_version=None), "--soc_version=", "Ascend310P3"]
    said = [str(problem) for problem in fatal(words)]
    assert said[0] == "--soc_version: the value is missing; write --option=value (E10004)"
    assert said[1].startswith("'Ascend310P3' stands alone")


def test_values_may_follow_after_a_blank():
    assert check_arguments([word for part in line()[1:] for word in part.split("=", 1)]) == []


@pytest.mark.parametrize("chip", ["Ascend310", "Ascend310B1", "Ascend710", "Ascend910B4", "Ascend910_9391"])
def test_another_chip_is_no_mistake_but_told(chip):
    (problem,) = check_arguments(line(soc_version=chip))
    assert not problem.is_fatal
    assert problem.kind == "other chip"


DISCOURAGED = {
    "two precisions of operators": (
        {"op_precision_mode": "p.ini", "op_select_implmode": "high_precision"},
        "op_select_implmode: has no effect beside --op_precision_mode",
    ),
    "blanks": ({"input_shape": "input: 1,3,8,8"}, "input_shape: .* has blanks"),
    "suffix": ({"output": "m.om"}, "output: .* appends .om itself"),
    "large batch": ({**GEARS, "dynamic_batch_size": "8,4096"}, "dynamic_batch_size: batch 4096"),
    "kept types without effect": (
        {"keep_dtype": "k.cfg", "precision_mode_v2": "origin"},
        "keep_dtype: has no effect with 'origin'",
    ),
}


@pytest.mark.parametrize(("changes", "said"), DISCOURAGED.values(), ids=DISCOURAGED.keys())
def test_what_is_legal_and_of_no_use_is_told(changes, said):
    problems = check_arguments(line(**changes))
    assert any(re.search(said, str(problem)) for problem in problems)
    assert not any(problem.is_fatal for problem in problems)


def test_one_dash_is_taken_by_both_parsers_but_told():
    (problem,) = check_arguments([*line(log=None), "-log=info"])
    assert str(problem) == "--log: spelled '-log'; the manual writes --log"
    assert not problem.is_fatal


def test_numbers_beyond_any_size_are_a_problem_not_a_failure():
    (problem,) = fatal(line(input_shape="input:-1,3,8,8", dynamic_batch_size="1," + "9" * 5000))
    assert problem.code == "E10003"


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        (["--help"], []),
        (["--mode=6", "--om=m.om"], []),
        (["--singleop=add.json", "--output=./"], ["soc_version"]),
    ],
)
def test_a_line_that_makes_no_om_of_a_model_needs_less(words, missing):
    assert [problem.option for problem in fatal(words)] == missing


def test_an_option_that_is_given_twice_is_told():
    (problem,) = check_arguments([*line(), "--log=info"])
    assert str(problem) == "--log: given twice, 'info' is taken; give it once"


def test_a_deprecated_option_is_legal_but_told():
    problems = check_arguments(line(op_select_implmode="high_precision", optypelist_for_implmode="Exp"))
    assert [problem.kind for problem in problems] == ["discouraged", "discouraged"]
