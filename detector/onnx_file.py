"""ONNX files: read and written whole, with the spec inside."""

import json
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from detector.artifacts import atomic_file
from detector.errors import ArtifactError
from detector.files.bounds import ONNX_BYTES
from detector.files.json_text import JsonError, parse_json
from detector.files.names import require_inside
from detector.files.regular import open_regular, read_bytes
from detector.nms_function import NMS_DOMAIN, NMS_OP, nms_function
from detector.pairwise_nms import PAIRWISE_OP, pairwise_function
from detector.spec import DetectorSpec, load_spec_from
from detector.spec_files import MADE_BY, METADATA_KEY

PROTOBUF_LIMIT = 2**31 - 1  # bytes of one serialized message


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read an ONNX file, with the weights that lie in other files beside it.

    Raises:
        ArtifactError: it is missing, truncated, no regular file or no ONNX file; or a file of weights is missing, too
            short or not in the same folder.
    """
    model = read_message(path)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _load_external(tensor, path)
    return model


def read_message(path: Path) -> onnx.ModelProto:
    """Read what the ONNX file itself holds.

    Raises:
        ArtifactError: it is missing, truncated, no regular file or no ONNX file.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read_bytes(path, ONNX_BYTES))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found: run `python -m export` (make export)") from error
    except OSError as error:
        raise ArtifactError(f"cannot read {path}: {error.strerror}") from error
    except DecodeError as error:
        raise ArtifactError(f"{path} is not an ONNX file or is truncated; {MADE_BY}") from error
    if not model.HasField("graph"):
        raise ArtifactError(f"{path} is not an ONNX file or is truncated: it holds no graph; {MADE_BY}")
    return model


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


def spec_inside(model: onnx.ModelProto, path: Path) -> DetectorSpec | None:
    """The spec that a model carries, or None.

    Args:
        model: of `read_message`.
        path: its file, for messages.

    Raises:
        ArtifactError: it carries two, something else than a spec, or functions that are called ours and are not.
        SpecError: not a legal spec.
    """
    found = [entry.value for entry in model.metadata_props if entry.key == METADATA_KEY]
    if not found:
        return None
    if len(found) > 1:
        raise ArtifactError(f"{path} carries {len(found)} specs (metadata {METADATA_KEY!r}): {MADE_BY}")
    try:
        document = parse_json(found[0])
    except JsonError as error:
        raise ArtifactError(f"{path}: its metadata {METADATA_KEY!r} is {error}; {MADE_BY}") from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{path}: its metadata {METADATA_KEY!r} is no spec; {MADE_BY}")
    spec = load_spec_from(document, where=str(path))
    _require_our_functions(model, spec, path)
    return spec


def _require_our_functions(model: onnx.ModelProto, spec: DetectorSpec, path: Path) -> None:
    """What is called as our operators are must be what we write: on the card they are the card's, whatever it says."""
    for function in model.functions:
        if function.domain != NMS_DOMAIN:
            continue
        opset = next((entry.version for entry in function.opset_import if not entry.domain), 0)
        ours = {NMS_OP: nms_function(opset)}
        if spec.decode.nms in ("areas_plus_one", "diou_plus_one"):
            ours[PAIRWISE_OP] = pairwise_function(spec.decode, opset)
        if function.name not in ours or _text(ours[function.name]) != _text(function):
            raise ArtifactError(
                f"{path}: its function {NMS_DOMAIN}.{function.name} is not the one that this project writes, so that "
                f"the CPU would not do what the card does: {MADE_BY}"
            )


def _text(function: onnx.FunctionProto) -> bytes:
    """What a function does, without remarks and names of nodes."""
    bare = onnx.FunctionProto()
    bare.CopyFrom(function)
    for name in ("doc_string", "value_info", "metadata_props"):
        bare.ClearField(name)
    for node in bare.node:
        for name in ("name", "doc_string", "metadata_props"):
            node.ClearField(name)
    text: bytes = bare.SerializeToString(deterministic=True)
    return text


def write_onnx(path: Path, model: onnx.ModelProto) -> None:
    """Write an ONNX file atomically, as one message; equal models give equal bytes.

    Raises:
        ArtifactError: it exceeds protobuf's 2 GB, or cannot be written.
    """
    size = model.ByteSize()
    if size > PROTOBUF_LIMIT:
        raise ArtifactError(f"cannot write {path}: {size} bytes, one ONNX file holds at most {PROTOBUF_LIMIT}")
    with atomic_file(path) as file:
        file.write(model.SerializeToString(deterministic=True))


def embed_spec(model: onnx.ModelProto, spec: DetectorSpec) -> None:
    """Make a model carry this spec, and no other metadata."""
    value = json.dumps(spec.model_dump(mode="json"), separators=(",", ":"))
    onnx.helper.set_model_props(model, {METADATA_KEY: value})
