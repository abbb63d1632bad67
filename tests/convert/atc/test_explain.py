import json
import os
import re
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.atc.errors import EXPLANATIONS, TEXTS, explain_code, explain_log
from detector.errors import ArtifactError

CONVERT = Path(__file__).resolve().parents[3] / "convert"


def told(capsys, *argv):
    main(["explain", *argv])
    lines = capsys.readouterr().out.splitlines()
    return lines[:-1], json.loads(lines[-1])


def test_a_code_is_told_as_cause_and_next_step(capsys):
    lines, document = told(capsys, "E10016")
    assert [line.split()[0] for line in lines] == ["E10016", "cause", "next"]
    assert document["complaints"][0]["code"] == "E10016"
    assert "not in the graph" in document["complaints"][0]["cause"]


def test_several_codes_in_any_case(capsys):
    _, document = told(capsys, "ez3003", "E10054")
    assert [complaint["code"] for complaint in document["complaints"]] == ["EZ3003", "E10054"]


def test_an_unknown_code_is_told_so(capsys):
    lines, document = told(capsys, "E98765")
    assert "not among the codes known here" in lines[1]
    assert document["complaints"][0]["cause"] is None


def test_a_log_is_told_error_by_error(tmp_path, capsys):
    log = tmp_path / "m.atc.log"
    log.write_text(
        "ATC start working now, please wait for a moment.\n...\n"
        "[WARNING] W11001: Op [a] does not hit the library\n"
        "ATC run failed, Please check the detail log\n"
        "E16005: The model has [2] [--domain_version] fields, but only one is allowed.\n"
        "E16005: The model has [2] [--domain_version] fields, but only one is allowed.\n"
        "ModuleNotFoundError: No module named 'decorator'\n"
    )
    lines, document = told(capsys, str(log))
    assert [complaint["code"] for complaint in document["complaints"]] == ["E16005", None, "W11001"]
    assert "imports more than one operator domain" in lines[1]
    assert document["succeeded"] is False


def test_a_log_of_a_success_has_no_complaint(tmp_path, capsys):
    log = tmp_path / "m.atc.log"
    log.write_text("ATC run success, welcome to the next use.\n")
    lines, document = told(capsys, str(log))
    assert lines == ["atc succeeded, without a complaint"]
    assert document == {"succeeded": True, "complaints": []}


def test_what_is_neither_code_nor_file_is_refused(capsys):
    with pytest.raises(ArtifactError, match=r"nowhere\.log is neither an error code such as E10016 nor a log"):
        told(capsys, "nowhere.log")


def test_numbers_that_look_like_codes_are_none():
    assert explain_log(["op E100161 FE10016 /tmp/xE10016y"]) == []


def test_neighbouring_codes_share_an_explanation():
    assert explain_code("E40001") == explain_code("E40024")
    assert explain_code("E40025") is None


def test_every_explanation_has_a_step():
    known = [*EXPLANATIONS.values(), *(explanation for _, explanation in TEXTS)]
    assert all(explanation.cause and explanation.step for explanation in known)
    assert all(re.fullmatch(r"EZ\d{4}|[EW]\d{5}", code) for code in EXPLANATIONS)


def test_every_code_that_the_checker_names_is_explained():
    sources = "".join(path.read_text() for path in (CONVERT / "atc").glob("*.py") if path.name != "errors.py")
    named = set(re.findall(r'"(E\d{5})"', sources))
    assert len(named) > 20
    assert {code for code in named if explain_code(code) is None} == set()


@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a folder"])
def test_only_a_regular_file_is_a_log(tmp_path, kind):
    os.mkfifo(tmp_path / "fifo")
    path = {"a FIFO": tmp_path / "fifo", "a device": "/dev/zero", "a folder": tmp_path}[kind]
    with pytest.raises(ArtifactError, match=f"{path} is neither an error code .* nor a log .*: {kind}, expected"):
        main(["explain", str(path)])


def test_a_log_is_bounded(tmp_path, monkeypatch):
    (tmp_path / "log").write_bytes(b"0123456789")
    monkeypatch.setenv("OMLINE_MAX_DATA_FILE_BYTES", "9")
    with pytest.raises(ArtifactError, match="10 bytes, at most 9 are taken; set OMLINE_MAX_DATA_FILE_BYTES"):
        main(["explain", str(tmp_path / "log")])
