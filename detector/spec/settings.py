"""Settings: what a user says about a model, in a YAML file and with --set; and which of it a spec cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from detector.errors import SpecError
from detector.files.yaml_file import YamlFile, yaml_value
from detector.spec.class_names import with_names
from detector.spec.detector_spec import DetectorSpec, spec_problem
from detector.spec.validation import main_problem
from detector.terminal.text import shown


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
        error = _error_of(_merged(defaults, self.document))
        if error is not None and main_problem(error)["type"] == "extra_forbidden":
            raise SpecError(self._told(error, defaults)) from error

    def _told(self, error: pydantic.ValidationError, defaults: Mapping[str, Any]) -> str:
        """The problem with what is to blame: the last assignment that made it, else the line of the file."""
        keys = tuple(map(str, main_problem(error)["loc"]))
        if self.assignments and _key(_error_of(_merged(defaults, self.before))) != _key(error):
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


def _error_of(document: Mapping[str, Any]) -> pydantic.ValidationError | None:
    try:
        DetectorSpec.model_validate(document)
    except pydantic.ValidationError as error:
        return error
    return None


def _key(error: pydantic.ValidationError | None) -> list[object]:
    """What tells one problem from another."""
    return [] if error is None else [main_problem(error)[part] for part in ("loc", "type", "msg")]


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, key by key within parts; where both have a value the second one's."""
    result = {**below}
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _contradiction(first: Mapping[str, Any], second: Mapping[str, Any], within: str = "") -> str | None:
    """The first key to which they give different values; None: there is none."""
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
