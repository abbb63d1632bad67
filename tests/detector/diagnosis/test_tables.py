import re
from pathlib import Path

import pytest

from detector.diagnosis.tables import (
    ASKED,
    CODE,
    HEXADECIMAL,
    RANKS,
    RETURNED,
    codes,
    explain_code,
    explain_return,
    names,
    other_name,
    returns,
)

FOLDER = Path(__file__).resolve().parents[3] / "detector/diagnosis"


def rows(name: str) -> list[list[str]]:
    lines = (FOLDER / name).read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_all_documented_codes_are_there():
    tables = [row[-1].split(", ") for row in rows("codes.tsv")[1:]]
    assert [sum(table in found for found in tables) for table in ("8.1", "8.1 kernels", "8.1 aoe")] == [518, 97, 12]
    assert sum("2026" in found for found in tables) > 480
    assert sum("2026" in row[-1] for row in rows("returns.tsv")) > 220


@pytest.mark.parametrize(("name", "width"), [("codes.tsv", 5), ("returns.tsv", 6)])
def test_every_row_is_whole(name: str, width: int):
    assert {len(row) for row in rows(name)} == {width}
    first = [row[0] for row in rows(name)]
    assert len(set(first)) == len(first)


def test_every_advice_has_a_cause_a_step_and_a_rank():
    for advice in [*codes().values(), *returns().values()]:
        assert advice.cause
        assert advice.step
        assert advice.rank in RANKS


def test_nothing_that_has_a_code_is_sent_to_the_debug_log():
    assert not [code for code, known in codes().items() if "log: debug" in known.step or "log=debug" in known.step]


def test_every_code_has_the_form_of_one_and_a_block():
    listed = [code for code in codes() if not code.endswith("*")]
    assert [code for code in listed if not CODE.fullmatch(code)] == []
    assert [code for code in listed if explain_code(f"{code[:2]}777{code[5:]}") is None] == []


@pytest.mark.parametrize(
    ("code", "cause", "step"),
    [
        ("E40021", "one operator's kernel could not be compiled", "the Python stack"),
        ("E40002", "this Python is too old", "Python version"),
        ("E40003", "could not open a JSON file", "run atc alone"),
        ("E40022", "out of range", "inside its range"),
        ("E40023", "does not exist", "path"),
        ("E40024", "could not call a Python function", "set_env.sh of one CANN only"),
        ("EC0010", "a Python module could not be imported", "numpy<2"),
        ("EA0000", "an operator could not be compiled", "Python stack"),
        ("EE1001", "an OM that was built for another chip", "soc_version"),
        ("EE9999", "CANN's runtime", "doctor"),
        ("EL0003", "an illegal argument", "doctor"),
        ("EL0004", "memory could not be allocated", "Memory-Usage"),
        ("EH9999", "AscendCL", "return code"),
        ("EZ9999", "no code of its own", "convert lint"),
        ("E89999", "no code of its own", "convert lint"),
        ("E13009", "two nodes of the graph have one name", "names every node once"),
        ("E16001", "no input", "export it with its input"),
        ("EG10000", "aoe's network", "reason"),
    ],
)
def test_a_code_means_what_the_vendor_says(code: str, cause: str, step: str):
    known = explain_code(code)
    assert known is not None
    assert cause in known.cause
    assert step in known.step


def test_codes_of_two_releases_are_one():
    assert explain_code("E19010") == explain_code("E13010") == codes()["E13010"]
    assert (other_name("E19010"), other_name("E13010")) == ("E13010", "E19010")
    assert other_name("E19999") is None
    assert other_name("E10016") is None
    assert explain_code("E19999") == codes()["E19999"]


def test_a_code_in_no_table_has_its_block():
    known = explain_code("EI0099")
    assert known is not None
    assert known.cause == "in no public table; codes of its block: an error of the communication between cards (HCCL)"
    assert known.rank == "vague"
    assert explain_code("W77777").rank == "warning"


def test_any_two_letters_and_four_digits_are_a_code():
    assert ASKED.fullmatch("QX1234")
    assert explain_code("QX1234") is None
    assert explain_code("EL003") == explain_code("EL0003")


@pytest.mark.parametrize("text", ["", "7", "E", "E123", "model", "e2e", "E10016.log"])
def test_other_words_are_none(text: str):
    assert explain_code(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("E10016: Opname", ["E10016"]),
        ("[ACL ERROR] EZ9999[PID: 7] x (EZ9999):", ["EZ9999", "EZ9999"]),
        ("Invalid_Argument(EL0003): no", ["EL0003"]),
        ("EL003: no", ["EL003"]),
        ("CANN errorEE9999: Inner Error!", []),
        ("op E100161 FE10016 /tmp/xE10016y a.E10016 model_E10016 EL003 EA12", []),
    ],
)
def test_codes_are_found_where_they_are_printed(text: str, found: list[str]):
    assert CODE.findall(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "CANN failure 507011", "errno:507011",
        "ret 507011", "ret is 507011", "ret=507011", "ret[507011]", "errorCode=507011", "error code is 507011",
        "aclError:507011", "ret_code = 507011", "aclRet=507011",
        "runtime result = 507011", "failed: 507011", "error:507011", "failed, errorCode = 507011", "ErrCode=507011",
        "ACL error, the error code is : 507011", "failed ret is 507011.", "return code: 507011", "ACL  error,507011",
    ],
)  # fmt: skip
def test_a_return_code_is_found_where_a_word_says_so(text: str):
    assert RETURNED.findall(f"[ERROR] aclX {text}") == ["507011"]


@pytest.mark.parametrize(
    "text",
    [
        "files0 size:507011",
        "[PID: 507011]",
        "taskID 507011",
        "ret 1507011",
        "result 5070111",
        "error 120000",
        "507011",
        "failed 100500",
        "error 200100",
        "status 500123",
        "result 300999",
    ],
)
def test_a_number_that_is_no_code_is_left_alone(text: str):
    assert RETURNED.findall(text) == []


def test_a_return_code_has_a_number_a_name_and_a_hexadecimal_form():
    assert explain_return("ACL_ERROR_RT_MODEL_EXECUTE") == explain_return("507011") == returns()["507011"]
    assert names()["ACL_ERROR_GE_PARAM_INVALID"] == "145000"
    assert int(HEXADECIMAL.findall("fail, ret: 0x7BC80[FUNC:x] 0x7020010")[0], 16) == 507008
    assert len(HEXADECIMAL.findall("fail, ret: 0x7BC80[FUNC:x] 0x7020010")) == 1


@pytest.mark.parametrize(
    ("number", "cause", "step"),
    [
        ("145000", "the OM is damaged", "SHA-256"),
        ("561002", "cut an operator's work", "another shape"),
        ("507011", "built with another CANN than runs it", "with the CANN of this host"),
        ("507008", "the chip's name could not be read", "npu-smi"),
        ("100039", "for compiling, not for running", "devlib"),
        ("107099", "environment", "doctor"),
        ("207099", "resource", "npu-smi"),
        ("507099", "internal", "plog"),
    ],
)
def test_a_return_code_means_what_the_reference_says(number: str, cause: str, step: str):
    known = explain_return(number)
    assert known is not None
    assert cause in known.cause
    assert step in known.step
    assert ("unlisted" in known.cause) == (number not in returns())


@pytest.mark.parametrize("number", ["0", "7", "12345", "400000", "1234567", "-1", "x"])
def test_other_numbers_are_no_return_codes(number: str):
    assert explain_return(number) is None


def test_a_release_is_named_for_every_table():
    head = (FOLDER / "codes.tsv").read_text().split("code\trank")[0]
    assert re.search(r"8\.1\.RC1 .*518", head, re.DOTALL)
    assert all(word in head for word in ("hicann/ge", "hicann/runtime", "in our words"))
