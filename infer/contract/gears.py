"""Which compiled gear of an OM a run uses: batch size, image size or whole shape, as an option of ais_bench."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from detector.errors import SpecError
from detector.geometry import Size
from detector.spec import DetectorSpec
from infer.contract.options import SPELLINGS, Options

OPTIONS = {"dym_batch": "--dymBatch", "dym_hw": "--dymHW", "dym_dims": "--dymDims", "dym_shape": "--dymShape"}
# Options under which the shape follows each file or is swept over.
FOLLOWING = ("auto_set_dymdims_mode", "auto_set_dymshape_mode", "dym_shape_range")
NAMES = {**OPTIONS, **{name: f"--{SPELLINGS.get(name, name)}" for name in FOLLOWING}}


@dataclass(frozen=True, slots=True)
class Gears:
    """What an OM was compiled for; at most one kind is not empty, because atc takes one (E10009).

    Attributes:
        name: of the model input that changes.
        batches: values of --dynamic_batch_size.
        images: values of --dynamic_image_size, (height, width) in pixels.
        shapes: values of --dynamic_dims, as whole shapes (batch, channels, height, width).
    """

    name: str
    batches: tuple[int, ...] = ()
    images: tuple[Size, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.batches or self.images or self.shapes)

    @property
    def canvases(self) -> frozenset[Size]:
        """The image sizes among the gears; empty where only the batch changes."""
        return frozenset((*self.images, *(Size(*shape[2:]) for shape in self.shapes)))

    def batch_size(self, canvas: Size) -> int | None:
        """The largest batch of a canvas; None where the gears leave it to the model."""
        batches = self.batches or [shape[0] for shape in self.shapes if shape[2:] == tuple(canvas)]
        return max(batches, default=None)


def settle_gear(options: Options, gears: Gears, canvas: Size | None) -> Options:
    """The options with a gear that the OM has: the one asked for, or the one that fits the bins.

    The card takes the largest gear where none is set, and ais_bench stops at an open batch axis; so one is always set.

    Args:
        options: of the user.
        gears: of the OM.
        canvas: of the bins; None if no manifest says it.

    Returns:
        `options` itself for an OM of one shape, or where the user lets the dims follow each file (the auto mode).

    Raises:
        SpecError: the gear asked for is none of the OM's, or nothing tells which one is meant.
    """
    asked = [name for name in OPTIONS if getattr(options, name)]
    following = [name for name in FOLLOWING if getattr(options, name)]
    if not gears:
        _refuse_on_one_shape(options, [*asked, *following])
        return options
    if following:
        _refuse_following(options, gears, following)
        return options
    name, values = _choices(gears)
    if asked:
        value = str(getattr(options, asked[0]))
        if asked != [name] or value not in values:
            given = " ".join(f"{OPTIONS[other]} {getattr(options, other)}" for other in asked)
            raise SpecError(f"{given} is no gear of {options.model}, give one that it has: {_listed(name, values)}")
        _refuse_other_canvas(value, gears, values, canvas)
        return options
    chosen = _fitting(options, gears, canvas)
    if chosen is None:
        wanted = f"bins of {canvas}" if canvas else "bins without a manifest"
        raise SpecError(f"no gear of {options.model} is known to fit {wanted}, give one: {_listed(name, values)}")
    return chosen


def _refuse_on_one_shape(options: Options, given: Sequence[str]) -> None:
    if given:
        raise SpecError(
            f"{NAMES[given[0]]} is for an OM with gears, and {options.model}.json says that this "
            "one has a single shape: leave the option out"
        )


def _refuse_following(options: Options, gears: Gears, following: Sequence[str]) -> None:
    """Refuse automatic shapes that an OM with gears has not: only dims can follow the files (SetInputsData)."""
    wrong = [name for name in following if name != "auto_set_dymdims_mode" or not gears.shapes]
    if wrong:
        name, values = _choices(gears)
        raise SpecError(
            f"{NAMES[wrong[0]]} does not fit the gears of {options.model}, give one of them: {_listed(name, values)}"
        )


def _refuse_other_canvas(value: str, gears: Gears, values: Sequence[str], canvas: Size | None) -> None:
    """Refuse a gear of another canvas than the bins: turned by 90 degrees it has as many bytes, no size differs."""
    sizes = gears.images or [Size(*shape[2:]) for shape in gears.shapes]
    if canvas is None or not sizes or sizes[values.index(value)] == canvas:
        return
    raise SpecError(
        f"the bins are of {canvas}, the gear {value} is of {sizes[values.index(value)]}: leave the option out, or give "
        "the bins of that canvas"
    )


def _choices(gears: Gears) -> tuple[str, list[str]]:
    """The option that sets this kind of gear, and its legal values as text."""
    if gears.batches:
        return "dym_batch", [str(batch) for batch in gears.batches]
    if gears.images:
        return "dym_hw", [f"{height},{width}" for height, width in gears.images]
    return "dym_dims", [_shape(gears.name, shape) for shape in gears.shapes]


def _fitting(options: Options, gears: Gears, canvas: Size | None) -> Options | None:
    """The options with the largest batch for this canvas; None if no gear has it."""
    if gears.batches:
        return replace(options, dym_batch=max(gears.batches))
    if canvas is None:
        return None
    if gears.images:
        return replace(options, dym_hw=f"{canvas[0]},{canvas[1]}") if canvas in gears.images else None
    fits = [shape for shape in gears.shapes if shape[2:] == tuple(canvas)]
    return replace(options, dym_dims=_shape(gears.name, max(fits))) if fits else None


def _shape(name: str, shape: Sequence[int]) -> str:
    return f"{name}:{','.join(map(str, shape))}"


def _listed(name: str, values: Sequence[str]) -> str:
    return f"{OPTIONS[name]} {' | '.join(values)}"


def gears_of(spec: DetectorSpec) -> Gears:
    """The gears of the OM that carries this spec."""
    atc, tensor = spec.atc, spec.input
    return Gears(
        tensor.name,
        batches=tuple(atc.batch_sizes or ()),
        images=tuple(Size(*size) for size in atc.image_sizes or ()),
        # --dynamic_dims excludes AIPP, so the input is float NCHW.
        shapes=tuple((batch, tensor.shape[0], height, width) for batch, height, width in atc.dims or ()),
    )
