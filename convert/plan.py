"""What a conversion is going to do, decided before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from convert.aipp.config import aipp_of
from convert.atc.command import atc_command
from convert.atc.run import ATC_HINT
from detector import tools
from detector.artifacts import sha256_of
from detector.errors import ArtifactError, MissingEnvironmentError, SpecError
from detector.geometry import Size
from detector.spec import Checkpoint, DetectorSpec, replace
from detector.spec_files import METADATA_KEY, find_spec_onnx

Target = Literal["auto", "om", "cpu"]
MAX_BATCH_SIZE = 4096  # of ais_bench's --batchsize
# What `export` sets in a spec, or what concerns no conversion: a spec given again may lack it.
SET_BY_EXPORT = frozenset({"network", "checkpoint", "departures", "references", "precision"})
# What concerns the OM alone, so that the spec given with the conversion decides it.
OF_CONVERSION = frozenset({"atc"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a conversion is going to do; nothing is written yet.

    Attributes:
        onnx_file: canonical, or exported by someone else.
        output: product without suffix.
        spec: that the product will carry.
        batch_size: images per run; of batch gears the largest.
        soc_version: chip.
        target: "om" or "cpu".
        is_foreign: someone else exported the ONNX.
        may_stand_alone: "cpu" was asked for by name, so that a stand-in without the files for atc will do.
    """

    onnx_file: Path
    output: Path
    spec: DetectorSpec
    batch_size: int
    soc_version: str
    target: Literal["om", "cpu"]
    is_foreign: bool = False
    may_stand_alone: bool = False

    @property
    def lowered_file(self) -> Path:
        """The graph atc reads."""
        return Path(f"{self.output}.atc.onnx")

    @property
    def sidecar(self) -> Path:
        """The spec and origin of the OM."""
        return Path(f"{self.output}.om.json")

    @property
    def aipp_file(self) -> Path | None:
        """What atc's AIPP is told, of a model that takes bytes."""
        return Path(f"{self.output}.aipp.cfg") if self.spec.image.dtype == "uint8" else None

    @property
    def command(self) -> list[str]:
        """The atc command on this machine."""
        return atc_command(
            self.spec,
            self.lowered_file,
            self.output,
            batch_size=self.batch_size,
            soc_version=self.soc_version,
            insert_op_conf=self.aipp_file,
        )


def plan_conversion(
    onnx_file: Path,
    *,
    batch_size: int | Sequence[int] | None,
    spec: DetectorSpec | None = None,
    canvas: Size | None = None,
    target: Target = "auto",
    soc_version: str | None = None,
    output: Path | None = None,
    options: Mapping[str, Any] | None = None,
    dtype: Literal["float32", "uint8"] | None = None,
) -> Plan:
    """Decide what a conversion does.

    Args:
        onnx_file: canonical ONNX of `python -m export`, or one that someone else exported.
        batch_size: images per run; several are gears of one OM; None: `atc.batch_sizes` or `atc.dims` of the spec.
        spec: of a detector that someone else exported; None: the file carries it.
        canvas: height and width; None takes the spec's.
        target: "auto" builds the OM where atc is on PATH and the CPU stand-in elsewhere.
        soc_version: chip; None takes the spec's. `310P3` is accepted for `Ascend310P3`.
        output: product without suffix; None: `om_models/<model>_bs<batch_size>`.
        options: keys of the spec's `atc` that are set otherwise here.
        dtype: element type of the bins that the product takes; None: the spec's.

    Raises:
        ArtifactError: the file is missing, damaged, or carries no spec and none is given.
        SpecError: a value is not legal, or the file carries another spec than the one given.
        MissingEnvironmentError: an OM was asked for and atc is not on PATH.
    """
    carried = find_spec_onnx(onnx_file)
    spec = _foreign_spec(onnx_file, spec) if carried is None else _carried_spec(onnx_file, carried, spec)
    if canvas is not None:
        spec = spec.with_canvas(canvas)
    if dtype is not None:
        spec = replace(spec, image={**spec.image.model_dump(), "dtype": dtype})
    changes = dict(options or {}) | ({} if soc_version is None else {"soc_version": soc_version})
    if changes:
        spec = replace(spec, atc={**spec.atc.model_dump(), **changes})
    spec, largest = _with_batch(spec, batch_size)
    output = output or Path("om_models") / _product_name(spec, largest)
    if spec.image.dtype == "uint8":
        aipp_of(spec)
    # Refused before anything is written; on the NPU host the files lie beside each other.
    atc_command(spec, Path(f"{output.name}.atc.onnx"), Path(output.name), batch_size=largest)
    has_atc = tools.which("atc") is not None
    if target == "om" and not has_atc:
        raise MissingEnvironmentError(f"atc not found on PATH: {ATC_HINT}, or use --target cpu")
    return Plan(
        onnx_file=onnx_file,
        output=output,
        spec=spec,
        batch_size=largest,
        soc_version=spec.atc.soc_version,
        target="om" if has_atc and target != "cpu" else "cpu",
        is_foreign=carried is None,
        may_stand_alone=target == "cpu",
    )


def _with_batch(spec: DetectorSpec, given: int | Sequence[int] | None) -> tuple[DetectorSpec, int]:
    """The spec with the batch sizes of this conversion, and the largest of them."""
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


def _product_name(spec: DetectorSpec, largest: int) -> str:
    """Characters that atc takes in a path: no comma."""
    atc = spec.atc
    if atc.dims is not None:
        return f"{spec.name}_dims"
    batch = "-".join(map(str, atc.batch_sizes or (largest,)))
    return f"{spec.name}_bs{batch}{'_images' if atc.image_sizes else ''}"


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
