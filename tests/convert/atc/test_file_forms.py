import re
from pathlib import Path

import pytest

from convert.atc.file_forms import file_problem

GOOD = {
    "names and types": ("keep_dtype", "k.cfg", "Conv_1\n/head/Exp\nOpType::Exp\n\n"),
    "types to add": (
        "modify_mixlist",
        "m.json",
        '{"black-list": {"to-add": ["Exp"]}, "white-list": {"to-remove": []}}',
    ),
    "no change": ("modify_mixlist", "m.json", "{}"),
    "sections": ("op_precision_mode", "p.ini", "[ByOpType]\nExp=high_precision\n[ByNodeName]\nExp_1 = keep_fp16\n"),
    "no section": ("op_precision_mode", "p.ini", "# of one type\nGatherV2=support_out_of_bound_index\n"),
    "a mode of another operator": ("op_precision_mode", "p.ini", "Conv2D=enable_float_32_execution\n"),
    "passes": ("fusion_switch_file", "f.cfg", "ConvBatchnormFusionPass:off\nTransdataCastFusionPass : on\n"),
    "JSON": ("fusion_switch_file", "f.cfg", '{"Switch": {"GraphFusion": {"ALL": "off"}, "UBFusion": {"ALL": "on"}}}'),
    "any": ("customize_dtypes", "c.cfg", "Conv_1: InputDtype:float16\n"),
}
PLANTED = {
    "two names a line": ("keep_dtype", "k.cfg", "Exp_1 Exp_2", r"'Exp_1 Exp_2': expected one name"),
    "no JSON": ("modify_mixlist", "m.json", "Exp", "is not JSON"),
    "another suffix": ("modify_mixlist", "m.txt", "{}", r"must be a \.json file"),
    "another list": ("modify_mixlist", "m.json", '{"grey-list": {}}', "got .'grey-list'"),
    "a list of types": ("modify_mixlist", "m.json", '{"black-list": ["Exp"]}', "'black-list' must be"),
    "a misspelt change": ("modify_mixlist", "m.json", '{"black-list": {"to-ad": ["Exp"]}}', "'black-list' must be"),
    "one type": ("modify_mixlist", "m.json", '{"white-list": {"to-add": "Exp"}}', "'white-list' must be"),
    "no ini": ("op_precision_mode", "p.cfg", "Exp=high_precision", r"must be an \.ini file"),
    "another section": ("op_precision_mode", "p.ini", "[ByType]\nExp=high_precision", r"\[ByType\] is none of"),
    "no mode": ("op_precision_mode", "p.ini", "[ByOpType]\nExp\n", "'Exp': expected OPERATOR=MODE"),
    "the misspelling of a guide": ("op_precision_mode", "p.ini", "Exp=high_preformance", "did you mean 'high_perform"),
    "an equals sign": ("fusion_switch_file", "f.cfg", "APass=off", "'APass=off': expected PASS:off or PASS:on"),
    "neither on nor off": ("fusion_switch_file", "f.cfg", "APass:of", "'APass:of': expected PASS:off"),
    "cut JSON": ("fusion_switch_file", "f.cfg", '{"Switch": {"GraphFusion"', "is not the JSON that atc reads"),
    "JSON without end": ("fusion_switch_file", "f.cfg", '{"Switch":' * 10**5, "reads: not taken: nested too deeply"),
    "a list without end": ("modify_mixlist", "m.json", "[" * 10**5, "is not taken: nested too deeply"),
    "a key twice": ("modify_mixlist", "m.json", '{"black-list": {}, "black-list": {}}', "'black-list' is given twice"),
    "JSON of another key": ("fusion_switch_file", "f.cfg", '{"GraphFusion": {"ALL": "off"}}', "KeyError"),
    "JSON of another value": ("fusion_switch_file", "f.cfg", '{"Switch": {"UBFusion": {"ALL": 0}}}', "a switch is 0"),
}


@pytest.mark.parametrize(("option", "name", "text"), GOOD.values(), ids=GOOD.keys())
def test_a_file_of_the_manuals_form_raises_no_alarm(option, name, text):
    assert file_problem(option, Path(name), text) is None


@pytest.mark.parametrize(("option", "name", "text", "said"), PLANTED.values(), ids=PLANTED.keys())
def test_a_file_of_another_form_is_named(option, name, text, said):
    assert re.search(said, file_problem(option, Path(name), text) or "nothing")
