import json
import re
from pathlib import Path

import pytest

from convert.__main__ import main
from detector.diagnosis.tables import codes
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


def test_a_code_in_no_table_is_told_by_its_block(capsys):
    lines, document = told(capsys, "E98765")
    assert "in no public table; codes of its block: a kernel could not be compiled" in lines[1]
    assert document["complaints"][0]["cause"] == lines[1].removeprefix("  cause  ")


def test_codes_of_the_card_are_answered_too(capsys):
    lines, document = told(capsys, "507011", "EE1001")
    assert [complaint["code"] for complaint in document["complaints"]] == ["507011", "EE1001"]
    assert "the execution of the model failed" in lines[1]


def test_a_log_is_told_by_its_first_cause(tmp_path, capsys):
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
    assert [complaint["next"] is None for complaint in document["complaints"]] == [False, True, True]
    assert "imports more than one operator domain" in lines[1]
    assert lines[3].startswith("  also   no code  a Python package that the kernel compiler needs is missing")
    assert document["succeeded"] is False


def test_a_log_of_ais_bench_is_answered_too(tmp_path, capsys):
    (tmp_path / "log").write_text("[INFO] acl init success\n[ERROR] open device 7 failed, ret = 107001\n")
    _, document = told(capsys, str(tmp_path / "log"))
    assert document["complaints"][0]["code"] == "107001"


def test_only_a_log_without_a_code_is_sent_to_the_debug_log(tmp_path, capsys):
    (tmp_path / "log").write_text("nothing is said\n")
    lines, document = told(capsys, str(tmp_path / "log"))
    assert lines == ["no error code in it; set atc.log: debug to see more"]
    assert document == {"succeeded": False, "complaints": []}


def test_a_log_of_a_success_has_no_complaint(tmp_path, capsys):
    log = tmp_path / "m.atc.log"
    log.write_text("ATC run success, welcome to the next use.\n")
    lines, document = told(capsys, str(log))
    assert lines == ["atc succeeded, without a complaint"]
    assert document == {"succeeded": True, "complaints": []}


def test_what_is_neither_code_nor_file_is_refused(capsys):
    with pytest.raises(
        ArtifactError, match=r"nowhere\.log is neither an error code such as E10016 or 507011 nor a log"
    ):
        told(capsys, "nowhere.log")


def test_every_code_that_the_checker_names_is_explained():
    sources = "".join(path.read_text() for path in (CONVERT / "atc").glob("*.py") if path.name != "explain.py")
    named = set(re.findall(r'"(E\d{5})"', sources))
    assert len(named) > 20
    assert named <= set(codes())
