"""One conversion from file to files."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from convert.atc import ATC_HINT, atc_command, atc_script, run_atc
from convert.freeze import freeze
from convert.lower import lower
from convert.precise_norm import with_precise_norms
from detector import tools
from detector.artifacts import make_folder, sha256_of, write_error, write_json, write_text
from detector.errors import ArtifactError, MissingEnvironmentError, SpecError
from detector.geometry import Size
from detector.onnx_file import embed_spec, read_onnx, write_onnx
from detector.spec import DetectorSpec, replace
from detector.spec_files import read_spec_json, read_spec_onnx

Target = Literal["auto", "om", "cpu"]
# Of a conversion without atc, in the order of their appearance: the model last.
PRODUCTS = (".atc.onnx", ".om.json", ".atc.sh", ".onnx")
MAX_BATCH_SIZE = 4096  # of ais_bench's --batchsize


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion made.

    Attributes:
        model: what `infer` runs: the OM, or its stand-in.
        target: "om" or "cpu".
        command: the atc command, run here or to be run on the NPU host.
        files: everything written.
        spec: as the product carries it.
    """

    model: Path
    target: Literal["om", "cpu"]
    command: tuple[str, ...]
    files: tuple[Path, ...]
    spec: DetectorSpec


@dataclass(frozen=True, slots=True)
class Plan:
    """What a conversion is going to do; nothing is written yet."""

    onnx_file: Path
    output: Path
    spec: DetectorSpec
    batch_size: int
    soc_version: str
    target: Literal["om", "cpu"]

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
    canvas: Size | None = None,
    target: Target = "auto",
    soc_version: str | None = None,
    output: Path | None = None,
) -> Plan:
    """Decide what a conversion does.

    Args:
        onnx_file: canonical ONNX of `python -m export`.
        batch_size: images per run.
        canvas: height and width; None takes the spec's.
        target: "auto" builds the OM where atc is on PATH and the CPU stand-in elsewhere.
        soc_version: chip; None takes the spec's. `310P3` is accepted for `Ascend310P3`.
        output: product without suffix; None: `om_models/<model>_bs<batch_size>`.

    Raises:
        ArtifactError: the file is missing, damaged or carries no spec.
        SpecError: a value is not legal.
        MissingEnvironmentError: an OM was asked for and atc is not on PATH.
    """
    spec = read_spec_onnx(onnx_file)
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
    )


def convert(plan: Plan) -> Conversion:
    """Carry a plan out; the model itself is written last.

    Raises:
        SpecError: the graph cannot be made static or lowered.
        ToolError: atc failed.
        ArtifactError: a file cannot be read or written.
    """
    _keep_inputs(plan)
    frozen = freeze(read_onnx(plan.onnx_file), batch_size=plan.batch_size, canvas=plan.spec.canvas)
    embed_spec(frozen, plan.spec)
    make_folder(plan.output.parent)
    return _build_om(plan, frozen) if plan.target == "om" else _build_stand_in(plan, frozen)


def _build_om(plan: Plan, frozen: onnx.ModelProto) -> Conversion:
    # The spec beside an OM is of that OM or it is not there: it goes before the OM changes and comes after.
    plan.sidecar.unlink(missing_ok=True)
    write_onnx(plan.lowered_file, lower(frozen))
    om = run_atc(plan.command, plan.output)
    write_json(plan.sidecar, _record(plan))
    return Conversion(om, "om", tuple(plan.command), (plan.lowered_file, om, plan.sidecar), plan.spec)


def _build_stand_in(plan: Plan, frozen: onnx.ModelProto) -> Conversion:
    name = plan.output.name
    remote = atc_command(
        plan.spec, Path(f"{name}.atc.onnx"), Path(name), batch_size=plan.batch_size, soc_version=plan.soc_version
    )
    # Made aside and moved together: a full disk or an interrupt leaves all files of one conversion or none.
    with _folder_aside(plan.output.parent) as aside:
        write_onnx(aside / f"{name}.atc.onnx", lower(frozen))
        write_json(aside / f"{name}.om.json", _record(plan))
        write_text(aside / f"{name}.atc.sh", atc_script(remote, Path(name)), mode=0o755)
        write_onnx(aside / f"{name}.onnx", with_precise_norms(frozen))
        files = []
        for suffix in PRODUCTS:
            target = Path(f"{plan.output}{suffix}")
            try:
                os.replace(aside / f"{name}{suffix}", target)
            except OSError as error:
                raise write_error(target, error) from error
            files.append(target)
    return Conversion(files[-1], "cpu", tuple(remote), tuple(files), plan.spec)


@contextlib.contextmanager
def _folder_aside(parent: Path) -> Iterator[Path]:
    """A temporary folder on the same file system, gone afterwards."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".convert.", dir=parent)
    except OSError as error:
        raise write_error(parent, error) from error
    with folder as name:
        yield Path(name)


def _record(plan: Plan) -> dict[str, Any]:
    """What stands beside an OM, which cannot carry its spec itself."""
    return {
        "spec": plan.spec.model_dump(mode="json"),
        "batch_size": plan.batch_size,
        "source": {"file": plan.onnx_file.name, "sha256": sha256_of(plan.onnx_file)},
    }


def _keep_inputs(plan: Plan) -> None:
    """Refuse to overwrite the model that is converted, or to describe an OM that was built from something else."""
    for suffix in PRODUCTS:
        target = Path(f"{plan.output}{suffix}")
        if target.is_dir():
            raise ArtifactError(f"cannot write {target}: a folder is in the way; remove it or give another --output")
        if target.resolve() == plan.onnx_file.resolve():
            raise SpecError(f"--output {plan.output} would overwrite the input {plan.onnx_file}; give another name")
    om = Path(f"{plan.output}.om")
    if plan.target == "cpu" and om.exists() and plan.sidecar.exists():
        described = read_spec_json(plan.sidecar)
        if described != plan.spec:
            raise ArtifactError(
                f"{om} was built from another spec than {plan.onnx_file}: remove it, or give another --output"
            )
