"""One output file of inference: read whole, and whether it is the one that inference wrote."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError
from detector.files.bounds import Bound
from detector.files.npy import NpyHeader, read_header
from detector.files.regular import open_regular
from detector.products.again import INFER_AGAIN
from detector.products.bins_manifest import BinImage
from detector.products.product_file import read_product
from detector.products.results_origin import origin_path
from detector.spec import TensorSpec

# A header of .npy takes some hundred bytes, and its numbers may be of twice the size that is expected.
HEADER_BYTES = 2**16


def npy_header(path: Path, image: BinImage) -> NpyHeader:
    """The header of a .npy file.

    Args:
        path: of the file.
        image: for messages.

    Raises:
        OSError: no such regular file.
        ArtifactError: no header of plain numbers, or fewer follow.
    """
    with open_regular(path) as stream:
        try:
            return read_header(stream, f"{path} (image {image.file_name})")
        except ArtifactError as error:
            raise ArtifactError(f"{error}; {INFER_AGAIN}") from error


def read_output(path: Path, tensor: TensorSpec, image: BinImage, digests: Mapping[str, str] | None) -> NDArray[Any]:
    """One output of one image, of the tensor's shape and element type.

    Args:
        path: .bin or .npy.
        tensor: what it must hold.
        image: for messages.
        digests: hex SHA-256 by name of the folder's files; None: not recorded.

    Raises:
        OSError: no such file, or far too large.
        ArtifactError: no regular file, not what inference wrote, or another tensor.
    """
    bound = Bound("OMLINE_MAX_RESULT_BYTES", 2 * tensor.num_bytes + HEADER_BYTES, "bytes")
    data = read_product(path, bound, again=INFER_AGAIN)
    if digests is not None and hashlib.sha256(data).hexdigest() != digests[path.name]:
        raise ArtifactError(
            f"{path} (image {image.file_name}) is not what inference wrote (its SHA-256 is not the one in "
            f"{origin_path(path.parent).name}): changed, swapped or of another run; {INFER_AGAIN}"
        )
    if path.suffix == ".bin":
        return np.frombuffer(data, tensor.dtype).reshape(tensor.shape)
    header = npy_header(path, image)
    # ais_bench keeps the batch axis when it splits a batch: one image's file holds (1, ...).
    surplus = len(data) - header.offset - header.num_bytes
    if header.shape not in (tensor.shape, (1, *tensor.shape)) or header.dtype != tensor.dtype or surplus:
        got = f"{list(header.shape)} {header.dtype}" + (" and more bytes" if surplus else "")
        raise ArtifactError(f"{path} (image {image.file_name}) holds {got}, expected output {tensor}; {INFER_AGAIN}")
    return np.frombuffer(data, header.dtype, offset=header.offset).reshape(tensor.shape)
