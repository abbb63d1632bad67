"""What a conversion is going to do, decided before anything is written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from convert.atc import ATC_HINT, atc_command
from detector import tools
from detector.artifacts import sha256_of
from detector.errors import ArtifactError, MissingEnvironmentError, SpecError
from detector.geometry import Size
from detector.spec import Checkpoint, DetectorSpec, replace
from detector.spec_files import METADATA_KEY, find_spec_onnx

Target = Literal["auto", "om", "cpu"]
MAX_BATCH_SIZE = 4096  # of ais_bench's --batchsize
# What `export` sets in a spec, or what concerns no conversion: a spec given again may lack it.
SET_BY_EXPORT = frozenset({"network", "checkpoint", "departures", "references"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a conversion is going to do; nothing is written yet.

    Attributes:
        onnx_file: canonical, or exported by someone else.
        output: product without suffix.
        spec: that the product will carry.
        batch_size: images per run.
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
    def command(self) -> list[str]:
        """The atc command on this machine."""
        return atc_command(
            self.spec, self.lowered_file, self.output, batch_size=self.batch_size, soc_version=self.soc_version
        )


def plan_conversion(
    onnx_file: Path,
    *,
    batch_size: int,
    spec: DetectorSpec | None = None,
    canvas: Size | None = None,
    target: Target = "auto",
    soc_version: str | None = None,
    output: Path | None = None,
) -> Plan:
    """Decide what a conversion does.

    Args:
        onnx_file: canonical ONNX of `python -m export`, or one that someone else exported.
        batch_size: images per run.
        spec: of a detector that someone else exported; None: the file carries it.
        canvas: height and width; None takes the spec's.
        target: "auto" builds the OM where atc is on PATH and the CPU stand-in elsewhere.
        soc_version: chip; None takes the spec's. `310P3` is accepted for `Ascend310P3`.
        output: product without suffix; None: `om_models/<model>_bs<batch_size>`.

    Raises:
        ArtifactError: the file is missing, damaged, or carries no spec and none is given.
        SpecError: a value is not legal, or the file carries another spec than the one given.
        MissingEnvironmentError: an OM was asked for and atc is not on PATH.
    """
    carried = find_spec_onnx(onnx_file)
    spec = _foreign_spec(onnx_file, spec) if carried is None else _carried_spec(onnx_file, carried, spec)
    if not 1 <= batch_size <= MAX_BATCH_SIZE:
        raise SpecError(f"batch_size must be in 1..{MAX_BATCH_SIZE}, got {batch_size}")
    if canvas is not None:
        spec = spec.with_canvas(canvas)
    if soc_version is not None:
        name = soc_version if soc_version.startswith("Ascend") else f"Ascend{soc_version}"
        spec = replace(spec, atc={**spec.atc.model_dump(), "soc_version": name})
    has_atc = tools.which("atc") is not None
    if target == "om" and not has_atc:
        raise MissingEnvironmentError(f"atc not found on PATH: {ATC_HINT}, or use --target cpu")
    return Plan(
        onnx_file=onnx_file,
        output=output or Path("om_models") / f"{spec.name}_bs{batch_size}",
        spec=spec,
        batch_size=batch_size,
        soc_version=spec.atc.soc_version,
        target="om" if has_atc and target != "cpu" else "cpu",
        is_foreign=carried is None,
        may_stand_alone=target == "cpu",
    )


def _foreign_spec(onnx_file: Path, given: DetectorSpec | None) -> DetectorSpec:
    if given is None:
        raise ArtifactError(
            f"{onnx_file} carries no spec (metadata {METADATA_KEY!r}): export it with `python -m export` (make "
            "export), or, if someone else exported it, say with --spec FILE.yaml or --model NAME what it is"
        )
    weights = Checkpoint(file=onnx_file.name, sha256=sha256_of(onnx_file), dialect="onnx")
    return replace(given, checkpoint=weights.model_dump())


def _carried_spec(onnx_file: Path, carried: DetectorSpec, given: DetectorSpec | None) -> DetectorSpec:
    """What the file says about itself is true; a spec given again must say the same."""
    if given is not None:
        ours, theirs = carried.model_dump(exclude=set(SET_BY_EXPORT)), given.model_dump(exclude=set(SET_BY_EXPORT))
        name = next((name for name in ours if ours[name] != theirs[name]), None)
        if name is not None:
            raise SpecError(
                f"{onnx_file} carries the spec of {carried.name}, and the one given has another {name!r}: leave out "
                "--spec and --model, or export again with it"
            )
    return carried
