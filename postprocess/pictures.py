"""pictures.json: which bytes the scored images had when they were preprocessed, for who shows them with detections."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from detector.errors import ArtifactError, DataError
from detector.files.atomic import as_json
from detector.files.bounds import MANIFEST_BYTES
from detector.files.digest import sha256_of
from detector.files.json_text import parse_json
from detector.products.again import PREPROCESS_AGAIN
from detector.products.product_file import read_product

PICTURES_NAME = "pictures.json"
UNBOUND = (
    "which pictures were preprocessed is not recorded (bins of an earlier version, an info file, or a result file): "
    "those drawn are not compared"
)


def pictures_text(pictures: Mapping[int | str, str]) -> str:
    """The content of the file, of the hex SHA-256 of the image files by COCO image id."""
    return as_json([[image_id, sha256] for image_id, sha256 in pictures.items()], indent=None)


def read_pictures(results: Path, sha256: str, *, again: str) -> dict[int | str, str]:
    """Hex SHA-256 of the image file by COCO image id.

    Args:
        results: folder of the evaluation.
        sha256: of the file, as metrics.json has it.
        again: how the file is written again, for messages.

    Raises:
        ArtifactError: it is not the one that was written.
    """
    path = results / PICTURES_NAME
    try:
        data = read_product(path, MANIFEST_BYTES, again=again)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found, which metrics.json beside it names; {again}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ArtifactError(f"{path} is not the file that metrics.json names: changed since; {again}")
    return dict(parse_json(data))


def require_picture(path: Path, expected: str | None) -> None:
    """Refuse an image that is not the one that was preprocessed.

    Args:
        path: of the image.
        expected: its hex SHA-256 then; None: not known.

    Raises:
        DataError: it was replaced or edited since.
    """
    if expected is not None and sha256_of(path) != expected:
        raise DataError(
            f"{path} is not the picture that was preprocessed (its SHA-256 is another): put that one back, or "
            f"{PREPROCESS_AGAIN}, then inference and eval"
        )
