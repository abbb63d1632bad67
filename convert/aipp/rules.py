"""The rules that an AIPP file must keep, so that one written by hand is refused here and not by atc (E10052, E81012).

Ranges and dependencies: hicann/ge, config_file_template.md and compiler/graph/preprocess/insert_op/aipp_op.cc; the
limits of the 310P kernel: impl/aipp_comm.py of CANN 8.1.RC1 (docs/facts/atc.md, section 5.1).
"""

import re
from collections.abc import Iterator, Sequence

from detector.card.sheet import FLOAT16_MAX

FORMATS = ("YUV420SP_U8", "XRGB8888_U8", "RGB888_U8", "YUV400_U8")
SWITCHES = ("crop", "padding", "csc_switch", "rbuv_swap_switch", "ax_swap_switch")
RESERVED = ("resize", "resize_output_w", "resize_output_h", "cpadding_value", "single_line_mode", "support_rotation")
# Of the images that a format makes; 1 of a coloured one is its conversion to grey.
CHANNELS = {"YUV420SP_U8": (3, 1), "RGB888_U8": (3, 1), "XRGB8888_U8": (4, 3, 1), "YUV400_U8": (1,)}
MAX_PADDING = 32  # pixels a side
MAX_PADDED_WIDTH = 1080  # on 310P
_SIDES = ("left", "right", "top", "bottom")
# Whole numbers: first and last legal value.
WHOLE = {
    "related_input_rank": (0, 2**31 - 1),
    "input_edge_idx": (0, 2**31 - 1),
    "max_src_image_size": (1, 2**32 - 1),
    "src_image_size_w": (0, 4096),
    "src_image_size_h": (0, 4096),
    "load_start_pos_w": (0, 4095),
    "load_start_pos_h": (0, 4095),
    "crop_size_w": (0, 4096),
    "crop_size_h": (0, 4096),
    **{f"{side}_padding_size": (0, MAX_PADDING) for side in _SIDES},
    **{f"matrix_r{row}c{column}": (-32677, 32676) for row in range(3) for column in range(3)},
    **{f"{side}_bias_{channel}": (0, 255) for side in ("input", "output") for channel in range(3)},
    **{f"mean_chn_{channel}": (0, 255) for channel in range(4)},
}
REAL = {
    "padding_value": (-FLOAT16_MAX, FLOAT16_MAX),
    **{f"min_chn_{channel}": (0.0, 255.0) for channel in range(4)},
    **{f"var_reci_chn_{channel}": (-FLOAT16_MAX, FLOAT16_MAX) for channel in range(4)},
}
BlockFields = dict[str, str]


def aipp_problems(text: str, *, image_gears: bool = False) -> list[str]:
    """What is wrong with an AIPP file.

    Args:
        text: of the file.
        image_gears: the OM has several image sizes.

    Returns:
        One line per problem: the field, got and expected.
    """
    blocks = _blocks(text)
    if not blocks:
        return ["has no block aipp_op { ... }"]
    problems: list[str] = []
    for pairs in blocks:
        names = [name for name, _ in pairs]
        problems += [f"{name} is given twice in a block" for name in sorted({n for n in names if names.count(n) > 1})]
        fields = dict(pairs)
        problems += [*_values(fields), *_together(fields)]
        if image_gears and fields.get("aipp_mode") == "static":
            problems += _gears(fields)
    ranks = [_size(dict(pairs), "related_input_rank") for pairs in blocks]
    problems += [
        f"related_input_rank {rank} is that of two blocks" for rank in sorted({r for r in ranks if ranks.count(r) > 1})
    ]
    return problems


def misfits(text: str, shapes: Sequence[tuple[int | None, ...] | None]) -> Iterator[str]:
    """What does not fit the images of a model.

    Args:
        text: of the file.
        shapes: of the model's inputs, (batch, channels, height, width); None: not known. Empty: none is known.

    Returns:
        One line per problem.
    """
    for fields in map(dict, _blocks(text)):
        rank = _size(fields, "related_input_rank")
        shape = shapes[rank] if rank < len(shapes) else None
        if shapes and rank >= len(shapes):
            yield f"related_input_rank is {rank}, the model has {len(shapes)} inputs"
        elif shape is not None and len(shape) == 4 and fields.get("aipp_mode") == "static":
            yield from _sides(fields, shape)


def is_dynamic(text: str) -> bool:
    """Whether a block of an AIPP file gets its values at run time."""
    return any(("aipp_mode", "dynamic") in pairs for pairs in _blocks(text))


def _sides(fields: BlockFields, shape: tuple[int | None, ...]) -> Iterator[str]:
    channels = CHANNELS.get(fields.get("input_format", ""))
    if channels and shape[1] not in (None, *channels):
        made = " or ".join(map(str, channels))
        yield f"input_format is {fields['input_format']}, of {made} channels; the model's input has {shape[1]}"
    for side, want, (first, last) in (("height", shape[2], _SIDES[2:]), ("width", shape[3], _SIDES[:2])):
        size = _size(fields, f"src_image_size_{side[0]}")
        if _on(fields, "crop"):
            size = _size(fields, f"crop_size_{side[0]}")
        if size and _on(fields, "padding"):
            size += _size(fields, f"{first}_padding_size") + _size(fields, f"{last}_padding_size")
        if size and want not in (None, size):
            yield f"makes images of {side} {size}, the model's input has {want}"


def _blocks(text: str) -> list[list[tuple[str, str]]]:
    """BlockFields and values of every block."""
    blocks = re.findall(r"aipp_op\s*:?\s*\{([^}]*)\}", re.sub(r"#[^\n]*", "", text))
    return [re.findall(r"(\w+)\s*:\s*\"?([^\s\",;]+)\"?", block) for block in blocks]


def _values(fields: BlockFields) -> Iterator[str]:
    for name, value in fields.items():
        if name in WHOLE or name in REAL:
            low, high = WHOLE[name] if name in WHOLE else REAL[name]
            number = _number(value, whole=name in WHOLE)
            if number is None or not low <= number <= high:
                kind = "a whole number" if name in WHOLE else "a number"
                yield f"{name} is {value}, expected {kind} from {low:g} to {high:g}"
        elif name in SWITCHES and value not in ("true", "false", "1", "0"):
            yield f"{name} is {value}, expected true or false"
        elif name == "input_format" and value not in FORMATS:
            yield f"input_format is {value}, expected one of {', '.join(FORMATS)}"
        elif name == "aipp_mode" and value not in ("static", "dynamic"):
            yield f"aipp_mode is {value}, expected static or dynamic"
        elif name not in (*SWITCHES, "input_format", "aipp_mode") and not _is_off(name, value):
            yield f"{name} is not supported by AIPP"


def _is_off(name: str, value: str) -> bool:
    """A reserved field that is given as what it is anyway."""
    return name in RESERVED and (value == "false" or _number(value, whole=False) == 0)


def _together(fields: BlockFields) -> Iterator[str]:
    if "aipp_mode" not in fields:
        yield "aipp_mode is missing"
    if fields.get("aipp_mode") == "static" and "input_format" not in fields:
        yield "input_format is missing"
    if fields.get("aipp_mode") == "dynamic" and "max_src_image_size" not in fields:
        yield "max_src_image_size is missing"
    source = {side: _size(fields, f"src_image_size_{side}") for side in "wh"}
    if source["w"] == 1:
        yield "src_image_size_w is 1, expected 2 to 4096, or 0"
    if fields.get("input_format") == "YUV420SP_U8" and any(size % 2 for size in source.values()):
        yield "src_image_size_w and src_image_size_h must be even for YUV420SP_U8"
    if _on(fields, "csc_switch") and fields.get("input_format") == "YUV400_U8":
        yield "csc_switch cannot go with YUV400_U8"
    if (_on(fields, "crop") or _on(fields, "padding")) and 0 in source.values():
        yield "src_image_size_w and src_image_size_h must be given with crop or padding"
    yield from _crop_and_padding(fields, source)


def _crop_and_padding(fields: BlockFields, source: dict[str, int]) -> Iterator[str]:
    width = source["w"]
    if _on(fields, "crop"):
        for side, size in source.items():
            start, length = _size(fields, f"load_start_pos_{side}"), _size(fields, f"crop_size_{side}")
            if size and start + length > size:
                yield f"load_start_pos_{side} + crop_size_{side} is {start + length}, the image has {size}"
        width = _size(fields, "crop_size_w") or width
    if _on(fields, "padding"):
        padded = width + _size(fields, "left_padding_size") + _size(fields, "right_padding_size")
        if padded > MAX_PADDED_WIDTH:
            yield f"padding makes the width {padded}, on 310P at most {MAX_PADDED_WIDTH}; pad on the host"


def _gears(fields: BlockFields) -> Iterator[str]:
    for name in ("crop", "padding"):
        if _on(fields, name):
            yield f"{name} cannot go with image sizes as gears"
    for name in ("src_image_size_w", "src_image_size_h"):
        if _size(fields, name):
            yield f"{name} must be 0 with image sizes as gears"


def _number(value: str, *, whole: bool) -> float | None:
    try:
        return int(value) if whole else float(value)
    except ValueError:
        return None


def _size(fields: BlockFields, name: str) -> int:
    number = _number(fields.get(name, "0"), whole=True)
    return int(number or 0)


def _on(fields: BlockFields, name: str) -> bool:
    return fields.get(name) in ("true", "1")
