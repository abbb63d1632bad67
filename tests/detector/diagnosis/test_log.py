import pytest

from detector.diagnosis.log import LINE_CHARACTERS, explain_log

FAILED = "ATC run failed, Please check the detail log, Try 'atc --help' for more information"


def first(text: str):
    return explain_log(text.splitlines())[0]


@pytest.mark.parametrize(
    ("text", "code", "cause"),
    [
        # A stage's code, then what its kernel says.
        (
            "E40021: Failed to compile Op [a]. (optype: [Add])\n  E90003: cause: Template constraint, bfloat16",
            "E90003",
            "template",
        ),
        ("E20001: Failed to compile Op [a]\n  E60005: The dtype of x must in [int8]", "E60005", "element type"),
        # An error without a meaning of its own, then the line that says it.
        ("EZ9999: Inner Error!\nEZ9999: [PID: 1] op node7 fails in InferShape", "EZ9999", "do not go together"),
        (
            "E89999: Inner Error!\n   op[c1], the dtype is not same, type1:DT_INT64, type2:DT_INT32",
            "E89999",
            "element types",
        ),
        ("E19999: Inner Error!\n  Node: [n] has a name conflict in the graph", "E19999", "have one name"),
        # The runtime's argument is a consequence.
        ("EL0003: The argument is invalid.\n  halDeviceOpen failed, code 7", "EL0003", "could not be started"),
        ("open device 3 failed, result = 507033.\nEL0004: Failed to allocate memory.", "EL0004", "used up"),
        (
            "set device 0 failed: 507033\nE30006: Failed to verify the OPP",
            "E30006",
            "package for the AI CPU was refused",
        ),
        ("error code is 207004\nEE1001: Reason: set ASCEND_RT_VISIBLE_DEVICES:9 error", "EE1001", "names a device"),
        (
            "EE1001: The argument is invalid.Reason: ModelCheckCompatibility failed, the model socVersion=Ascend310",
            "EE1001",
            "another chip",
        ),
        (
            "EH9999: Inner Error!\nEH9999: wait failed, runtime result = 507018.\n  [aicpu exception]",
            "507018",
            "AI CPU",
        ),
        (
            "EE1001: Reason: rtX failed, reason=[context pointer null]\n  [Node:r_1] infer shape failed",
            "",
            "do not go together",
        ),
        # What Python says is the reason of a code.
        (
            "EC0010: Failed to import Python module [AttributeError: np.float_ was removed in NumPy 2.0].",
            "EC0010",
            "numpy 2",
        ),
        (
            "error code is 500001\nModuleNotFoundError: No module named 'decorator'",
            "",
            "kernel compiler needs is missing",
        ),
        # The first of equals.
        ("E10016: Opname [x] is not found\nE10054: empty", "E10016", "not in the graph"),
        ("load model from file failed, model file is m.om\nret is 145000", "", "damaged"),
        ("load m.om\nACL_ERROR_RT_TASK_TYPE_NOT_SUPPORT", "507009", "kind of task"),
        ("fail, ret: 0x7BC80", "507008", "chip's name"),
        # A program that runs into a model that was not loaded.
        ("m.cpp:1 aclError:145000\nm.cpp:2 aclError:100000\nrun: line 5: 9 Segmentation fault", "145000", "damaged"),
    ],
)
def test_the_first_cause_is_told_and_not_what_follows(text: str, code: str, cause: str):
    found = first(f"{FAILED}\n{text}")
    assert found.code == code
    assert found.advice is not None
    assert cause in found.advice.cause


def test_what_follows_comes_after_and_warnings_last():
    lines = ["W11001: slow", "E19999: Inner Error!", "E10042: GenerateOfflineModel", "E16005: The model has [2]"]
    assert [complaint.code for complaint in explain_log(lines)] == ["E16005", "E10042", "E19999", "W11001"]
    assert [complaint.is_warning for complaint in explain_log(lines)] == [False, False, False, True]


def test_each_thing_is_told_once():
    lines = ["ret 507011", "E16005: a", "E16005: b", "ret is 507011", "ret 507015"]
    assert [complaint.code for complaint in explain_log(lines)] == ["E16005", "507011", "507015"]


def test_an_error_without_a_meaning_is_told_by_its_next_line():
    assert first("E19999: Inner Error!\nE19999: [PID: 1] Param model is a riddle").line.endswith("is a riddle")
    assert (
        first("EE9999: Inner Error!\n  TraceBack (most recent call last):\n   it is a riddle").line
        == "EE9999: it is a riddle"
    )
    assert first("E19999: it says something\n  more").line == "E19999: it says something"


def test_advice_of_the_vendor_is_no_complaint():
    assert explain_log(["Solution: 1. see E19999 and No module named 'te'", " Possible Cause: E10016"]) == []


def test_a_log_without_complaints_has_none():
    assert explain_log(["ATC run success, welcome to the next use.", "", "[INFO] size:507011"]) == []


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (["Segmentation fault"], "NonMaxSuppression with 3 or 4 inputs"),
        (
            ["ATC start working now, please wait for a moment.", "atc: line 9: 12 Segmentation fault"],
            "NonMaxSuppression",
        ),
        (["[INFO] acl init success", "Segmentation fault (core dumped)"], "while an OM was loaded or run"),
        (["run.sh: line 2: 9 Segmentation fault  python3 infer.py --model m.om"], "while an OM was loaded or run"),
    ],
)
def test_a_bare_crash_is_explained_by_what_ran(lines: list[str], cause: str):
    (found,) = explain_log(lines)
    assert found.advice is not None
    assert cause in found.advice.cause


@pytest.mark.parametrize(("exit_code", "cause"), [(139, "crash"), (-11, "crash"), (137, "memory"), (-9, "memory")])
def test_the_exit_code_may_be_the_only_complaint(exit_code: int, cause: str):
    assert cause in explain_log(["nothing"], exit_code)[0].advice.cause
    assert explain_log(["nothing"], 1) == []
    assert explain_log(["E10016: x"], exit_code)[0].code == "E10016"


def test_a_log_of_many_lines_is_quick():
    lines = [f"[INFO] epoch {number} of the run, all is well with worker {number}" for number in range(20_000)]
    assert explain_log([*lines, "E10016: x"])[0].code == "E10016"


def test_of_a_line_without_end_the_beginning_is_read():
    (found,) = explain_log(["E10016 said first " + "x" * LINE_CHARACTERS + " E10001"])
    assert found.code == "E10016"
