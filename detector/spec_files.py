"""Where specs come from: model names, YAML files, and the artifacts that carry them."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from detector.errors import ArtifactError, SpecError
from detector.files.json_text import JsonError, read_json
from detector.files.yaml_file import YamlFile, read_yaml, yaml_value
from detector.products.om_file import require_as_built, unbound
from detector.spec import DetectorSpec, load_spec_from, spec_problem
from detector.spec.class_names import with_names
from detector.spec.validation import main_problem
from detector.terminal.text import shown

CONFIG_FOLDER = Path(__file__).resolve().parent.parent / "atc_configs"
MADE_BY = (
    "make it again with `python -m export` (make export AGAIN=1), the converted one with `python -m convert` "
    "(make om AGAIN=1)"
)
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
    if suffix not in (".json", ".onnx", ".om"):
        return read_settings(source).spec()
    if suffix == ".om":
        sidecar = Path(f"{path}.json")
        if not sidecar.exists():
            raise ArtifactError(
                f"{sidecar} not found: {path} carries no spec; convert it with `python -m convert` (make om AGAIN=1)"
            )
        require_as_built(path)
        return with_departure(read_spec_json(sidecar), unbound(path))
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


def with_departure(spec: DetectorSpec, departure: str | None) -> DetectorSpec:
    """The spec with one more departure, unless it is None or among them already."""
    if departure is None or departure in spec.departures:
        return spec
    return spec.model_copy(update={"departures": (*spec.departures, departure)})


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


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user says about a model, not necessarily all of it.

    Attributes:
        document: keys of a spec -> values.
        file: the YAML file they come from, which knows their lines; None: no file.
        before: the document without what `override` set.
        said: what it set alone.
        assignments: keys and the words that set them, in their order.
    """

    document: Mapping[str, Any]
    file: YamlFile | None = None
    before: Mapping[str, Any] = field(default_factory=dict)
    said: Mapping[str, Any] = field(default_factory=dict)
    assignments: tuple[tuple[tuple[str, ...], str], ...] = ()

    def override(self, assignments: Sequence[str], *, option: str = "--set", part: str | None = None) -> "Settings":
        """With `key=value` set, such as `network.style=caffe`; the value is read as in YAML.

        Args:
            assignments: of the command line.
            option: that gives them, for messages.
            part: of the spec, in which their keys lie; None: the spec itself.

        Raises:
            SpecError: not of that form, or a key is given two values.
        """
        said = self.said
        added: list[tuple[tuple[str, ...], str]] = []
        for assignment in assignments:
            words = shown(f"{option} {assignment}")
            path, equals, value = assignment.partition("=")
            keys = (*([part] if part else []), *path.split("."))
            if not equals or not all(keys):
                example = "log=info" if part else "network.style=caffe"
                raise SpecError(f"{words}: expected KEY=VALUE, such as {example}")
            setting = with_names(_nested(keys, yaml_value(value, words)), Path())
            if (twice := _contradiction(said, setting)) is not None:
                raise SpecError(f"{words}: the key {twice!r} was given another value before; give it once")
            said = _merged(said, setting)
            added.append((keys, words))
        before = self.before if self.assignments else self.document
        return Settings(_merged(before, said), self.file, before, said, (*self.assignments, *added))

    def spec(self, defaults: Mapping[str, Any] | None = None) -> DetectorSpec:
        """The spec that these settings make, what they leave out taken from elsewhere.

        Raises:
            SpecError: not a legal spec; what the file says wrongly is named with its line, what `override` set as such.
        """
        defaults = defaults or {}
        try:
            return DetectorSpec.model_validate(_merged(defaults, self.document))
        except pydantic.ValidationError as error:
            raise SpecError(self._told(error, defaults)) from error

    def require_known_keys(self, defaults: Mapping[str, Any]) -> None:
        """Find a misspelt key before what it stands for is missed.

        Args:
            defaults: a whole spec, of whatever values.

        Raises:
            SpecError: a key is none of a spec.
        """
        try:
            DetectorSpec.model_validate(_merged(defaults, self.document))
        except pydantic.ValidationError as error:
            if main_problem(error)["type"] == "extra_forbidden":
                raise SpecError(self._told(error, defaults)) from error

    def _told(self, error: pydantic.ValidationError, defaults: Mapping[str, Any]) -> str:
        """The problem behind the last assignment that has to do with it, else behind the file's line."""
        keys = tuple(map(str, main_problem(error)["loc"]))
        if self.assignments and _problem_of(_merged(defaults, self.before)) != _problem(error):
            for path, words in reversed(self.assignments):
                # The part around a key that was set is wrong, or something within its value.
                if all(one == other for one, other in zip(path, keys, strict=False)):
                    return f"{words}: {spec_problem(error)}"
        if self.file is None:
            return spec_problem(error)
        if keys == ("name",) and "name" not in self.file.document:
            return (
                f"{self.file.path}: file name {self.file.path.stem!r} is no model name (letters, digits, '-' and '_'): "
                "set `name:` in the file"
            )
        return f"{self.file.place(main_problem(error)['loc'])}: {spec_problem(error)}"


def _problem_of(document: Mapping[str, Any]) -> tuple[object, ...] | None:
    try:
        DetectorSpec.model_validate(document)
    except pydantic.ValidationError as error:
        return _problem(error)
    return None


def _problem(error: pydantic.ValidationError) -> tuple[object, ...]:
    problem = main_problem(error)
    return problem["loc"], problem["type"], problem["msg"]


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


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, key by key within parts; where both have a value the second one's."""
    result = {**below}
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _contradiction(first: Mapping[str, Any], second: Mapping[str, Any], within: str = "") -> str | None:
    """A key for which both have a value, and not the same."""
    for key in first.keys() & second.keys():
        one, other = first[key], second[key]
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            inner = _contradiction(one, other, f"{within}{key}.")
            if inner is not None:
                return inner
        elif one != other:
            return f"{within}{key}"
    return None


def _nested(keys: Sequence[str], value: Any) -> dict[str, Any]:
    return {keys[0]: _nested(keys[1:], value) if len(keys) > 1 else value}
