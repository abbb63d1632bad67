"""Foreign text is shown, not obeyed."""

from detector.terminal.text import WORD_MAX, brief, shortened, shown


def test_controls_are_written_as_escapes():
    assert shown("a\x1b[2Jb\r\n\x9b31m\u202ec\udc80") == "a\\x1b[2Jb\\r\\n\\x9b31m\\u202ec\\udc80"


def test_other_text_is_left_alone():
    assert shown("图片 é 🙂 \\x1b") == "图片 é 🙂 \\x1b"
    assert shown("a\nb\tc", keep="\n\t") == "a\nb\tc"


def test_long_words_of_a_message_are_shortened():
    message = f"{'x' * WORD_MAX} and {'y' * WORD_MAX} z"
    assert brief(message) == message
    assert brief(f"a {'x' * (WORD_MAX + 1)} b") == f"a {'x' * 230}… of {WORD_MAX + 1} characters b"


def test_the_beginning_of_a_long_text_is_shown():
    assert shortened("x" * 120) == "x" * 120
    assert shortened("x" * 121) == "x" * 100 + "… of 121 characters"
