"""The spec that a conversion's product carries: the file's own or the one given, with what is set otherwise."""

from collections.abc import Collection, Mapping, Sequence, Set
from pathlib import Path
from typing import Any, Literal

from detector.errors import ArtifactError, SpecError
from detector.files.digest import sha256_of
from detector.geometry import Size
from detector.onnx_files.read_write import METADATA_KEY
from detector.spec import Checkpoint, DetectorSpec, replace
from detector.spec.atc import FILE_OPTIONS, AtcSpec
from detector.spec_files import CONFIG_FOLDER, read_settings

MAX_BATCH_SIZE = 4096  # of ais_bench's --batchsize
# What `export` sets in a spec, or what concerns no conversion: a spec given again may lack it.
SET_BY_EXPORT = frozenset({"network", "checkpoint", "departures", "references", "precision"})
# Options of atc that name a file or a folder of the machine.
PATH_OPTIONS = (*FILE_OPTIONS, "op_compiler_cache_dir")
# What concerns the OM alone, so that the spec given with the conversion decides it.
OF_CONVERSION = frozenset({"atc"})


def chosen_spec(
    onnx_file: Path, *, carried: DetectorSpec | None, given: DetectorSpec | None, atc: Collection[str] = ()
) -> DetectorSpec:
    """The spec of the file, or of a file that carries none (someone else exported it) the one given.

    Args:
        onnx_file: that is converted.
        carried: spec in the file.
        given: spec of the command line.
        atc: keys of `atc` that the command line sets itself.

    Raises:
        ArtifactError: there is neither.
        SpecError: the file carries another spec than the one given, or names files of its own.
    """
    if carried is None:
        return _foreign_spec(onnx_file, given)
    spec = _carried_spec(onnx_file, carried, given)
    if given is None:
        _refuse_files(onnx_file, spec, set(PATH_OPTIONS) - set(atc))
    return spec


def _refuse_files(onnx_file: Path, spec: DetectorSpec, options: Set[str]) -> None:
    """An ONNX may come from anybody: which files of this machine are read is not for it to say."""
    said = _own_atc(spec.name)
    for option in sorted(options):
        value = getattr(spec.atc, option)
        if value is not None and said.get(option) != value:
            raise SpecError(
                f"{onnx_file} names a path of its own, atc.{option}: {value!r}; paths are taken from you only: give "
                f"--atc {option}=PATH (null: none), or again the YAML file that names it (--spec or --model)"
            )


def _own_atc(name: str) -> Mapping[str, Any]:
    """What the YAML file of a model in atc_configs/ says of atc; nothing if there is none."""
    own = CONFIG_FOLDER / f"{name}.yaml"
    said = read_settings(name).document.get("atc") if own.is_file() else None
    return said if isinstance(said, Mapping) else {}


def assumed(spec: DetectorSpec, *, given: DetectorSpec | None, atc: Collection[str] = ()) -> tuple[str, ...]:
    """What a conversion takes for granted, as nobody says it: `soc_version: ...` where the chip is the default.

    An ONNX cannot tell whether somebody chose what it carries: it has every key of `atc`.

    Args:
        spec: of the product.
        given: spec of the command line.
        atc: keys of `atc` that the command line sets itself.
    """
    chip = spec.atc.soc_version
    said = "soc_version" in {*atc, *(given.atc.model_fields_set if given else _own_atc(spec.name))}
    return () if said or chip != AtcSpec().soc_version else (f"soc_version: {chip}",)


def with_changes(
    spec: DetectorSpec, *, canvas: Size | None, dtype: Literal["float32", "uint8"] | None, atc: Mapping[str, Any]
) -> DetectorSpec:
    """The spec with what a conversion sets otherwise; None and what is not named stay.

    Raises:
        SpecError: a value is not legal.
    """
    if canvas is not None:
        spec = spec.with_canvas(canvas)
    if dtype is not None:
        spec = replace(spec, image={**spec.image.model_dump(), "dtype": dtype})
    return replace(spec, atc={**spec.atc.model_dump(), **atc}) if atc else spec


def with_batch(spec: DetectorSpec, given: int | Sequence[int] | None) -> tuple[DetectorSpec, int]:
    """The spec with the batch sizes of this conversion, and the largest of them.

    Args:
        spec: with gears of its own, or without.
        given: images per run; several are gears; None: the spec's.

    Raises:
        SpecError: none is given, one twice, one that is not legal, or the spec says them as `dims`.
    """
    sizes = tuple(dict.fromkeys([given] if isinstance(given, int) else given or ()))
    if given is not None and not isinstance(given, int) and len(sizes) < len(given):
        raise SpecError(f"--batch_size {','.join(map(str, given))} lists a size twice; give each once")
    if spec.atc.dims is not None:
        if sizes:
            raise SpecError("atc.dims of the spec says the batch sizes: leave out --batch_size, or drop that key")
        sizes = tuple(gear[0] for gear in spec.atc.dims)
    elif sizes:
        gears = sizes if len(sizes) > 1 else None
        if gears != spec.atc.batch_sizes:
            spec = replace(spec, atc={**spec.atc.model_dump(), "batch_sizes": gears})
    else:
        sizes = spec.atc.batch_sizes or ()
    if not sizes:
        raise SpecError("how many images per run? give --batch_size 8 (or 1,4,8), or atc.batch_sizes in the spec")
    if min(sizes) < 1 or max(sizes) > MAX_BATCH_SIZE:
        wrong = next(size for size in sizes if not 1 <= size <= MAX_BATCH_SIZE)
        raise SpecError(f"batch_size must be in 1..{MAX_BATCH_SIZE}, got {wrong}")
    return spec, max(sizes)


def _foreign_spec(onnx_file: Path, given: DetectorSpec | None) -> DetectorSpec:
    if given is None:
        raise ArtifactError(
            f"{onnx_file} carries no spec (metadata {METADATA_KEY!r}): export it with `python -m export` (make "
            "export), or, if someone else exported it, say with --spec FILE.yaml or --model NAME what it is"
        )
    weights = Checkpoint(file=onnx_file.name, sha256=sha256_of(onnx_file), dialect="onnx")
    return replace(given, checkpoint=weights.model_dump())


def _carried_spec(onnx_file: Path, carried: DetectorSpec, given: DetectorSpec | None) -> DetectorSpec:
    """What the file says about itself is true; a spec given again must say the same, but may set other `atc`."""
    if given is not None:
        ours, theirs = (spec.model_dump(exclude=set(SET_BY_EXPORT | OF_CONVERSION)) for spec in (carried, given))
        name = next((name for name in ours if ours[name] != theirs[name]), None)
        if name is not None:
            raise SpecError(
                f"{onnx_file} carries the spec of {carried.name}, and the one given has another {name!r}: leave out "
                "--spec and --model, or export again with it"
            )
        return replace(carried, atc=given.atc.model_dump())
    return carried
