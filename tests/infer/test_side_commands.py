import json
from pathlib import Path

import pytest

from detector import cli
from infer.__main__ import main


def run(*argv: str) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        cli.run(main, argv)
    return caught.value.code


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    document: dict[str, object] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return document


def test_a_code_is_explained(capsys: pytest.CaptureFixture[str]):
    assert run("explain", "507011") == 0
    assert str(last_line(capsys)["means"]).startswith("the execution of the model failed")


@pytest.mark.parametrize(("code", "means"), [("E10016", "not in the graph"), ("ez9999", "no code of its own")])
def test_a_code_of_atc_is_explained_here_too(code: str, means: str, capsys: pytest.CaptureFixture[str]):
    assert run("explain", code) == 0
    assert means in str(last_line(capsys)["means"])


def test_a_number_that_is_no_code_is_an_error(capsys: pytest.CaptureFixture[str]):
    assert run("explain", "42") == 1
    assert "error: 42 is no return code of the card's runtime" in capsys.readouterr().err


def test_a_log_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "run.log").write_text("[INFO] acl init success\n[ERROR] open device 7 failed, ret = 107001\n")
    assert run("explain", str(tmp_path / "run.log")) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == [
        "107001  [ERROR] open device 7 failed, ret = 107001",
        "  cause  there is no device of this number",
    ]
    findings = json.loads(out[-1])["findings"]
    assert [item["said"] for item in findings] == ["code 107001", "[ERROR] open device 7 failed, ret = 107001"]
    assert [item["step"] is None for item in findings] == [False, True]


def test_an_unknown_log_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "run.log").write_text("all is well\n")
    assert run("explain", str(tmp_path / "run.log")) == 0
    assert "nothing in" in capsys.readouterr().out


def test_a_result_of_our_own_runner_is_explained(world: Path, capsys: pytest.CaptureFixture[str]):
    arguments = ["--model", "b4.onnx", "--input", "five", "--output", "out", "--output_dirname", "r", "--loop", "2"]
    assert run(*arguments) == 0
    capsys.readouterr()
    for what in ("out/r", "out/r_summary.json"):
        assert run("explain", what) == 0
        out = capsys.readouterr().out
        assert "4 executions on this CPU" in out
        assert "the 5 files alone without padding" in out
        (speed,) = json.loads(out.splitlines()[-1])["summaries"]
        assert (speed["samples"], speed["loop"], speed["copy_in_ms"], speed["is_cpu"]) == (5, 2, 0.0, True)


def test_what_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]):
    assert run("explain", "nowhere") == 1
    assert "nowhere not found: give a result folder" in capsys.readouterr().err


def test_the_doctor_tells_and_exits(capsys: pytest.CaptureFixture[str], world: Path):
    assert run("doctor", "--for", "laptop") == 0
    assert last_line(capsys)["fit"] is True
