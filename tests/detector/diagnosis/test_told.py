from detector.diagnosis.answer import asked
from detector.diagnosis.log import explain_log
from detector.diagnosis.told import FOLLOWING_MAX, document, lines_of, sentence

LOG = ["W11001: slow", "E20001: Failed to compile Op [a]", "E10044: The available memory is [1 KB]", "ret 507011"]


def test_the_cause_has_a_next_step_and_the_rest_has_none():
    lines = lines_of(explain_log(LOG))
    assert [line.split()[0] for line in lines] == ["E10044", "cause", "next", "also", "also", "also"]
    assert lines[0] == "E10044  E10044: The available memory is [1 KB]"
    assert [line.split()[1] for line in lines[3:]] == ["E20001", "507011", "W11001"]
    entries = document(explain_log(LOG))
    assert [entry["code"] for entry in entries] == ["E10044", "E20001", "507011", "W11001"]
    assert [entry["next"] is None for entry in entries] == [False, True, True, True]
    assert all(entry["cause"] for entry in entries)


def test_a_code_is_told_under_both_its_names():
    assert lines_of([asked("E19010")])[0] == "E19010 (E13010)"
    assert lines_of([asked("E13010")])[0] == "E13010 (E19010)"
    assert lines_of([asked("E10016")])[0] == "E10016"


def test_a_word_of_the_form_of_a_code_is_told_to_be_none():
    assert lines_of([asked("QX1234")]) == ["QX1234", "  no code that CANN documents, nor of a block that it has"]
    assert document([asked("QX1234")]) == [{"code": "QX1234", "line": None, "cause": None, "next": None}]
    assert sentence([asked("QX1234")]) == ""


def test_many_complaints_are_counted():
    lines = lines_of(explain_log([f"E100{number:02}: x" for number in range(2, 2 + FOLLOWING_MAX + 8)]))
    assert lines[-1] == "  also   7 more"
    assert len(lines) == 3 + FOLLOWING_MAX + 1


def test_nothing_is_told_of_nothing():
    assert lines_of([]) == []
    assert sentence([]) == ""


def test_a_sentence_names_the_others():
    assert sentence(explain_log(LOG)).endswith("(also in the log: E20001, 507011, W11001)")
    assert sentence(explain_log(["E10044: x"])).startswith(
        "; that is: the machine has too little memory; next: free some"
    )


def test_a_long_or_obeyed_line_is_shown():
    told = lines_of(explain_log(["E10044: \x1b[2J" + "x" * 1000]))[0]
    assert "\x1b" not in told
    assert told.endswith("...")
    assert len(told) < 400
