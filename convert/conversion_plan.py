"""What a conversion is going to do, decided before anything is written."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from convert.aipp.config import aipp_of
from convert.atc.command import atc_command
from convert.atc.run import ATC_HINT
from convert.chosen_spec import assumed, chosen_spec, with_batch, with_changes
from detector import tools
from detector.errors import MissingEnvironmentError, SpecError
from detector.geometry import Size
from detector.onnx_files.seal import ChangedOnnxError
from detector.spec import DetectorSpec, replace
from detector.spec.atc import FILE_OPTIONS
from detector.spec_files import find_spec_onnx

log = logging.getLogger("convert")

Target = Literal["auto", "om", "cpu"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a conversion is going to do; nothing is written yet.

    Attributes:
        onnx_file: canonical, or exported by someone else.
        output: product without suffix.
        spec: that the product will carry.
        batch_size: images per run; of batch gears the largest.
        target: "om" or "cpu".
        is_foreign: someone else exported the ONNX.
        is_changed: it was changed after its export, and is taken so.
        may_stand_alone: "cpu" was asked for by name, so that a stand-in without the files for atc will do.
        assumed: what nobody said, see `convert.chosen_spec.assumed`.
        corrected: content of the files of --keep_dtype and --modify_mixlist, by option, with the types that atc knows,
            where the spec's file has others.
    """

    onnx_file: Path
    output: Path
    spec: DetectorSpec
    batch_size: int
    target: Literal["om", "cpu"]
    is_foreign: bool = False
    is_changed: bool = False
    may_stand_alone: bool = False
    assumed: tuple[str, ...] = ()
    corrected: Mapping[str, str] = field(default_factory=dict)

    @property
    def soc_version(self) -> str:
        """The chip."""
        return self.spec.atc.soc_version

    @property
    def has_gears(self) -> bool:
        """Whether one graph serves several batch sizes or shapes."""
        return any((self.spec.atc.batch_sizes, self.spec.atc.image_sizes, self.spec.atc.dims))

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
    def companions(self) -> dict[str, str]:
        """Files that options of atc name, as they are called beside the product."""
        files = {option: getattr(self.spec.atc, option) for option in FILE_OPTIONS}
        return {option: f"{self.output.name}.{option}{Path(file).suffix}" for option, file in files.items() if file}

    @property
    def corrected_files(self) -> dict[str, Path]:
        """What atc reads in place of the spec's own files, by option."""
        return {option: self.output.with_name(self.companions[option]) for option in self.corrected}

    @property
    def command(self) -> list[str]:
        """The atc command on this machine."""
        return self.command_into(self.output)

    def command_into(self, output: Path) -> list[str]:
        """The same with another product, without suffix."""
        return atc_command(
            self.spec,
            self.lowered_file,
            output,
            batch_size=self.batch_size,
            soc_version=self.soc_version,
            files={option: str(file) for option, file in self.corrected_files.items()},
            insert_op_conf=self.aipp_file,
        )


# Options of one that serves its canvas alone, at one batch size.
NO_GEARS: Mapping[str, None] = {"batch_sizes": None, "image_sizes": None, "dims": None}


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
        spec: of a detector that someone else exported, or of a file that was changed after its export; None: the file
            carries it.
        canvas: height and width; None takes the spec's.
        target: "auto" builds the OM where atc is on PATH and the CPU stand-in elsewhere.
        soc_version: chip; None takes the spec's. `310P3` is accepted for `Ascend310P3`.
        output: product without suffix; None: `om_models/<model>_bs<batch_size>`.
        options: keys of the spec's `atc` that are set otherwise here.
        dtype: element type of the bins that the product takes; None: the spec's.

    Raises:
        ArtifactError: the file is missing, damaged, or carries no spec and none is given; it was changed after its
            export and none is given.
        SpecError: a value is not legal, or the file carries another spec than the one given.
        MissingEnvironmentError: an OM was asked for and atc is not on PATH.
    """
    carried, change = _carried(onnx_file, is_meant=spec is not None)
    atc = dict(options or {}) | ({} if soc_version is None else {"soc_version": soc_version})
    chosen = with_changes(
        chosen_spec(onnx_file, carried=carried, given=spec, atc=atc), canvas=canvas, dtype=dtype, atc=atc
    )
    if change is not None:
        chosen = replace(chosen, departures=(*chosen.departures, change))
    if carried is None:
        _say_bound(chosen)
    chosen, largest = with_batch(chosen, batch_size)
    output = output or Path("om_models") / _product_name(chosen, largest)
    _refuse_illegal(chosen, output, largest)
    return Plan(
        onnx_file,
        output,
        chosen,
        largest,
        _buildable(target),
        is_foreign=carried is None,
        is_changed=change is not None,
        may_stand_alone=target == "cpu",
        assumed=assumed(chosen, given=spec, atc=atc),
    )


def _say_bound(spec: DetectorSpec) -> None:
    """Say what bounds the images of a detector that someone else exported, where nothing else says it."""
    if not spec.image.is_sized:
        log.warning(
            "assumed: the canvas %s alone bounds the size of images, for the spec of %s has no image.short, long or "
            "stretch",
            spec.canvas,
            spec.name,
        )


def _carried(onnx_file: Path, *, is_meant: bool) -> tuple[DetectorSpec | None, str | None]:
    """The spec that a file carries, and how the file departs from what was exported; None: not at all."""
    try:
        return find_spec_onnx(onnx_file), None
    except ChangedOnnxError as error:
        if not is_meant:
            raise ChangedOnnxError(
                f"{error}; or, if the change is meant, say with --spec FILE or --model NAME what it is"
            ) from error
    log.warning("%s was changed after it was exported; it is taken, for its spec is given", onnx_file)
    return find_spec_onnx(onnx_file, may_differ=True), f"{onnx_file.name} was changed after it was exported"


def _refuse_illegal(spec: DetectorSpec, output: Path, batch_size: int) -> None:
    """What AIPP or atc would refuse is refused before anything is written."""
    if spec.image.dtype == "uint8":
        aipp_of(spec)
    elif spec.atc.insert_op_conf is not None:
        raise SpecError(
            f"atc.insert_op_conf names {spec.atc.insert_op_conf}: the OM would take images that neither the float32 "
            "bins nor the stand-in follow; drop the key and set image.dtype to 'uint8' (--dtype uint8), for which the "
            "file is rendered from the spec"
        )
    # On the NPU host the files lie beside each other.
    atc_command(spec, Path(f"{output.name}.atc.onnx"), Path(output.name), batch_size=batch_size)


def _buildable(target: Target) -> Literal["om", "cpu"]:
    """What can be built on this machine."""
    has_atc = tools.which("atc") is not None
    if target == "om" and not has_atc:
        raise MissingEnvironmentError(f"atc not found on PATH: {ATC_HINT}, or use --target cpu")
    return "om" if has_atc and target != "cpu" else "cpu"


def _product_name(spec: DetectorSpec, largest: int) -> str:
    """Characters that atc takes in a path: no comma."""
    atc = spec.atc
    if atc.dims is not None:
        return f"{spec.name}_dims"
    batch = "-".join(map(str, atc.batch_sizes or (largest,)))
    return f"{spec.name}_bs{batch}{'_images' if atc.image_sizes else ''}"
