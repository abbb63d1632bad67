"""ONNX files: read and written whole, with the spec inside."""

import json
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from detector.artifacts import atomic_file
from detector.errors import ArtifactError
from detector.spec import DetectorSpec
from detector.spec_files import MADE_BY, METADATA_KEY

PROTOBUF_LIMIT = 2**31 - 1  # bytes of one serialized message


def read_onnx(path: Path) -> onnx.ModelProto:
    """Read an ONNX file.

    Raises:
        ArtifactError: it is missing, truncated or no ONNX file.
    """
    try:
        return onnx.load(str(path))
    except FileNotFoundError as error:
        raise ArtifactError(f"{error.filename or path} not found: run `python -m export` (make export)") from error
    except DecodeError as error:
        raise ArtifactError(f"{path} is not an ONNX file or is truncated; {MADE_BY}") from error
    except (onnx.checker.ValidationError, ValueError) as error:  # external data: missing, too short, outside the folder
        raise ArtifactError(f"{path}: {' '.join(str(error).split())}") from error


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
