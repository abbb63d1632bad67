"""ONNX files: read and written whole, with the spec inside."""

import contextlib
import functools
import json
import logging
from collections.abc import Iterable
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from detector.errors import ArtifactError
from detector.files.atomic import atomic_file
from detector.files.bounds import ONNX_BYTES
from detector.files.json_text import JsonError, parse_json
from detector.files.names import require_inside
from detector.files.regular import open_regular, read_bytes
from detector.onnx_files.seal import (
    SEAL_BYTES,
    SEAL_KEY,
    ChangedOnnxError,
    ends_with_seal,
    seal,
    seal_problem,
    take_seal,
)
from detector.onnx_files.suppression import require_own_suppression
from detector.products.again import EXPORT_AGAIN
from detector.spec import DetectorSpec, load_spec_from

log = logging.getLogger(__name__)

UNSEALED = (
    f"carries no SHA-256 of its content (metadata {SEAL_KEY!r}): whether it was changed after it was made cannot be "
    "told"
)
METADATA_KEY = "omline.spec"
PROTOBUF_LIMIT = 2**31 - 1  # bytes of one serialized message


def read_onnx(path: Path, *, may_differ: bool = False) -> onnx.ModelProto:
    """Read an ONNX file, with the weights that lie in other files beside it.

    Args:
        path: of the file.
        may_differ: as of `read_message`.

    Raises:
        ArtifactError: as `read_message`; or a file of weights is missing, too short or not in the same folder.
    """
    model = read_message(path, may_differ=may_differ)
    _load_weights(model, path)
    return model


def read_message(path: Path, *, may_differ: bool = False) -> onnx.ModelProto:
    """Read what the ONNX file itself holds, without its seal (see `detector.onnx_files.seal`).

    Args:
        path: of the file.
        may_differ: it is taken though it was changed after it was made.

    Raises:
        ArtifactError: it is missing, truncated, no regular file or no ONNX file; as ChangedOnnxError: its content is
            not what its seal says. A file without one is taken, with a warning if it is called ours.
    """
    return _read(path, may_differ=may_differ)[0]


def _read(path: Path, *, may_differ: bool) -> tuple[onnx.ModelProto, bool]:
    """The message, and whether it had a seal."""
    data = _bytes_of(path)
    model = _parsed(data, path)
    noted = take_seal(model)
    if not noted and any(entry.key == METADATA_KEY for entry in model.metadata_props):
        _say_unsealed(path)
    if noted and not may_differ:
        in_place = ends_with_seal(data, noted) and not any(map(_is_elsewhere, model.graph.initializer))
        problem = seal_problem(noted, data, None if in_place else lambda: _as_one_message(model, path))
        if problem is not None:
            raise ChangedOnnxError(f"{path} {problem}: {EXPORT_AGAIN}")
    return model, bool(noted)


def _bytes_of(path: Path) -> bytes:
    try:
        return read_bytes(path, ONNX_BYTES)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found: run `python -m export` (make export)") from error
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error


def _parsed(data: bytes, path: Path) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise ArtifactError(f"{path} is not an ONNX file or is truncated; {EXPORT_AGAIN}") from error
    if not model.HasField("graph"):
        raise ArtifactError(f"{path} is not an ONNX file or is truncated: it holds no graph; {EXPORT_AGAIN}")
    return model


@functools.cache  # a command reads its file more than once
def _say_unsealed(path: Path) -> None:
    log.warning("%s %s", path, UNSEALED)


def _as_one_message(model: onnx.ModelProto, path: Path) -> bytes:
    """As `write_onnx` wrote it: weights that another tool has put into a second file are put back."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    _load_weights(whole, path)
    data: bytes = whole.SerializeToString(deterministic=True)
    return data


def _load_weights(model: onnx.ModelProto, path: Path) -> None:
    for tensor in model.graph.initializer:
        if _is_elsewhere(tensor):
            _load_external(tensor, path)


def _is_elsewhere(tensor: onnx.TensorProto) -> bool:
    return tensor.data_location == onnx.TensorProto.EXTERNAL


def _load_external(tensor: onnx.TensorProto, path: Path) -> None:
    try:
        tensor.raw_data = _external_bytes({entry.key: entry.value for entry in tensor.external_data}, path)
    except (OSError, ValueError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise ArtifactError(
            f"{path}: the weights {tensor.name!r} lie in another file: {reason}; copy that file beside it as well, or "
            "export it again as one"
        ) from error
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")


def _external_bytes(facts: dict[str, str], path: Path) -> bytes:
    """Bytes of a file in the same folder, or below it: where else it leads is not for the ONNX file to say."""
    file = path.parent / require_inside(facts.get("location", ""))
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise ValueError(f"{facts['location']!r} leads out of its folder")
    offset = int(facts.get("offset", 0))
    with open_regular(file) as data:
        size = data.seek(0, 2)
        length = int(facts.get("length", size - offset))
        if not (offset >= 0 and 0 <= length <= size - offset):
            raise ValueError(f"{file} has {size} bytes, expected {length} from byte {offset} on")
        ONNX_BYTES.require(length, file)
        data.seek(offset)
        return data.read(length)


def find_spec(path: Path, *, may_differ: bool = False) -> DetectorSpec | None:
    """The spec that an ONNX file carries, or None; that the file has no seal is then among the spec's departures.

    Args:
        path: of the file.
        may_differ: as of `read_message`.

    Raises:
        ArtifactError: as `read_message` and `spec_inside`.
        SpecError: as `spec_inside`.
    """
    model, is_sealed = _read(path, may_differ=may_differ)
    spec = spec_inside(model, path)
    return None if spec is None else spec.with_departure(None if is_sealed else f"{path.name} {UNSEALED}")


def spec_inside(model: onnx.ModelProto, path: Path) -> DetectorSpec | None:
    """The spec that a model carries, or None.

    Args:
        model: of `read_message`.
        path: its file, for messages.

    Raises:
        ArtifactError: it carries two, or something else than a spec; or as `require_own_suppression`.
        SpecError: not a legal spec, or one that the graph contradicts.
    """
    found = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
    if not found:
        return None
    if len(found) > 1:
        raise ArtifactError(f"{path} carries {len(found)} specs (metadata {METADATA_KEY!r}): {EXPORT_AGAIN}")
    try:
        document = parse_json(found[0])
    except JsonError as error:
        raise ArtifactError(f"{path}: its metadata {METADATA_KEY!r} is {error}; {EXPORT_AGAIN}") from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{path}: its metadata {METADATA_KEY!r} is no spec; {EXPORT_AGAIN}")
    spec = load_spec_from(document, where=str(path))
    require_own_suppression(model, spec, path)
    return spec


def write_onnx(path: Path, model: onnx.ModelProto) -> None:
    """Write an ONNX file atomically, sealed (see `detector.onnx_files.seal`); equal models give equal bytes.

    Args:
        path: of the file.
        model: with all its weights; a seal that it carries from an earlier file is taken off.

    Raises:
        ArtifactError: it exceeds protobuf's 2 GB, or cannot be written.
    """
    write_onnx_set([(path, model)])


def write_onnx_set(models: Iterable[tuple[Path, onnx.ModelProto]], *, stale: Iterable[Path] = ()) -> None:
    """Write files as `write_onnx` that belong together: all of them, or none.

    Args:
        models: each is made when the one before has been written.
        stale: files of an earlier set, which go when the last one is on the disk, and before the first takes its name:
            a process that is killed then leaves no mixture.
    """
    with contextlib.ExitStack() as whole:
        for path, model in models:
            take_seal(model)
            size = model.ByteSize() + SEAL_BYTES
            if size > PROTOBUF_LIMIT:
                raise ArtifactError(f"cannot write {path}: {size} bytes, one ONNX file holds at most {PROTOBUF_LIMIT}")
            file = whole.enter_context(atomic_file(path))
            data = model.SerializeToString(deterministic=True)
            file.write(data)
            file.write(seal(data))
            file.flush()
        for path in stale:
            path.unlink(missing_ok=True)


def embed_spec(model: onnx.ModelProto, spec: DetectorSpec) -> None:
    """Make a model carry this spec, and no other metadata."""
    value = json.dumps(spec.model_dump(mode="json"), separators=(",", ":"))
    onnx.helper.set_model_props(model, {METADATA_KEY: value})
