from pathlib import Path

import pytest

from detector.class_names import read_class_names
from detector.coco import COCO_CLASSES
from detector.errors import SpecError
from detector.spec import DetectorSpec
from detector.spec_files import Settings, load_spec, read_settings
from tests.detector.yaml_spec import YAML, write


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
    ("names", "why"), [("[a, '']", "name of label 1 is empty"), ("[a, b, a]", "'a' is listed twice")]
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
