"""A mistake in a spec's YAML, told with its line."""

import os
from pathlib import Path

import pytest

from detector.errors import SpecError
from detector.spec_files import load_spec
from tests.detector.spec.yaml_spec import YAML, write

# What is written instead of a part of `YAML`, and all that must be said about it after the path.
MISTAKES = [
    ("canvas", "canvass", r":2: unknown key 'canvass'; did you mean 'canvas'\?$"),
    (
        "canvas: [64, 96]",
        "canvass: 1\nclases: 2",
        r":2: unknown key 'canvass'; did you mean 'canvas'\? \(and 1 more\)$",
    ),
    ("detector", "detectr", r":1: unknown key 'detectr'; did you mean 'detector'\?$"),
    ("mean:", "maen:", r":3: unknown key 'image\.maen'; did you mean 'mean'\?$"),
    ("std: [1, 1, 1]", "std: [1, 1, 1], shrt: 3", r":3: unknown key 'image\.shrt'; did you mean 'short'\?$"),
    ("classes", "short: 3\nclasses", r":4: unknown key 'short'; did you mean 'image\.short'\?$"),
    ("std: [1, 1, 1]", "std: [1, 1, 1], name: x", r":3: unknown key 'image\.name'; did you mean 'name'\?$"),
    ("classes", "qqq: 3\nclasses", r":4: unknown key 'qqq'$"),
    ("canvas: [64, 96]\n", "", r":1: key 'canvas' is missing$"),
    ("canvas: [64, 96]\nimage", "image", r":1: key 'canvas' is missing$"),
    ("{channels: BGR, ", "\n  {", r":3: key 'image\.channels' is missing$"),
    ("{channels: BGR, mean: [1, 2, 3], ", "{", r":3: key 'image\.channels' is missing \(and 1 more\)$"),
    ("std: [1, 1, 1]", "std: [1, 0, 1]", r":3: image\.std: must be positive, got \[1\.0, 0\.0, 1\.0\]$"),
    ("std: [1, 1, 1]", "std: [57.12, 57.375]", r":3: image\.std: expected 3 values, got 2$"),
    ("std: [1, 1, 1]", "std: []", r":3: image\.std: expected 3 values, got 0$"),
    ("std: [1, 1, 1]", "std: [1, 1, 1, 1]", r":3: image\.std: expected 3 values, got 4$"),
    ("std: [1, 1, 1]", "std: [1,\n 1,\n x]", r":5: image\.std\.2: Input should be a valid number.*, got 'x'$"),
    ("[64, 96]", "[64]", r":2: canvas: expected 2 values, got 1$"),
    ("[64, 96]", "[64, 96, 3]", r":2: canvas: expected 2 values, got 3$"),
    ("[64, 96]", "[16, 96]", r":2: canvas: height and width must be in 32\.\.16384, got 16x96$"),
    ("[64, 96]", "64", r":2: canvas: .*got '64'$"),
    ("BGR", "GBR", r":3: image\.channels: Input should be 'BGR' or 'RGB', got 'GBR'$"),
    ("fcos", "yolo", r":1: detector: Input should be .*'fcos'.*, got 'yolo'$"),
    ("[a, b]", "[a, a]", r":4: classes: 'a' is listed twice$"),
    ("[a, b]", "[]", r":4: classes: expected at least 1 value\(s\), got 0$"),
    ("[a, b]", "[a, b]\ncategory_ids: [1]", r":5: category_ids: has 1 entries, classes has 2$"),
    ("[a, b]", "[a, b]\ncategory_ids: [1, 1]", r":5: category_ids: an id is listed twice$"),
    ("[a, b]", "[a, b]\ndecode:\n  max_detections: 2000", r":6: decode\.max_detections: .*1000, got '2000'$"),
    ("[a, b]", "[a, b]\ndecode: {score_threshold: .nan}", r":5: decode\.score_threshold: .*finite number"),
    (
        "[a, b]",
        "[a, b]\nreferences:\n- ap: 1\n  sha256: x",
        r":6: key 'references\.0\.checkpoint' is missing \(and 2 more\)$",
    ),
    ("[a, b]", "[a, b]\nname: a b", r":5: name: .*got 'a b'$"),
    ("[a, b]", "[a, b]\ncanvas: [32, 32]", r":5: key 'canvas' is given twice, first in line 2$"),
    ("std: [1", "std: [2, 2, 2],\n std: [1", r":4: key 'image\.std' is given twice, first in line 3$"),
    (
        "[a, b]",
        "[a, b]\nreferences:\n- {ap: 1, ap: 2}",
        r":6: key 'references\.0\.ap' is given twice, first in line 6$",
    ),
    ("[1, 2, 3]", "[yes, no, 0]", r":3: image\.mean: expected a number, got true as item 0, as YAML reads yes, no, on"),
    (
        "[64, 96]",
        "[64, off]",
        r":2: canvas: expected a number, got false as item 1, as YAML reads yes, no, on and off$",
    ),
    ("[a, b]", "[a, b]\ndecode: {max_detections: on}", r":5: decode\.max_detections: expected a number, got true, as"),
    ("[a, b]", "[a, b]\natc: {dims: [[1, 64, on]]}", r":5: atc\.dims: expected a number, got true as item 0\.2, as"),
    ("[a, b]", "[a, b]\natc: {op_debug_level: no}", r":5: atc\.op_debug_level: expected a number, got false, as YAML"),
    ("[a, b]", "[a, b]\ngraph: {columns: [box, classes, yes]}", r":5: graph\.columns: .* got true as item 2"),
    ("[a, b]", "[a, b]\nreferences: [{checkpoint: a, sha256: 'x', ap: no, source: x}]", r":5: references\.0\.\w+: "),
    ("[a, b]", "[a, b]\nname: no", r":5: name: .*valid string, got 'False'; quote it if it is a text$"),
    ("[a, b]", "[a, b]\natc: {log: null}", r":5: atc\.log: .*, got 'None'; quote it if it is a text$"),
    ("[a, b]", "[a, b]\nassume: no", r":5: assume: Input should be 'defaults', got 'False'$"),
    ("[a, b]", "[a, b]\non: 3", r":5: key 'on' is no text to YAML \(bool\); expected the name of a setting$"),
    ("[a, b]", "[a, b]\ndecode: {iou_threshold: 0,5}", r":5: key 'decode\.5' is no text to YAML \(int\); expected"),
    (
        "[a, b]",
        "[a, b]\nnetwork: {strides: [8, 16]}",
        r":5: network: strides must be .* are one with commas, such as '8,16', got",
    ),
    ("[64, 96]", "[0100, 0100]", r":2: YAML reads 0100 as 64 \(base 8\): write 100 \(or 64\), or quote it if it is"),
    ("[64, 96]", "[64,\n  1:36]", r":3: YAML reads 1:36 as 96 \(base 60\): write 96, or quote it if it is a text$"),
    ("[1, 2, 3]", "[1:30.5, 2, 3]", r":3: YAML reads 1:30\.5 as 90\.5 \(base 60\): write 90\.5, or quote"),
    ("[1, 2, 3]", "[-010, 2, 3]", r":3: YAML reads -010 as -8 \(base 8\): write -10 \(or -8\), or quote"),
    ("[1, 2, 3]", "[1_2.5, 2, 3]", r":3: YAML reads 1_2\.5 as 12\.5 \(underscores left out\): write 12\.5, or quote"),
    ("[64, 96]", "[6_4, 96]", r":2: YAML reads 6_4 as 64 \(underscores left out\): write 64, or quote"),
    ("[a, b]", "[12:30, b]", r":4: YAML reads 12:30 as 750 \(base 60\): write 750, or quote it if it is a text$"),
    ("[a, b]", "[2024-01-01, b]", r":4: classes: item 0 is no text to YAML but date 2024-01-01; quote it"),
    ("[a, b]", "[a, b", r":5: not YAML: expected ',' or '\]', but got '<stream end>'$"),
    ("[a, b]", "\x00", r": not YAML: .*special characters"),
    ("[a, b]", "2020-13-45", r": not YAML: month must be in 1\.\.12$"),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES, ids=[repr(new) for _, new, _ in MISTAKES])
def test_a_mistake_is_told_with_its_file_and_line(tmp_path: Path, old: str, new: str, message: str):
    with pytest.raises(SpecError, match=message) as caught:
        load_spec(write(tmp_path, YAML.replace(old, new, 1)))
    assert str(caught.value).startswith(f"{tmp_path / 'mine.yaml'}:")
    assert "\n" not in str(caught.value)


MERGED = YAML.replace("image: {", "image:\n  <<: &plain {std: [2, 2, 2]}\n  ").replace("R, mean", "R\n  mean")


def test_a_merged_key_is_no_twin(tmp_path: Path):
    text = MERGED.replace("], std", "]\n  std").replace("1]}", "1]")
    assert load_spec(write(tmp_path, text)).image.std == (1, 1, 1)
    with pytest.raises(SpecError, match=r":7: image\.std: expected 3 values, got 1$"):
        load_spec(write(tmp_path, text.replace("[1, 1, 1]", "[1]")))


def test_a_yaml_that_holds_itself_ends(tmp_path: Path):
    with pytest.raises(SpecError, match=r":5: a value holds itself"):
        load_spec(write(tmp_path, YAML + "network: &n {x: *n}"))


def laugh(form: str) -> str:
    return "a0: &a0 {k0: 1}\n" + "".join(form.format(new=index, old=index - 1) for index in range(1, 40))


@pytest.mark.parametrize(
    "form", ["a{new}: &a{new} [*a{old}, *a{old}]\n", "a{new}: &a{new} {{<<: [*a{old}, *a{old}], k{new}: 1}}\n"]
)
def test_aliases_of_aliases_are_counted_before_they_are_followed(tmp_path: Path, form: str):
    with pytest.raises(SpecError, match=r"more than 100,000 values, aliases followed; set OMLINE_MAX_SPEC_VALUES if"):
        load_spec(write(tmp_path, YAML + laugh(form)))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("name: !!binary aGVsbG8=", r":5: the tag '!!binary' on 'aGVsbG8=' is not taken: write the value itself"),
        ("x: !!set {a, b}", ":5: the tag '!!set' is not taken"),
        ("x: !!python/object/apply:os.system [ls]", ":5: the tag '!!python/object/apply:os.system' is not taken"),
        ("x: !!float", ":5: the tag '!!float' on '' is not taken"),
        ("x: !!int y", ":5: the tag '!!int' on 'y' is not taken"),
        ("x: !!timestamp y", ":5: the tag '!!timestamp' on 'y' is not taken"),
        ("x: " + "[" * 2000 + "]" * 2000, ": nested too deeply"),
        ("---\nx: 1", ":5: not YAML: but found another document; a spec is one document"),
        (
            "x: " + "9" * 5000,
            r"not YAML: Exceeds the limit \(4300 digits\) for integer string conversion: value has 5000 digits$",
        ),
        ("canvas_: 0x" + "f" * 5000, "unknown key 'canvas_'"),
        ("name: 0x" + "f" * 5000, "name: Input should be a valid string, got 'a number of thousands of digits'"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_plain_yaml_is_an_error_of_one_line(tmp_path: Path, line: str, problem: str):
    with pytest.raises(SpecError, match=problem) as caught:
        load_spec(write(tmp_path, YAML + line + "\n"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_numbers_may_be_written_in_every_way_that_has_one_meaning(tmp_path: Path):
    text = YAML.replace("[64, 96]", "[0x40, 9.6e+1]").replace("[1, 2, 3]", "[1e1, +2., -.5]")
    spec = load_spec(write(tmp_path, text + "category_ids: [01, 08]\nnetwork: {norm_on_bbox: yes, eps: 1e-5}\n"))
    assert (spec.canvas, spec.image.mean, spec.category_ids) == ((64, 96), (10, 2, -0.5), (1, 8))
    assert spec.network == {"norm_on_bbox": True, "eps": "1e-5"}


@pytest.mark.parametrize("text", [YAML.replace("\n", "\r\n"), f"%YAML 1.2\n---\n{YAML}...\n"])
def test_line_ends_and_directives_are_fine(tmp_path: Path, text: str):
    (tmp_path / "mine.yaml").write_bytes(text.encode())
    assert load_spec(tmp_path / "mine.yaml").classes == ("a", "b")


def test_tags_that_say_what_is_there_are_fine(tmp_path: Path):
    spec = load_spec(
        write(tmp_path, YAML.replace("[a, b]", "!!seq [!!str 1, !!str yes]").replace("[1, 2", "[!!float 1, 2"))
    )
    assert spec.classes == ("1", "yes")
    assert spec.image.mean == (1, 2, 3)


@pytest.mark.parametrize(("encoding", "byte"), [("gbk", "0xbc"), ("latin-1", "0xe9"), ("utf-16", "0xff")])
def test_another_encoding_is_named_with_its_line(tmp_path: Path, encoding: str, byte: str):
    text = YAML.replace("[a, b]", "[é, b]" if encoding == "latin-1" else "[检测, b]")
    (tmp_path / "mine.yaml").write_bytes(text.encode(encoding))
    line = 1 if encoding == "utf-16" else 4
    with pytest.raises(SpecError, match=rf":{line}: not UTF-8: byte {byte}; save it as UTF-8 \(of GBK: iconv"):
        load_spec(tmp_path / "mine.yaml")


def test_a_byte_order_mark_is_fine(tmp_path: Path):
    (tmp_path / "mine.yaml").write_bytes(b"\xef\xbb\xbf" + YAML.encode())
    assert load_spec(tmp_path / "mine.yaml").classes == ("a", "b")


def test_a_yaml_is_a_regular_file_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(tmp_path / "fifo.yaml")
    with pytest.raises(OSError, match="a FIFO, expected a regular file"):
        load_spec(tmp_path / "fifo.yaml")
    monkeypatch.setenv("OMLINE_MAX_YAML_BYTES", "20")
    with pytest.raises(OSError, match=r"at most 20 are taken; set OMLINE_MAX_YAML_BYTES if more is meant"):
        load_spec(write(tmp_path, YAML))
