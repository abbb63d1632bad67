"""A file that a command of ours writes: read again, and never written over what is read."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from detector.errors import ArtifactError
from detector.files.bounds import Bound
from detector.files.regular import read_bytes


def read_product(path: Path, bound: Bound, *, again: str) -> bytes:
    """The bytes of a file that a command of ours writes.

    Args:
        path: of the file.
        bound: of its bytes.
        again: how it is written again, for messages.

    Raises:
        FileNotFoundError: there is none.
        OSError: it is larger than the bound, and says itself what to do.
        ArtifactError: what lies there is no file that can be read.
    """
    try:
        return read_bytes(path, bound)
    except FileNotFoundError:
        if not path.is_symlink():
            raise
        raise ArtifactError(f"{path} is a link that leads nowhere; remove it and {again}") from None
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise
        # The folder that it should lie in may be none.
        wrong = next((part for part in reversed(path.parents) if os.path.lexists(part) and not part.is_dir()), path)
        raise ArtifactError(f"{wrong}: {error.strerror}; remove it and {again}") from error


def require_apart(products: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuse to write over what is read.

    Raises:
        ArtifactError: a product is one of the inputs, by whatever name.
    """
    inputs = [path for path in inputs if path.exists()]
    for product in products:
        for path in inputs:
            if product.exists() and product.samefile(path):
                raise ArtifactError(
                    f"{product} is the input {path} and would be overwritten; give another path for what is written, "
                    "or move the input"
                )
