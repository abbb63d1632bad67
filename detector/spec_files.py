"""Where specs come from: model names, YAML files, and the artifacts that carry them."""

import difflib
import json
from pathlib import Path

import pydantic

from detector.errors import ArtifactError, SpecError
from detector.spec import DetectorSpec, load_spec_from, spec_problem
from detector.validation import main_problem
from detector.yaml_file import read_yaml

CONFIG_FOLDER = Path(__file__).resolve().parent.parent / "atc_configs"
METADATA_KEY = "omline.spec"


def load_spec(source: str | Path) -> DetectorSpec:
    """Read a spec by model name, from a YAML file, or from the artifact that carries it.

    Args:
        source: a name in `atc_configs/`, or a path ending in `.yaml`, `.yml`, `.json`, `.onnx` or `.om`, in any case.

    Raises:
        SpecError: unknown name, or a file whose content is not a legal spec; a YAML file is named with
            the line, an unknown key with the nearest legal one.
        ArtifactError: the file does not exist or carries no spec.
    """
    path = Path(source)
    suffix = path.suffix.lower()
    if suffix not in (".yaml", ".yml", ".json", ".onnx", ".om"):
        return _read_yaml(_config_path(str(source)))
    if suffix == ".om":
        sidecar = Path(f"{path}.json")
        if not sidecar.exists():
            raise ArtifactError(
                f"{sidecar} not found: {path} carries no spec; convert it with `python -m convert` (make om)"
            )
        return read_spec_json(sidecar)
    if not path.exists():
        raise ArtifactError(f"{path} not found")
    if suffix == ".onnx":
        return read_spec_onnx(path)
    return read_spec_json(path) if suffix == ".json" else _read_yaml(path)


def model_names() -> list[str]:
    """Names of the models in `atc_configs/`."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml"))


def read_spec_json(path: Path) -> DetectorSpec:
    """Read the spec saved beside an artifact (`{"spec": {...}, ...}`)."""
    try:
        document = json.loads(path.read_bytes())
        return load_spec_from(document["spec"], where=str(path))
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} holds no spec: {error}") from error


def find_spec_onnx(path: Path) -> DetectorSpec | None:
    """The spec inside an ONNX file, or None if it carries none."""
    import onnx  # only stages that read ONNX pay for the import
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} not found: run `python -m export` (make export)") from error
    except DecodeError as error:
        raise ArtifactError(f"{path} is not an ONNX file or is truncated: {error}") from error
    for entry in model.metadata_props:
        if entry.key == METADATA_KEY:
            try:
                document = json.loads(entry.value)
            except ValueError as error:
                raise ArtifactError(f"{path}: its metadata {METADATA_KEY!r} is not JSON: {error}") from error
            return load_spec_from(document, where=str(path))
    return None


def read_spec_onnx(path: Path) -> DetectorSpec:
    """The spec inside an ONNX file.

    Raises:
        ArtifactError: it carries none.
    """
    spec = find_spec_onnx(path)
    if spec is None:
        raise ArtifactError(
            f"{path} carries no spec (metadata {METADATA_KEY!r}): export it with `python -m export` (make export)"
        )
    return spec


def _config_path(name: str) -> Path:
    path = CONFIG_FOLDER / f"{name}.yaml"
    if not path.exists():
        known = model_names()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise SpecError(f"unknown model {name!r}{hint} (known: {', '.join(known)}; or give a .yaml file)")
    return path


def _read_yaml(path: Path) -> DetectorSpec:
    file = read_yaml(path)
    try:
        return DetectorSpec.model_validate({"name": path.stem, **file.document})
    except pydantic.ValidationError as error:
        keys = main_problem(error)["loc"]
        if keys == ("name",) and "name" not in file.document:
            raise SpecError(
                f"{path}: file name {path.stem!r} is no model name (letters, digits, '-' and '_'): "
                "set `name:` in the file"
            ) from error
        raise SpecError(f"{file.place(keys)}: {spec_problem(error)}") from error
