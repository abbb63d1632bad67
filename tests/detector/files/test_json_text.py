"""JSON of other origin: whole, single keys, bounded depth."""

from pathlib import Path

import pytest

from detector.files.json_text import JsonError, parse_json, read_json


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'{"a": 1, "a": 2}', "the key 'a' is given twice"),
        (b'[{"b": {"c": 1, "c": 1}}]', "the key 'c' is given twice"),
        (b'{"a": 1', "not JSON, perhaps truncated"),
        (b"\xff\xfe", "not UTF-8: byte 0xff at position 0"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "not taken: Exceeds the limit"),
    ],
)
def test_what_is_no_plain_json_is_refused_in_one_line(text: bytes, words: str):
    with pytest.raises(JsonError, match=words) as caught:
        parse_json(text)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_content(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": [1, "\xe5\x9b\xbe"]}')
    assert read_json(tmp_path / "a.json") == {"a": [1, "图"]}
