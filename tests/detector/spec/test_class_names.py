from pathlib import Path

import pytest

from detector.errors import SpecError
from detector.spec import DetectorSpec
from detector.spec.class_names import fault, read_class_names, readable, strange_part
from detector.spec.coco_classes import COCO_CLASSES
from detector.spec.settings import Settings
from detector.spec_files import load_spec, read_settings
from tests.detector.spec.yaml_spec import YAML, write


def spec_with(tmp_path: Path, *assignments: str) -> DetectorSpec:
    return read_settings(write(tmp_path, YAML)).override(assignments).spec()


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ("[yes, no]", "item 0 is true, as YAML reads yes, no, on and off"),
        ("[cat, off]", "item 1 is false, as YAML reads yes, no, on and off"),
        ("[1, 2]", "item 0 is no text to YAML but int 1"),
        ("[cat, 1.5]", "item 1 is no text to YAML but float 1.5"),
        ("[cat, ~]", "item 1 is empty or null"),
        ("[cat, 2020-01-01]", "item 1 is no text to YAML but date 2020-01-01"),
    ],
)
def test_names_that_yaml_reads_as_something_else(tmp_path: Path, names: str, what: str):
    with pytest.raises(SpecError, match=rf"--set classes=.*classes: {what}; quote it, .*classes=FILE"):
        spec_with(tmp_path, f"classes={names}")
    with pytest.raises(SpecError, match=rf"mine\.yaml:4: classes: {what}; quote it, "):
        load_spec(write(tmp_path, YAML.replace("[a, b]", names)))


def test_quoted_names_are_names(tmp_path: Path):
    assert spec_with(tmp_path, "classes=['yes', '1']").classes == ("yes", "1")


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ("[a, '']", "name of label 1 is empty"),
        ("[a, b, a]", "'a' is listed twice"),
        ("[a, b, ' a ']", "' a ' is listed twice, but for blanks or the coding of letters, as label 0"),
        ("['\u00e9', 'e\u0301']", "is listed twice, but for blanks or the coding of letters, as label 0"),
        ('[a, "b\\x1b[31m"]', r"name of label 1 has the character '\\x1b', which no name of a class has"),
        ('["a\\0"]', r"name of label 0 has the character '\\x00'"),
        ('["a\\u202eb"]', r"name of label 0 has the character '\\u202e'"),
        (f"[{'n' * 300_000}]", "name of label 0 has 300,000 characters"),
    ],
)
def test_names_that_tell_no_classes_apart(tmp_path: Path, names: str, why: str):
    with pytest.raises(SpecError, match=why):
        spec_with(tmp_path, f"classes={names}")


@pytest.mark.parametrize("text", ["cat\nyes\n1\n", "cat\r\nyes\r\n1", "\ufeff cat \nyes\n1\n\n\n"])
def test_a_file_of_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str):
    (tmp_path / "names.txt").write_bytes(text.encode())
    assert load_spec(write(tmp_path, YAML.replace("[a, b]", "names.txt"))).classes == ("cat", "yes", "1")
    assert spec_with(tmp_path, f"classes={tmp_path}/names.txt").classes == ("cat", "yes", "1")
    monkeypatch.chdir(tmp_path)
    assert Settings({}).override(["classes=names.txt"]).document["classes"] == ("cat", "yes", "1")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the name of label 0 is empty"),
        ("\ufeff\ufeffa\nb".encode(), r"the name of label 0 has the character '\\ufeff', which no name"),
        (b"a\nb\0\n", r"the name of label 1 has the character '\\x00'"),
        (b"a\nb\x1b[2J\n", r"the name of label 1 has the character '\\x1b'"),
        (b"a\n\nb\n", "the name of label 1 is empty"),
        (b"a\nb\na\n", "'a' is listed twice"),
        ("狗\n猫\n".encode("gbk"), r"not UTF-8 \(byte 0xb9 at position 0\): save it as UTF-8"),
    ],
)
def test_files_that_are_no_names(tmp_path: Path, content: bytes, why: str):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=rf"names\.txt: {why}"):
        read_class_names(path)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(SpecError, match=r"classes: .*cats: No such file .*; expected `coco`, a list, or a text file"):
        load_spec(write(tmp_path, YAML.replace("[a, b]", "cats")))
    with pytest.raises(SpecError, match=r"a folder, expected a file; expected `coco`"):
        load_spec(write(tmp_path, YAML.replace("[a, b]", "./")))


def test_the_word_coco_is_no_file(tmp_path: Path):
    (tmp_path / "coco").write_text("cat\n")
    assert load_spec(write(tmp_path, YAML.replace("[a, b]", "coco"))).classes == COCO_CLASSES


def test_no_artifact_makes_us_open_a_file(tmp_path: Path):
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    document = read_settings(write(tmp_path, YAML)).document | {"classes": str(tmp_path / "names.txt")}
    with pytest.raises(SpecError, match="classes: "):
        Settings(document).spec()


def test_values_nested_without_end_are_errors():
    with pytest.raises(SpecError, match=r"--set classes=\[+: nested too deeply") as refused:
        Settings({}).override(["classes=" + "[" * 5000])
    assert len(str(refused.value)) < 6000


@pytest.mark.parametrize("name", ["cat", " cat ", "\u732b", "\u0645\u06cc\u200c\u062e", "a" * 1000, "A", "\U0001f408"])
def test_names_that_people_read(name: str):
    assert fault([name, "other"]) is None
    assert fault(["Cat", "cat", "CAT"]) is None  # as COCO's tools: their names are compared letter by letter
    assert strange_part(name) is None


def test_what_nobody_reads_is_written_as_its_escape():
    assert readable("a\x1b\ufeff\ud800b") == r"a\x1b\ufeff\ud800b"
    assert len(readable("n" * 300_000)) < 200
