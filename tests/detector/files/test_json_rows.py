import json
import random
from typing import Any

import pytest

from detector.files import json_rows
from detector.files.json_rows import take_apart
from detector.files.json_text import JsonError

ATOMS = (1, 2.5, -3e10, True, None, "a", 'q"uo\\te', "\\\\", '\\"', "{[,:]}", "中\u2028", "")


def value(choose: random.Random, depth: int = 0) -> Any:
    kind = choose.random()
    if depth > 4 or kind < 0.3:
        return choose.choice(ATOMS)
    if kind < 0.65:
        return [value(choose, depth + 1) for _ in range(choose.randrange(5))]
    names = ("a", "b", '"', "\\", "中", "x,y")
    return {choose.choice(names) + str(n): value(choose, depth + 1) for n in range(choose.randrange(4))}


def read(data: bytes) -> Any:
    """The value of a text by its parts, which must be all of it."""
    document = take_apart(data)

    def part(key: str) -> Any:
        if document.is_array(key):
            return [row for piece in document.pieces(key) for row in json.loads(piece)]
        return json.loads(document.value(key))

    whole = data.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] != b"{"
    return part("") if whole else {key: part(key) for key in document.values}


@pytest.mark.parametrize("size", [1, 2, 3, 8, 64, 1000])
def test_the_parts_are_the_whole(monkeypatch: pytest.MonkeyPatch, size: int):
    monkeypatch.setattr(json_rows, "PIECE_BYTES", size)
    for seed in range(60):
        choose = random.Random(seed)
        expected = value(choose)
        text = json.dumps(expected, ensure_ascii=choose.random() < 0.5, indent=choose.choice([None, 1]))
        assert read(text.encode("utf-8-sig" if seed % 3 else "utf-8") + b" \n") == expected


def refuses_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise JsonError("twice")
    return dict(pairs)


def test_what_json_refuses_is_refused_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    """Texts with characters changed, taken out and put in; keys that stand twice are refused at the top."""
    refused = 0
    for seed in range(1500):
        choose = random.Random(seed)
        monkeypatch.setattr(json_rows, "PIECE_BYTES", choose.choice([1, 3, 8, 64]))
        data = bytearray(json.dumps(value(choose), ensure_ascii=False).encode())
        for _ in range(choose.randrange(1, 3)):
            at = choose.randrange(len(data))
            data[at : at + choose.randrange(2)] = choose.choice([b"", *(bytes([c]) for c in b'{}[],:"\\1a ')])
        try:
            expected = json.loads(data.decode(), object_pairs_hook=refuses_keys)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError):  # noqa: PT011  # JsonError, or of the parser of a part
                json.dumps(read_strictly(bytes(data)))
            continue
        assert read(bytes(data)) == expected
    assert 300 < refused < 1400


def read_strictly(data: bytes) -> Any:
    """As `read`, and keys that stand twice further down are refused by whoever parses the parts."""
    result = read(data)
    json.loads(data.decode(), object_pairs_hook=refuses_keys)
    return result


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON, perhaps truncated"),
        (b'{"a": [1, 2', "it ends at byte 11 before its brackets are closed"),
        (b'{"a": 1} x', "more follows its end at byte 7"),
        (b'{"a": 1]', "the bracket at byte 7 closes another one"),
        (b'{"a": 1, "a": 2}', "the key 'a' is given twice in one object"),
        (b'{"a" 1}', "keys and values do not alternate"),
        (b'{"a": 1, }', "keys and values do not alternate"),
        (b'{"a": }', "the key 'a' has no value"),
        (b"{1: 2}", "1 is no key"),
        (b'{"\xff": 1}', "not UTF-8: byte 0xff at position 2"),
        (b"{" + b",".join(b'"%d":1' % n for n in range(1100)) + b"}", "more than 1000 keys in one object"),
    ],
)
def test_what_is_wrong_at_the_top_is_named(data: bytes, message: str):
    with pytest.raises(JsonError, match=message):
        take_apart(data)


def test_a_row_without_end_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMLINE_MAX_ROW_BYTES", "1000")
    row = b'[{"x": "' + b"a" * 2 * json_rows.PIECE_BYTES + b'"}]'
    with pytest.raises(
        JsonError, match=r"a row of about 2,097,1.. bytes, at most 1,000 are taken; set OMLINE_MAX_ROW_B"
    ):
        list(take_apart(row).pieces(""))


@pytest.mark.parametrize("data", [b"[1,,2]", b"[1,2,]", b"[,1]"])
def test_a_comma_without_a_row_is_refused(monkeypatch: pytest.MonkeyPatch, data: bytes):
    monkeypatch.setattr(json_rows, "PIECE_BYTES", 1)
    with pytest.raises(JsonError, match="no value beside the comma"):
        list(take_apart(data).pieces(""))
