"""JSON files of many rows, cut into pieces to be parsed one at a time: memory stays near the size of the file."""

import codecs
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.files.bounds import DATA_BYTES, ROW_BYTES, Bound
from detector.files.json_text import JsonError, parse_json
from detector.files.regular import read_bytes

PIECE_BYTES = 2**20
# More keys than any format has at its top; a file of nothing but keys would fill the memory.
KEYS_MAX = 1000
WHITE = b" \t\r\n"
_MARKS = b"{}[],:"
_IS_MARK = np.isin(np.arange(256), list(_MARKS))
_STEP = np.zeros(256, np.int64)
_STEP[list(b"{[")], _STEP[list(b"}]")] = 1, -1


@dataclass(frozen=True, slots=True)
class Document:
    """A JSON text, its top taken apart and its values not yet parsed.

    Attributes:
        data: the text.
        values: first byte and end of the value of each key, of an object; of the whole under the key "" otherwise.
        cuts: where arrays of rows may be cut: positions of commas between rows, about one in PIECE_BYTES.
    """

    data: bytes
    values: Mapping[str, tuple[int, int]]
    cuts: NDArray[np.int64]

    def is_array(self, key: str) -> bool:
        """Whether a value is an array, by its first character."""
        return self.data[self.values[key][0]] == ord("[")

    def value(self, key: str) -> bytes:
        """The text of a value."""
        start, end = self.values[key]
        return self.data[start:end]

    def pieces(self, key: str) -> Iterator[bytes]:
        """An array cut into texts of shorter arrays; their rows together are its rows.

        Raises:
            JsonError: two commas have no row between them, or a row is larger than `bounds.ROW_BYTES`.
        """
        start, end = self.values[key]
        if self.data[end - 1] != ord("]"):
            raise JsonError(f"not JSON, perhaps truncated: the array {key!r} has no end")
        inside = self.cuts[(self.cuts > start) & (self.cuts < end)].tolist()
        for first, last in zip([start, *inside], [*inside, end - 1], strict=True):
            if last - first > ROW_BYTES.limit + PIECE_BYTES:
                raise JsonError(f"not taken: a row of about {last - first:,} bytes, {ROW_BYTES.refusal}")
            rows = self.data[first + 1 : last]
            if inside and not rows.strip(WHITE):
                raise JsonError(f"not JSON: no value beside the comma at byte {first}")
            yield b"[" + rows + b"]"


def read_document(path: Path, bound: Bound = DATA_BYTES) -> Document:
    """Read a JSON file and take its top apart.

    Raises:
        OSError: as `detector.files.regular.read_bytes`.
        JsonError: as `take_apart`.
    """
    return take_apart(read_bytes(path, bound))


def take_apart(data: bytes) -> Document:
    """Find the values of a JSON text in UTF-8, with or without a byte order mark.

    Every byte outside strings that is no part of a value belongs to a key, which is parsed, or is a separator: parsing
    all values is parsing the whole text.

    Raises:
        JsonError: not UTF-8, brackets do not pair, a key of the top is given twice.
    """
    _require_utf8(data)
    start, end = _strip(data, len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0, len(data))
    opening = data[start : start + 1]
    if opening not in (b"{", b"["):
        parse_json(data)
        return Document(data, {"": (start, end)}, np.zeros(0, np.int64))
    marks = _scan(data, start, row_depth=1 if opening == b"[" else 2)
    if data[marks.end] != (ord("}") if opening == b"{" else ord("]")):
        raise JsonError(f"not JSON: the bracket at byte {marks.end} closes another one")
    if marks.end + 1 < end:
        raise JsonError(f"not JSON: more follows its end at byte {marks.end}")
    if opening == b"[":
        return Document(data, {"": (start, marks.end + 1)}, marks.cuts)
    return Document(data, _values(data, start, marks), marks.cuts)


def _strip(data: bytes, start: int, end: int) -> tuple[int, int]:
    """The same range without the white space at its ends, found without a copy."""
    start = re.compile(rb"[ \t\r\n]*").match(data, start, end).end()  # type: ignore[union-attr]  # matches nothing too
    while end > start:
        window = data[max(start, end - PIECE_BYTES) : end]
        kept = len(window.rstrip(WHITE))
        end -= len(window) - kept
        if kept:
            break
    return start, end


@dataclass(frozen=True, slots=True)
class _Marks:
    """Positions: the last bracket, separators of the top, commas to cut at."""

    end: int
    separators: NDArray[np.int64]
    cuts: NDArray[np.int64]


def _require_utf8(data: bytes) -> None:
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, len(data), PIECE_BYTES):
        block = data[start : start + PIECE_BYTES]
        try:
            decoder.decode(block, final=start + PIECE_BYTES >= len(data))
        except UnicodeDecodeError as error:
            at = start + len(block) - len(error.object) + error.start  # it begins with what the last block left
            byte = error.object[error.start]
            raise JsonError(f"not UTF-8: byte {byte:#04x} at position {at}; save the file as UTF-8") from error


def _values(data: bytes, start: int, marks: _Marks) -> dict[str, tuple[int, int]]:
    """Where the value of each key of the top lies."""
    values: dict[str, tuple[int, int]] = {}
    bounds = [start, *marks.separators.tolist(), marks.end]
    if len(bounds) == 2 and not data[start + 1 : marks.end].strip(WHITE):
        return values
    colons = bounds[1:-1:2]
    if len(bounds) % 2 == 0 or any(data[at] != ord(":") for at in colons):
        raise JsonError("not JSON: keys and values do not alternate")
    if any(data[at] != ord(",") for at in bounds[2:-1:2]):
        raise JsonError("not JSON: keys and values do not alternate")
    for before, colon, after in zip(bounds[:-1:2], colons, bounds[2::2], strict=True):
        key = parse_json(data[before + 1 : colon])
        if not isinstance(key, str):
            raise JsonError(f"not JSON: {key!r} is no key")
        if key in values:
            raise JsonError(f"not taken: the key {key[:80]!r} is given twice in one object")
        values[key] = _strip(data, colon + 1, after)
        if values[key][0] == values[key][1]:
            raise JsonError(f"not JSON: the key {key[:80]!r} has no value")
    return values


def _scan(data: bytes, start: int, *, row_depth: int) -> _Marks:
    separators, cuts = [], []
    quoted, escaped, depth, found = False, False, 0, 0
    for offset in range(start, len(data), PIECE_BYTES):
        block = np.frombuffer(data, np.uint8, min(PIECE_BYTES, len(data) - offset), offset)
        quotes, escaped = _quotes(block, escaped=escaped)
        marks = np.flatnonzero(_IS_MARK[block])
        inside = (np.searchsorted(quotes, marks) + quoted) % 2
        marks = marks[inside == 0]
        quoted = bool((len(quotes) + quoted) % 2)
        steps = _STEP[block[marks]]
        depths = depth + np.cumsum(steps)
        if (depths == 0).any():
            end = offset + int(marks[np.argmax(depths == 0)])
            marks, depths, steps = (each[marks < end - offset] for each in (marks, depths, steps))
        else:
            end = None
        depth = int(depths[-1]) if len(depths) else depth
        own = marks[(depths == 1) & (steps == 0)]
        commas = marks[(depths == row_depth) & (block[marks] == ord(","))]
        if len(commas):
            cuts.append(offset + int(commas[-1]))
        if row_depth > 1:
            separators.append(own + offset)
            found += len(own)
            if found > 2 * KEYS_MAX:
                raise JsonError(f"not taken: more than {KEYS_MAX} keys in one object")
        if end is not None:
            joined = np.concatenate([np.zeros(0, np.int64), *separators])
            return _Marks(end, joined, np.array(cuts, np.int64))
    raise JsonError(f"not JSON, perhaps truncated: it ends at byte {len(data)} before its brackets are closed")


def _quotes(block: NDArray[np.uint8], *, escaped: bool) -> tuple[NDArray[np.int64], bool]:
    """Positions of the quotes that begin or end a string, and whether the next block's first byte is escaped."""
    quotes = np.flatnonzero(block == ord('"'))
    slashes = np.flatnonzero(block == ord("\\"))
    if not len(slashes):
        return (quotes[quotes > 0] if escaped else quotes), False
    begins = np.diff(slashes, prepend=-2) != 1
    runs = np.maximum.accumulate(np.where(begins, slashes, 0))
    if escaped:  # the first byte is no beginning of an escape, whatever it is
        runs[runs == 0] = 1
    targets = slashes[(slashes - runs) % 2 == 0] + 1
    if escaped:
        targets = np.concatenate([[0], targets])
    return np.setdiff1d(quotes, targets, assume_unique=True), bool(targets[-1] == len(block)) if len(targets) else False
