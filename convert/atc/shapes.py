"""Shapes and gears of an atc command line: syntax of `--input_shape`, and that the gears fit its -1.

Rules of the manual's pages of the four options and of compiler/api/aclgrph/option_utils.cc (hicann/ge).
"""

import re
from collections.abc import Iterator, Mapping

from convert.atc.line import Fault, entries, whole
from convert.atc.options import GEARS
from detector.card.sheet import MAX_GEARS, MIN_GEARS, SUGGESTED_BATCH

_DIMENSION = re.compile(r"-1|[0-9]{1,18}(~[0-9]{1,18})?")
_FIX = "write NAME:D,D,D,D, inputs separated by ;"


def exclusive_gears(values: Mapping[str, str]) -> Iterator[Fault]:
    """At most one option for gears, and none beside the range of old."""
    given = [name for name in (*GEARS, "input_shape_range") if name in values]
    if len(given) > 1:
        others = ", ".join(f"--{name}" for name in given)
        yield Fault("illegal", given[0], f"gears exclude each other, got {others}; keep one", "E10009")


def shape_problems(values: Mapping[str, str]) -> Iterator[Fault]:
    """What is wrong with `--input_shape` and the gears of a line; all of it is independent of the model."""
    shapes: dict[str, list[str]] = {}
    for entry in entries(values.get("input_shape", ""), ";"):
        if entry:
            yield from _read_shape(entry, shapes)
    given = [name for name in GEARS if name in values]
    if given and not any(exclusive_gears(values)):
        yield from _gear_problems(given[0], values, shapes)


def _read_shape(entry: str, shapes: dict[str, list[str]]) -> Iterator[Fault]:
    name, colon, text = entry.rpartition(":")  # names such as onnx::Reshape_0 have colons
    if not colon or not name.strip():
        yield Fault("illegal", "input_shape", f"{entry!r} has no input name; {_FIX}", "E10002")
        return
    if "[" in text or "]" in text:
        text = text.strip("[] ")
        yield Fault(
            "illegal",
            "input_shape",
            f"{entry!r} has brackets, which are of the deprecated --input_shape_range; {_FIX}",
            "E10002",
        )
    dimensions = [part.strip() for part in text.split(",")] if text.strip() else []
    shapes[name.strip()] = dimensions
    for dimension in dimensions:
        if not _DIMENSION.fullmatch(dimension):
            yield Fault(
                "illegal", "input_shape", f"{dimension!r} in {entry!r} is no size, range such as 1~10, or -1", "E10002"
            )
        elif "~" in dimension and int(dimension.split("~")[0]) > int(dimension.split("~")[1]):
            yield Fault("illegal", "input_shape", f"the range {dimension!r} in {entry!r} ends before it starts")
        elif dimension == "0":
            yield Fault("illegal", "input_shape", f"{entry!r} has size 0; sizes are positive", "E10011")
    if " " in text:
        yield Fault("discouraged", "input_shape", f"{entry!r} has blanks; write it without them")


def _gear_problems(option: str, values: Mapping[str, str], shapes: Mapping[str, list[str]]) -> Iterator[Fault]:
    if not shapes:
        yield Fault("illegal", option, "gears need --input_shape with -1 where they go", "E10004")
        return
    if any("~" in dimension for shape in shapes.values() for dimension in shape):
        yield Fault("illegal", "input_shape", f"has a range; --{option} needs -1 and no ~", "E10040")
        return
    open_axes = {name: [axis for axis, size in enumerate(shape) if size == "-1"] for name, shape in shapes.items()}
    gears = _gears(option, values[option])
    yield from _position_problems(option, values, shapes, open_axes)
    yield from _list_problems(option, gears, sum(len(axes) for axes in open_axes.values()))
    yield from _format_problems(option, values)


def _gears(option: str, text: str) -> list[tuple[str, ...]]:
    if option == "dynamic_batch_size":
        return [(part,) for part in entries(text, ",")]
    return [tuple(entries(gear, ",")) for gear in entries(text, ";")]


def _position_problems(
    option: str, values: Mapping[str, str], shapes: Mapping[str, list[str]], open_axes: Mapping[str, list[int]]
) -> Iterator[Fault]:
    sides = [1, 2] if values.get("input_format") == "NHWC" else [2, 3]
    if not any(open_axes.values()):
        code = {"dynamic_batch_size": "E10031", "dynamic_image_size": "E10019"}.get(option, "E10001")
        yield Fault("illegal", "input_shape", f"has no -1 for the gears of --{option}", code)
        return
    for name, axes in open_axes.items():
        shape = f"{name}:{','.join(shapes[name])}"
        if option == "dynamic_batch_size" and axes not in ([], [0]):
            yield Fault("illegal", "input_shape", f"{shape!r}: only the first size may be -1 with --{option}", "E10018")
        if option == "dynamic_image_size" and axes and (len(shapes[name]) != 4 or axes != sides):
            yield Fault(
                "illegal",
                "input_shape",
                f"{shape!r}: exactly height and width of a 4-dimensional input are -1 with --{option}",
                "E10019",
            )


def _list_problems(option: str, gears: list[tuple[str, ...]], open_count: int) -> Iterator[Fault]:
    width = {"dynamic_batch_size": 1, "dynamic_image_size": 2}.get(option, open_count)
    for gear in gears:
        yield from _one_gear(option, gear, width)
    if not MIN_GEARS <= len(gears) <= MAX_GEARS:
        advice = "for one gear give the shape itself" if len(gears) < MIN_GEARS else "3 or 4 are advised"
        code = "E10035" if len(gears) < MIN_GEARS else "E10036"
        yield Fault("illegal", option, f"has {len(gears)} gears, legal are {MIN_GEARS}..{MAX_GEARS}; {advice}", code)
    twice = next((gear for gear in gears if gears.count(gear) > 1), None)
    if twice:
        yield Fault("illegal", option, f"gear {','.join(twice)!r} is listed twice; drop one", "E10039")


def _one_gear(option: str, gear: tuple[str, ...], width: int) -> Iterator[Fault]:
    text = ",".join(gear)
    sizes = [whole(size) for size in gear]
    if None in sizes:
        yield Fault("illegal", option, f"gear {text!r}: expected positive whole numbers", "E10003")
    elif 0 in sizes:
        yield Fault("illegal", option, f"gear {text!r}: sizes are positive", "E10038")
    elif width and len(gear) != width:
        code = "E10020" if option == "dynamic_image_size" else "E10003"
        yield Fault("illegal", option, f"gear {text!r} has {len(gear)} sizes, {width} are -1", code)
    elif option == "dynamic_batch_size" and int(text) > SUGGESTED_BATCH:
        yield Fault("discouraged", option, f"batch {text}; the manual advises 1..{SUGGESTED_BATCH}")


def _format_problems(option: str, values: Mapping[str, str]) -> Iterator[Fault]:
    given = values.get("input_format", "NCHW")
    if option == "dynamic_dims" and given != "ND":
        text = f"is {given!r}; --dynamic_dims needs ND"
        # Refused in the public sources up to 2022, no longer in those of 2025.
        yield Fault("illegal", "input_format", text, "E10001", refused=("0", "6.0.1"), taken_from="8.5")
    if option == "dynamic_image_size" and given not in ("NCHW", "NHWC"):
        yield Fault("illegal", "input_format", f"is {given!r}; --dynamic_image_size needs NCHW; for ND use dims")
    if option == "dynamic_dims" and "insert_op_conf" in values:
        yield Fault("illegal", "insert_op_conf", "AIPP cannot be combined with --dynamic_dims; drop one", "E10001")
