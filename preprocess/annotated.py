"""Only the images that an annotation file lists, of a folder that holds more."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from detector.errors import DataError
from detector.files.json_rows import read_document
from detector.files.json_text import JsonError, parse_json
from detector.files.names import require_inside
from detector.terminal.text import shown

log = logging.getLogger(__name__)


def only_annotated(names: Sequence[str], annotations: Path) -> list[str]:
    """The names that a COCO annotation file lists, in their order; how many are left out or missing is said.

    As `postprocess eval` joins them: an annotated name is that of a file, with its folders; failing that, the name
    without folders must be.

    Raises:
        DataError: the file cannot be read or lists none of the images, or a name fits several of them.
    """
    by_base: dict[str, list[str]] = {}
    for name in names:
        by_base.setdefault(PurePosixPath(name).name, []).append(name)
    known, chosen, missing = set(names), set[str](), list[str]()
    for annotated in annotated_names(annotations):
        found = annotated if annotated in known else _by_base(annotated, by_base, annotations)
        if found is None:
            missing.append(annotated)
        else:
            chosen.add(found)
    if not chosen:
        raise DataError(
            f"{annotations} lists none of the {len(names)} images, but {len(missing)} others"
            f"{f', such as {missing[0]!r}' if missing else ''}: are these the annotations of this folder?"
        )
    told = f"{len(chosen)} of {len(names)} images are in {annotations}, the others are left out (--only_annotated)"
    if missing:
        told += f"; {len(missing)} that it lists are not in the folder, such as {missing[0]}"
    log.warning("%s", shown(told))
    return [name for name in names if name in chosen]


def annotated_names(path: Path) -> list[str]:
    """The file names of the images in a COCO annotation file.

    Raises:
        DataError: the file cannot be read, has no images, or gives a name that leads out of the folder.
    """
    try:
        document = read_document(path)
        if "images" not in document.values or not document.is_array("images"):
            raise DataError(f"{path} has no list of images: --only_annotated takes a COCO annotation file")
        rows = [row for piece in document.pieces("images") for row in parse_json(piece)]
    except (OSError, JsonError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"cannot read the annotations {path}: {reason}") from error
    try:
        return [
            require_inside(str(row["file_name"])) for row in rows if isinstance(row, Mapping) and "file_name" in row
        ]
    except ValueError as error:
        raise DataError(f"{path}: a file_name: {error}; write names relative to the image folder") from error


def _by_base(annotated: str, by_base: Mapping[str, Sequence[str]], annotations: Path) -> str | None:
    found = by_base.get(PurePosixPath(annotated).name, ())
    if len(found) > 1:
        raise DataError(
            f"{annotated!r} of {annotations} fits {len(found)} images ({', '.join(found[:3])}); write names with their "
            "folders there"
        )
    return found[0] if found else None
