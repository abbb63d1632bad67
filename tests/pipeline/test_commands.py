"""The console command's table: every word leads to a form of `python -m` that is there."""

import os
import sys
from importlib import import_module

import pytest

from pipeline import commands
from tests.test_layers import ROOT, STAGES


def leads_to(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """The command line that `omline WORDS` becomes."""

    class Became(BaseException):
        pass

    def become(program: str, line: list[str]) -> None:
        assert program == line[0] == sys.executable
        raise Became(*line[1:])

    monkeypatch.setattr(os, "execv", become)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/omline", *words])
    with pytest.raises(Became) as became:
        commands.main()
    return list(became.value.args)


def test_a_word_becomes_its_form_with_all_that_follows(monkeypatch: pytest.MonkeyPatch):
    assert leads_to(monkeypatch, "lint", "a b.onnx", "--json") == ["-P", "-m", "convert", "lint", "a b.onnx", "--json"]
    assert leads_to(monkeypatch, "convert", "lint", "--help") == ["-P", "-m", "convert", "lint", "--help"]
    assert leads_to(monkeypatch, "infer") == ["-P", "-m", "infer"]


def test_every_command_is_listed():
    assert {form.split()[0] for form, _ in commands.COMMANDS.values()} == {*STAGES, "pipeline"}
    assert {path.parent.name for path in ROOT.glob("*/__main__.py")} == {*STAGES, "pipeline", "benchmarks"}
    words = set(commands.COMMANDS)
    assert {"export", "convert", "preprocess", "infer", "eval", "report", "lint", "doctor", "inspect"} <= words


@pytest.mark.parametrize("word", commands.COMMANDS)
def test_every_form_is_there(capsys: pytest.CaptureFixture[str], word: str):
    form = commands.COMMANDS[word][0]
    package, *rest = form.split()
    with pytest.raises(SystemExit) as end:
        import_module(f"{package}.__main__").main([*rest, "--help"])
    assert end.value.code in (0, None)
    assert capsys.readouterr().out.startswith(f"usage: python -m {form} ")


def said(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/omline", *words])
    with pytest.raises(SystemExit) as end:
        commands.main()
    return end.value.code


def test_the_help_lists_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    assert said(monkeypatch, "--help") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  lint        will atc take this ONNX file?  [python -m convert lint]" in lines
    assert [line.split()[0] for line in lines if "[python -m " in line] == list(commands.COMMANDS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("exprot",), "invalid choice: 'exprot' (choose from 'export', 'inspect'"),
        (("--version", "lint"), "the command comes first: omline COMMAND [OPTION ...]"),
        (("--json", "lint"), "unrecognized arguments: --json"),
        (("--vers",), "the following arguments are required: COMMAND"),
    ],
)
def test_what_is_no_command_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
):
    assert said(monkeypatch, *words) == 2
    assert message in capsys.readouterr().err


def test_the_version_stands_in_one_place(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(commands, "version", lambda name: f"version of {name}")
    assert said(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == "version of omline\n"
