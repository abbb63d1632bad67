"""The rows of a COCO file, piece by piece, each checked; what is wrong is named with its row."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError, from_json

from detector.errors import DataError
from detector.files.json_rows import Document, read_document
from detector.files.json_text import JsonError, parse_json
from detector.spec import spec_problem
from postprocess.rows.ids import ID_ERROR
from postprocess.rows.oddities import Oddities, row_name


def open_document(path: Path) -> Document:
    """Take a JSON file apart.

    Raises:
        OSError: missing, no regular file, or too large.
        DataError: not JSON, perhaps truncated; not UTF-8; a key given twice.
    """
    try:
        return read_document(path)
    except JsonError as error:
        raise DataError(f"{path} is {error}") from error


def rows_of(row: Any) -> pydantic.TypeAdapter[list[Any]]:
    """Reads a list of such rows up to the first wrong one: a list of a million wrong ones has a million problems."""
    return pydantic.TypeAdapter(Annotated[list[row], pydantic.FailFast()])


def parse_rows(
    path: Path,
    document: Document,
    key: str,
    adapter: pydantic.TypeAdapter[list[Any]],
    names: Sequence[str],
    kind: str,
    odd: Oddities,
) -> Iterator[list[Any]]:
    """The rows of one array, in pieces; a text, `true` or `false` is taken for the number that it means, and counted.

    Args:
        path: of the file, for messages.
        document: its content.
        key: of the array; "": the whole document.
        adapter: of a list of rows, see `rows_of`.
        names: keys of a row that are read.
        kind: what the file should be, for messages.
        odd: counts what is odd.

    Raises:
        DataError: no JSON, not such rows, or a row has a key twice, of which readers would take either.
    """
    first = 0
    try:
        for piece in _texts(document, key):
            rows, reworded = _validated(piece, adapter, names)
            what = f"{key or 'rows'} have a text, true or false for a number: taken as the number that it means"
            odd.count(what, [first + row for row in reworded], row_name)
            # Cheap and never blind: a key that stands twice stands more often than it was read, or as escapes.
            if b"\\u00" in piece or any(
                piece.count(f'"{name}"'.encode()) != sum(name in row for row in rows) for name in names
            ):
                parse_json(piece)
            yield rows
            first += len(rows)
    except JsonError as error:
        raise DataError(f"{path} is {error}") from error
    except ValidationError as error:
        raise DataError(f"{path} is {_problem(error, key, first, kind)}") from error


def _validated(
    piece: bytes, adapter: pydantic.TypeAdapter[list[Any]], names: Sequence[str]
) -> tuple[list[Any], list[int]]:
    """Rows, and which of them have something else for a number."""
    try:
        return adapter.validate_json(piece, strict=True), []
    except ValidationError:
        rows = adapter.validate_json(piece)
    given = parse_json(piece)
    return rows, [
        number
        for number, (row, taken) in enumerate(zip(given, rows, strict=True))
        if any(_is_reworded(row[name], taken[name]) for name in names if name in taken)
    ]


def _is_reworded(given: Any, taken: Any) -> bool:
    if isinstance(given, list):
        return any(map(_is_reworded, given, taken))
    return isinstance(given, str | bool) and type(given) is not type(taken)


def require_json(path: Path, document: Document, keys: Sequence[str]) -> None:
    """Values that are not read must be JSON too: the file may be damaged there.

    Raises:
        DataError: one is none.
    """
    for key in keys:
        try:
            for piece in _texts(document, key):
                from_json(piece, cache_strings=False)
        except (JsonError, ValueError) as error:
            raise DataError(f"{path} is not JSON, perhaps truncated: {key}: {error}") from error


def _texts(document: Document, key: str) -> Iterable[bytes]:
    return document.pieces(key) if document.is_array(key) else [document.value(key)]


def _problem(error: ValidationError, key: str, first: int, kind: str) -> str:
    """What is wrong, with the row's place in the file instead of in the piece."""
    problems = error.errors(include_url=False)
    if problems[0]["type"] == "json_invalid":
        rows = f"{key or 'rows'} from row {first} on" if first else key or "rows"
        return f"not JSON, perhaps truncated: {rows}: {problems[0]['msg']}"
    shifted: list[InitErrorDetails] = []
    for problem in problems:
        row, *rest = problem["loc"] or ("",)
        place = (row + first, *rest) if isinstance(row, int) else problem["loc"]
        known: str | PydanticCustomError = problem["type"]
        if known == ID_ERROR:  # pydantic does not know ours
            known = PydanticCustomError(ID_ERROR, "{text}", {"text": problem["msg"]})
        details = InitErrorDetails(type=known, loc=(*([key] if key else []), *place), input=problem["input"])
        if "ctx" in problem:
            details["ctx"] = problem["ctx"]
        shifted.append(details)
    return f"not {kind}: {spec_problem(ValidationError.from_exception_data(error.title, shifted))}"
