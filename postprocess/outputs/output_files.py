"""Output files of inference: all there and no other, each read whole, and whether inference wrote it so."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError
from detector.files.bounds import Bound
from detector.files.npy import NpyHeader, read_header
from detector.files.regular import open_regular
from detector.products.again import INFER_AGAIN
from detector.products.bins_manifest import BinImage, BinsManifest
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


def output_name(image: BinImage, index: int, suffix: str) -> str:
    """As ais_bench names the file of output `index` of an image."""
    return f"{image.stem}_{index}{suffix}"


def list_outputs(folder: Path) -> tuple[str, dict[str, int]]:
    """The suffix of the outputs and the bytes of each file; a summary inside the folder is no output."""
    summaries = {path.name for path in folder.glob("*sum*ary.json")}
    files: dict[str, int] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)  # whose `is_file` takes a link to itself for what it is
            if not path.is_file() and not path.is_dir():
                raise ArtifactError(f"{path} is no regular file; remove it, or {INFER_AGAIN}")
            if path.is_dir():
                raise ArtifactError(
                    f"{entry.path} is a folder: give the folder that directly holds <stem>_0.bin (of one device or "
                    f"canvas); if an earlier run left it, empty {folder} and {INFER_AGAIN}"
                )
            if entry.name not in summaries:
                files[entry.name] = entry.stat().st_size
    suffixes = {os.path.splitext(name)[1] for name in files}
    for suffix in (".bin", ".npy"):
        if suffix in suffixes:
            return suffix, files
    if ".txt" in suffixes:
        raise ArtifactError(
            f"{folder} holds text outputs, which round to six decimals; run inference with --outfmt BIN"
        )
    return ".bin", files


def require_exact(folder: Path, files: Mapping[str, int], suffix: str, manifest: BinsManifest) -> None:
    """Every image has all its outputs, and no other file is there."""
    outputs = manifest.spec.outputs
    expected = {output_name(image, index, suffix): image for image in manifest.images for index in range(len(outputs))}
    missing = [name for name in expected if name not in files]
    if missing:
        raise ArtifactError(
            f"{folder / missing[0]} not found: image {expected[missing[0]].file_name} has no whole result "
            f"({len(missing)} of {len(expected)} files missing); {INFER_AGAIN}"
        )
    extra = sorted(set(files) - set(expected))
    if extra:
        raise ArtifactError(
            f"{folder / extra[0]} belongs to no image of the manifest ({len(extra)} such files; "
            f"expected {len(outputs)} outputs for each of {len(manifest.images)} images): "
            f"left by another run or model; empty the folder and {INFER_AGAIN}"
        )
    if suffix == ".bin":
        _require_sizes(folder, files, manifest.images, outputs)


def _require_sizes(
    folder: Path, files: Mapping[str, int], images: Sequence[BinImage], outputs: Sequence[TensorSpec]
) -> None:
    for image in images:
        for index, tensor in enumerate(outputs):
            name = output_name(image, index, ".bin")
            if files[name] != tensor.num_bytes:
                raise ArtifactError(
                    f"{folder / name} (image {image.file_name}) has {files[name]} bytes, "
                    f"expected {tensor.num_bytes} for output {tensor}; {INFER_AGAIN}, or name the model with --model "
                    "if it has other outputs than the bins say (atc.nms)"
                )
