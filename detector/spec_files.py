"""Where specs come from: model names, YAML files, and the artifacts that carry them."""

import difflib
from pathlib import Path

from detector.errors import ArtifactError, SpecError
from detector.files.json_text import JsonError, read_json
from detector.files.yaml_file import read_yaml
from detector.products.om_file import require_as_built, unbound
from detector.spec import DetectorSpec, load_spec_from
from detector.spec.class_names import with_names
from detector.spec.settings import Settings

CONFIG_FOLDER = Path(__file__).resolve().parent.parent / "atc_configs"


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
    if suffix not in (".json", ".onnx", ".om"):
        return read_settings(source).spec()
    if suffix == ".om":
        sidecar = Path(f"{path}.json")
        if not sidecar.exists():
            raise ArtifactError(
                f"{sidecar} not found: {path} carries no spec; convert it with `python -m convert` (make om AGAIN=1)"
            )
        require_as_built(path)
        return read_spec_json(sidecar).with_departure(unbound(path))
    if not path.exists():
        raise ArtifactError(f"{path} not found")
    if suffix == ".onnx":
        return read_spec_onnx(path)
    return read_spec_json(path)


def model_names() -> list[str]:
    """Names of the models in `atc_configs/`."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml"))


def read_spec_json(path: Path) -> DetectorSpec:
    """Read the spec saved beside an artifact (`{"spec": {...}, ...}`).

    Raises:
        ArtifactError: the file is no such JSON.
        SpecError: what it holds is not a legal spec.
    """
    try:
        document = read_json(path)
    except JsonError as error:
        raise ArtifactError(f"{path} holds no spec: {error}") from error
    if not isinstance(document, dict) or "spec" not in document:
        raise ArtifactError(f"{path} holds no spec: it has no key 'spec'")
    return load_spec_from(document["spec"], where=str(path))


def find_spec_onnx(path: Path, *, may_differ: bool = False) -> DetectorSpec | None:
    """The spec inside an ONNX file, or None if it carries none.

    Args:
        path: of the file.
        may_differ: it is taken though it was changed after it was made.

    Raises:
        ArtifactError: the file is missing, damaged or changed.
        SpecError: what it carries is not a legal spec.
    """
    from detector.onnx_files.read_write import find_spec  # only stages that read ONNX pay for the import

    return find_spec(path, may_differ=may_differ)


def read_spec_onnx(path: Path) -> DetectorSpec:
    """The spec inside an ONNX file.

    Raises:
        ArtifactError: it carries none.
    """
    from detector.onnx_files.read_write import METADATA_KEY

    spec = find_spec_onnx(path)
    if spec is None:
        raise ArtifactError(
            f"{path} carries no spec (metadata {METADATA_KEY!r}): export it with `python -m export` "
            "(make export AGAIN=1)"
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


def read_settings(source: str | Path) -> Settings:
    """What a model name, a YAML file or an artifact says; a YAML file may leave out what a checkpoint tells.

    Raises:
        SpecError: unknown name, or no YAML.
        ArtifactError: the file does not exist or carries no spec.
    """
    path = Path(source)
    if path.suffix.lower() in (".json", ".onnx", ".om"):
        return Settings(load_spec(path).model_dump(exclude_unset=True))
    if path.suffix.lower() not in (".yaml", ".yml"):
        path = _config_path(str(source))
    file = read_yaml(path)
    return Settings({"name": path.stem, **with_names(file.document, path.parent)}, file)
