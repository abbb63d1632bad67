import os
from pathlib import Path

import pytest

from detector.diagnosis.answer import answer, asked
from detector.errors import ArtifactError


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("E10016", "E10016"),
        ("ez3003", "EZ3003"),
        (" EI0006 ", "EI0006"),
        ("QX1234", "QX1234"),
        ("507011", "507011"),
        ("ACL_ERROR_RT_MODEL_EXECUTE", "507011"),
        ("EL003", "EL003"),
    ],
)
def test_a_code_is_known_by_its_form(what: str, code: str):
    complaint = asked(what)
    assert complaint is not None
    assert complaint.code == code


@pytest.mark.parametrize("what", ["m.atc.log", "results", "42", "E1", ""])
def test_other_words_are_no_codes(what: str):
    assert asked(what) is None


def test_a_file_comes_before_a_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert answer("E10016")[0][0].line == ""
    Path("E10016").write_text("E16005: The model has [2]\n")
    complaints, lines = answer("E10016")
    assert [complaint.code for complaint in complaints] == ["E16005"]
    assert lines == ["E16005: The model has [2]"]


def test_what_is_neither_is_refused(tmp_path: Path):
    with pytest.raises(
        ArtifactError, match=r"nowhere\.log is neither an error code such as E10016 or 507011 nor a log"
    ):
        answer("nowhere.log")
    with pytest.raises(ArtifactError, match=r"^42 is no return code of the card's runtime: those have six digits"):
        answer("42")


@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a folder"])
def test_only_a_regular_file_is_a_log(tmp_path: Path, kind: str):
    os.mkfifo(tmp_path / "fifo")
    path = {"a FIFO": tmp_path / "fifo", "a device": "/dev/zero", "a folder": tmp_path}[kind]
    with pytest.raises(ArtifactError, match=f"{path} is neither an error code .* nor a log .*: {kind}, expected"):
        answer(str(path))


def test_a_log_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "log").write_bytes(b"0123456789")
    monkeypatch.setenv("OMLINE_MAX_DATA_FILE_BYTES", "9")
    with pytest.raises(ArtifactError, match="10 bytes, at most 9 are taken; set OMLINE_MAX_DATA_FILE_BYTES"):
        answer(str(tmp_path / "log"))


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path: Path):
    (tmp_path / "log").write_bytes(b"\xff\xfe E\nE10016: x\n")
    assert answer(str(tmp_path / "log"))[0][0].code == "E10016"
