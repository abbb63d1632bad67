"""Foreign text is shown, not obeyed."""

from detector.terminal import shown


def test_controls_are_written_as_escapes():
    assert shown("a\x1b[2Jb\r\n\x9b31m\u202ec\udc80") == "a\\x1b[2Jb\\r\\n\\x9b31m\\u202ec\\udc80"


def test_other_text_is_left_alone():
    assert shown("图片 é 🙂 \\x1b") == "图片 é 🙂 \\x1b"
    assert shown("a\nb\tc", keep="\n\t") == "a\nb\tc"
