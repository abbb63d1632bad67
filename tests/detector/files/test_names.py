"""Names that a file gives stay inside their folder."""

import pytest

from detector.files.names import require_inside, require_stem


@pytest.mark.parametrize("name", ["a.jpg", "a/001.jpg", "…/图片 1.jpg", "..a.jpg", "a..b/c", "a\\b.jpg", ".hidden"])
def test_names_inside_are_taken_as_they_are(name: str):
    assert require_inside(name) == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "names no file"),
        (".", "names no file"),
        ("../a.jpg", "leads out of its folder"),
        ("a/../../b", "leads out of its folder"),
        ("a\\..\\..\\b", "leads out of its folder"),
        ("..", "names no file"),
        ("/etc/passwd", "absolute path"),
        ("\\\\host\\share", "absolute path"),
        ("C:\\x.jpg", "absolute path"),
        ("C:/x.jpg", "absolute path"),
        ("a\0b", "control characters"),
        ("a\nb", "control characters"),
        ("a\udc80b", "control characters or is not UTF-8"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str, words: str):
    with pytest.raises(ValueError, match=words):
        require_inside(name)


def test_stems_are_what_ais_bench_takes():
    assert require_stem("000000000139-_a") == "000000000139-_a"
    for stem in ("", "a.b", "a/b", "../a", "/a", "a b", "图", "a" * 241, "a\n"):
        with pytest.raises(ValueError, match="is no stem of a bin"):
            require_stem(stem)
