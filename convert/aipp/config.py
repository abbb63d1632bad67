"""AIPP, the card's own preprocessing: the spec's normalization as the text of `--insert_op_conf`.

With it the OM takes uint8 (batch, height, width, 3) instead of float32 (batch, 3, height, width): a quarter of the
bytes to write, read and copy. Resizing and padding stay with the host: AIPP pads at most 32 pixels, on 310P only up to
a width of 1080, and does not resize (docs/facts/atc.md, section 5).

Facts: hicann/ge, docs/zh/user_guides/atc_tools/AIPP/config_file_template.md and compiler/graph/preprocess/insert_op/
aipp_op.cc; limits also in impl/aipp_comm.py of CANN 8.1.RC1. UNCONFIRMED: the order of the float16 roundings inside.
"""

import math
from dataclasses import dataclass

import numpy as np

from detector.card.sheet import FLOAT16_MAX
from detector.errors import SpecError
from detector.spec import DetectorSpec
from detector.spec.image import ImageSpec

CHANNELS = 3
MAX_SIDES = (4096, 4096)  # src_image_size_h, src_image_size_w
MIN_WIDTH = 2
SMALLEST_NORMAL = 2.0**-14  # of float16: a smaller reciprocal loses digits


@dataclass(frozen=True, slots=True)
class Aipp:
    """What AIPP does to one input, in its own quantities.

    Attributes:
        height: of the image, in pixels; 0: whatever the model has (image gears).
        width: the same.
        swap: exchange the first and third channel, before all else.
        mean: whole numbers to subtract, per channel after the swap.
        fraction: float16 numbers to subtract as well.
        reciprocal: float16 numbers to multiply with then.
    """

    height: int
    width: int
    swap: bool
    mean: tuple[int, int, int]
    fraction: tuple[float, float, float]
    reciprocal: tuple[float, float, float]


def aipp_of(spec: DetectorSpec) -> Aipp:
    """The normalization of a spec.

    Bins are BGR, so that an RGB model needs the swap. float16 holds 123.675 as 123.6875: the whole part goes to
    `mean_chn`, which is exact, the fraction to `min_chn`. What float16 lacks of the fraction, at most 2^-12 of a grey
    level, stays: no field is finer and none is negative. Next to the mean float16 itself is finer than that, so for
    mean 102.9801, 115.9465, 122.7717 and std 1 the grey levels 103, 116 and 123 come out 8, 7 and 2 of its steps off;
    all else, and every level of the other models in atc_configs/, at most one. A node that adds the rest to the input
    would mend it, and is not worth a pass over the canvas.

    Raises:
        SpecError: AIPP cannot do what the spec asks for.
    """
    problem = obstacle(spec)
    if problem:
        raise SpecError(f"{spec.name}: {problem}")
    image, sides = spec.image, (0, 0) if spec.atc.image_sizes else tuple(spec.canvas)
    whole = [math.floor(mean) for mean in image.mean]
    fraction = [_half(mean - floor) for mean, floor in zip(image.mean, whole, strict=True)]
    reciprocal = [_half(1 / std) for std in image.std]
    return Aipp(
        height=sides[0],
        width=sides[1],
        swap=image.channels == "RGB",
        mean=(whole[0], whole[1], whole[2]),
        fraction=(fraction[0], fraction[1], fraction[2]),
        reciprocal=(reciprocal[0], reciprocal[1], reciprocal[2]),
    )


def obstacle(spec: DetectorSpec) -> str | None:
    """Why AIPP cannot serve this spec, with the next step; None: it can."""
    image, atc, fix = spec.image, spec.atc, "set image.dtype to 'float32'"
    if image.dtype != "uint8":
        return f"image.dtype is {image.dtype!r}: only uint8 bins go through AIPP; set it to 'uint8' (--dtype uint8)"
    if atc.dims:
        return f"atc.dims cannot be combined with AIPP; take atc.batch_sizes or atc.image_sizes, or {fix}"
    if atc.insert_op_conf:
        return (
            f"atc.insert_op_conf names {atc.insert_op_conf}, and dtype 'uint8' renders an AIPP file of its own; drop "
            f"the key, or {fix}"
        )
    sizes = atc.image_sizes or (tuple(spec.canvas),)
    for height, width in sizes:
        if height > MAX_SIDES[0] or not MIN_WIDTH <= width <= MAX_SIDES[1]:
            return f"AIPP takes images of up to {MAX_SIDES[0]}x{MAX_SIDES[1]}, the canvas is {height}x{width}; {fix}"
    return _value_obstacle(image, fix)


def _value_obstacle(image: ImageSpec, fix: str) -> str | None:
    for mean in image.mean:
        if not 0 <= mean < 256:
            return f"mean_chn is 0 to 255, image.mean has {mean:g}; {fix}"
    for std in image.std:
        if not SMALLEST_NORMAL <= 1 / std <= FLOAT16_MAX:
            return f"var_reci_chn is a float16, 1 / {std:g} (image.std) is none; {fix}"
    return None


def aipp_text(aipp: Aipp) -> str:
    """The file for `--insert_op_conf`, every field of a static RGB888 input written out."""
    fields: list[tuple[str, str]] = [
        ("aipp_mode", "static"),
        ("related_input_rank", "0"),
        ("input_format", "RGB888_U8"),
        ("src_image_size_w", str(aipp.width)),
        ("src_image_size_h", str(aipp.height)),
        ("crop", "false"),
        ("padding", "false"),
        ("csc_switch", "false"),
        ("rbuv_swap_switch", "true" if aipp.swap else "false"),
        ("ax_swap_switch", "false"),
        *((f"mean_chn_{channel}", str(value)) for channel, value in enumerate(aipp.mean)),
        *((f"min_chn_{channel}", _decimal(value)) for channel, value in enumerate(aipp.fraction)),
        *((f"var_reci_chn_{channel}", _decimal(value)) for channel, value in enumerate(aipp.reciprocal)),
    ]
    lines = "".join(f"    {name}: {value}\n" for name, value in fields)
    return f"aipp_op {{\n{lines}}}\n"


def _half(value: float) -> float:
    return float(np.float16(value))


def _decimal(value: float) -> str:
    """All digits of a float16, without an exponent: whoever reads it has nothing to round."""
    return np.format_float_positional(value, trim="0")
