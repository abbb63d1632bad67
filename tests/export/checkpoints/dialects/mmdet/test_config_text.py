import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.checkpoints.dialects.mmdet.config_text import SPLAT, UNKNOWN, ConfigError, parse_config


def test_dict_calls_literals_and_arithmetic_are_read():
    text = "lr = 0.01 / 8\nbig = 2 * 3 + 1\nmodel = dict(type='FCOS', a=[1, (2, -3)], b={'c': None}, d=True, e=1.0 / 3)"
    assert parse_config(text) == {
        "lr": 0.01 / 8,
        "big": 7,
        "model": {"type": "FCOS", "a": [1, (2, -3)], "b": {"c": None}, "d": True, "e": 1.0 / 3},
    }


def test_names_assigned_earlier_are_known():
    assert parse_config("norm = dict(mean=[1])\nstep = dict(type='Normalize', **norm)")["step"] == {
        "type": "Normalize",
        "mean": [1],
    }


@pytest.mark.parametrize(
    "value",
    [
        "f(1)",
        "open('x')",
        "a.b",
        "__import__('os').system('touch X')",
        "[x for x in y]",
        "1 / 0",
        "'a' * 10**9",
        "{{_base_.a}}",
        "10 ** 10",
        "lambda: 0",
        "x[0]",
    ],
)
def test_everything_else_is_unknown_and_not_run(value: str):
    assert parse_config(f"a = {value}\nb = 1") == {"a": UNKNOWN, "b": 1}


def test_growing_numbers_stop():
    text = "a = 10\n" + "\n".join("a = a * a" for _ in range(60))
    assert parse_config(text)["a"] is UNKNOWN


@pytest.mark.parametrize(
    "change", ["a.update(b=2)", "a['b'] = 2", "del a", "for a in [1]: pass", "if x: a = 3", "a += 1"]
)
def test_a_name_that_a_statement_may_change_is_unknown(change: str):
    assert parse_config(f"a = dict(b=1)\n{change}")["a"] is UNKNOWN


def test_a_dictionary_with_an_unknown_part_says_so():
    assert parse_config("a = dict(b=1, **f())")["a"] == {"b": 1, SPLAT: UNKNOWN}


@pytest.mark.parametrize("text", ["", "not python at all :", "a = (", "\0", "(" * 5000, "a = " + "1+" * 100_000 + "1"])
def test_garbage_gives_nothing(text: str):
    assert parse_config(text) == {}


def test_source_files_behind_each_other_are_merged():
    text = (
        "/home/me/configs/_base_/fcos.py\nmodel = dict(type='FCOS', head=dict(a=1, b=2), neck=dict(c=3))\n\n"
        "configs/fcos/mine.py\n_base_ = ['../_base_/fcos.py']\n"
        "model = dict(head=dict(b=5), neck=dict(_delete_=True, d=4))\n"
    )
    model = parse_config(text)["model"]
    assert model["head"] == {"a": 1, "b": 5}
    assert model["neck"] == {"_delete_": True, "d": 4}
    assert model["type"] == "FCOS"


@given(st.text(max_size=80))
def test_any_text_gives_a_dictionary(text: str):
    assert isinstance(parse_config(text), dict)


LAUGHS = "m = dict(k=1)\n" + "m = dict(x=m, y=m)\n" * 40
BOMBS = {
    "laughs": LAUGHS,
    "laughs that are merged": f"a.py\n{LAUGHS[:400]}\nb.py\n{LAUGHS[:400]}",
    "lists": "m = [1]\n" + "m = [m, m]\n" * 40,
    "splats": "m = dict(k=[1] )\n" + "m = dict(**m, x=[m, m])\n" * 40,
    "long texts": f"m = '{'x' * 100_000}'\nm = [m, m, m, m, m, m, m, m]\n" + "m = [m, m]\n" * 9,
    "many parts": "".join(f"a.py\nm = dict(k{i}=1)\n" for i in range(5000)),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_values_without_end_are_refused_before_they_are_made(text: str):
    with pytest.raises(
        ConfigError, match=r"more than 200,000 values, at most 200,000 are taken; set OMLINE_MAX_CONFIG"
    ):
        parse_config(text)


def test_values_in_each_other_without_end_are_refused():
    with pytest.raises(ConfigError, match="more than 100 dictionaries and lists in each other"):
        parse_config("m = [1]\n" + "m = [m]\n" * 200)
    assert parse_config("m = [1]\n" + "m = [m]\n" * 90)["m"]


def test_long_texts_are_refused(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ConfigError, match=r"400,001 characters, at most 400,000 are taken; set OMLINE_MAX_CONFIG_CHAR"):
        parse_config("x" * 400_001)
    monkeypatch.setenv("OMLINE_MAX_CONFIG_CHARACTERS", "2000000")
    assert parse_config("a = 1\n" * 70_000) == {"a": 1}


def test_whole_numbers_that_no_setting_has_are_infinite():
    assert parse_config(f"a = {10**4000}\nb = -{10**400}\nc = 1e999") == {
        "a": float("inf"),
        "b": UNKNOWN,
        "c": float("inf"),
    }


@pytest.mark.parametrize(
    "change",
    [
        "steps[0]['scale'] = 3",
        "steps.append(4)",
        "last = steps.pop()",
        "for step in steps:\n    step['scale'] = 3",
        "def change():\n    steps[0]['scale'] = 3\nchange()",
        "class Change:\n    steps[0]['scale'] = 3",
    ],
)
def test_what_a_statement_may_change_is_unknown_wherever_it_stands(change: str):
    text = f"steps = [dict(scale=1)]\nother = [5]\ndata = dict(test=dict(pipeline=steps), other=other)\n{change}"
    assert parse_config(text)["data"] == {"test": {"pipeline": [UNKNOWN]}, "other": [5]}


def test_functions_that_only_read_change_nothing():
    values = parse_config("names = ['a', 'b']\ncount = len(names)\nhead = dict(names=names)\nshown: str = 'x'")
    assert values == {"names": ["a", "b"], "count": UNKNOWN, "head": {"names": ["a", "b"]}, "shown": "x"}


def test_what_reaches_every_name_leaves_none_known():
    values = parse_config("steps = [dict(scale=1)]\nnumber = 3\nglobals()['steps'][0]['scale'] = 3")
    assert (values["steps"], values["number"]) == ([UNKNOWN], 3)
