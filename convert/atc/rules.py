"""Whether a command line of atc is legal, without atc: the manual's rules for single options and between them."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence

from convert.atc.line import Fault, Line, Values, entries, read_line
from convert.atc.options import OPTIONS, OTHER_ATC, OTHER_CHIP, REQUIRED, SINGLE_OPERATOR
from convert.atc.shapes import exclusive_gears, shape_problems
from detector.card.sheet import CHIPS, PRECISION_MODES

ONNX_FRAMEWORK = "5"
MAKE_OM = "0"  # --mode
# Letters, digits, _ - . and Chinese characters (manual, --model and --output); no blanks, no quotes, no variables.
_PATH = re.compile(r"[A-Za-z0-9_./\u4e00-\u9fff-]+")
# --customize_dtypes allows a colon as well.
_PATH_WITH_COLON = re.compile(r"[A-Za-z0-9_./:\u4e00-\u9fff-]+")
OUTPUT_TYPES = ("FP32", "FP16", "UINT8", "INT8", "UINT16", "INT16", "UINT32", "INT32", "UINT64", "INT64", "DOUBLE")
LineRule = Callable[[Values], Iterator[Fault]]
MIXED = tuple(name for name, meant in PRECISION_MODES.items() if meant == "allow_mix_precision")


def check_arguments(arguments: Sequence[str]) -> list[Fault]:
    """What is wrong with a command line for an ONNX model and a 310P chip.

    Args:
        arguments: as a shell passes them, with or without the program's name first.

    Returns:
        Nothing for a line that the manual calls legal and that is not outdated. A line is illegal if one of them
        `is_fatal`.
    """
    return [problem for problem, _ in line_problems(read_line(arguments))]


def line_problems(line: Line) -> Iterator[tuple[Fault, tuple[str, ...]]]:
    """What is wrong with a line; and what only a shell knows of the values that were read: then it may be right."""
    yield from ((problem, ()) for problem in line.problems)
    broken = {problem.option for problem in line.problems if problem.code == "E10004"}
    values = {name: value for name, value in line.values.items() if name not in broken}
    single: list[LineRule] = [functools.partial(_one_value, name) for name in values]
    for rule in (*single, *RULES):
        read = Values(values)
        for problem in rule(read):
            yield problem, tuple(read.unseen)
    for name in _required(Values(line.values)):
        yield Fault("illegal", name, "is missing", "E10007" if name == "framework" else "E10054"), line.unseen


def _required(values: Values) -> tuple[str, ...]:
    if values.get("mode", MAKE_OM) != MAKE_OM or "help" in values:
        return ()
    required = SINGLE_OPERATOR if "singleop" in values else REQUIRED
    return tuple(name for name in required if name not in values)


def _one_value(name: str, values: Values) -> Iterator[Fault]:
    option = OPTIONS[name]
    if option.removed:
        text = f"was removed from atc; use {option.instead}"
        yield Fault("illegal", name, text, option.code, refused=("7.0", "99"))  # guides for 5.1 and 6.0 have it
    elif option.instead:
        yield Fault("discouraged", name, f"is deprecated; use {option.instead}")
    value = values[name]
    if option.values and value not in option.values and not _is_aipp_layout(name, values):
        legal = ", ".join(option.values)
        if not any(part in value for part in ("bf16", "bfloat16", "hif8")):
            yield Fault("illegal", name, f"got {value!r}; legal are {legal}", option.code)
        elif OTHER_CHIP.fullmatch(values.get("soc_version", "")):
            yield Fault("other chip", name, f"got {value!r}, which the 310P has not; there {legal}")
        else:
            yield Fault("illegal", name, f"got {value!r}, not of the 310P; legal are {legal}", option.code)
    legal_path = _PATH_WITH_COLON if name == "customize_dtypes" else _PATH
    if option.kind == "path" and not legal_path.fullmatch(value):
        yield Fault("illegal", name, f"{value!r} has characters beyond letters, digits and _ - . /; rename it")


def _is_aipp_layout(name: str, values: Values) -> bool:
    return name == "input_format" and values[name] == "NHWC" and "insert_op_conf" in values


def _framework(values: Values) -> Iterator[Fault]:
    framework = values.get("framework", ONNX_FRAMEWORK)
    if framework in OPTIONS["framework"].values[:-1] and values.get("model", "").endswith(".onnx"):
        yield Fault("illegal", "framework", f"is {framework}; an ONNX needs {ONNX_FRAMEWORK}", "E10007")


def _output(values: Values) -> Iterator[Fault]:
    output = values.get("output", "x")
    if output.endswith("/") and "singleop" not in values:
        yield Fault("illegal", "output", f"{output!r} has no file name; end it with one, without .om", "E10022")
    if output.endswith(".om"):
        yield Fault("discouraged", "output", f"{output!r}: atc appends .om itself; leave it out")


def _chip(values: Values) -> Iterator[Fault]:
    chip = values.get("soc_version")
    if chip is None or chip in CHIPS:
        return
    if OTHER_CHIP.fullmatch(chip) or OTHER_ATC.fullmatch(chip):
        yield Fault("other chip", "soc_version", f"{chip!r} is another chip; of the 310P are {', '.join(CHIPS)}")
        return
    hint = f"write Ascend{chip}" if f"Ascend{chip}" in CHIPS else f"legal are {', '.join(CHIPS)}"
    yield Fault("illegal", "soc_version", f"got {chip!r}; {hint}", "E10001")


def _aipp(values: Values) -> Iterator[Fault]:
    if "insert_op_conf" not in values:
        return
    layout = values.get("input_format", "NCHW")
    if layout not in ("NCHW", "NHWC") and "dynamic_dims" not in values:  # which excludes AIPP whatever the layout
        yield Fault("illegal", "input_format", f"is {layout!r}; with --insert_op_conf only NCHW or NHWC")
    names = {entry.rpartition(":")[0] for entry in entries(values.get("input_shape", ""), ";") if ":" in entry}
    half = set(entries(values.get("input_fp16_nodes", ""), ";")) - {""}
    if half and names and half >= names:
        yield Fault("illegal", "input_fp16_nodes", "the input with AIPP cannot be float16; drop one", "E10034")
    if "~" in values.get("input_shape", "") and len(names) == 1:
        yield Fault("illegal", "input_shape", "has a range; static AIPP on the only input forbids it")


def _precision(values: Values) -> Iterator[Fault]:
    if {"precision_mode", "precision_mode_v2"} <= set(values):
        both = f"got {values.said('precision_mode')!r} and v2 {values.said('precision_mode_v2')!r}"
        yield Fault("illegal", "precision_mode", f"{both}; give one of the two", "E10056")
    old, new = values.get("precision_mode"), values.get("precision_mode_v2")
    if "modify_mixlist" in values and not {old, new} & set(MIXED):
        yield Fault("illegal", "modify_mixlist", f"needs mixed precision: --precision_mode_v2={MIXED[-1]}", "E10001")
    if "keep_dtype" in values and (old == "must_keep_origin_dtype" or new == "origin"):
        yield Fault("discouraged", "keep_dtype", f"has no effect with {old or new!r}, which keeps every type; drop it")


def _implementation_modes(values: Values) -> Iterator[Fault]:
    mode, types = values.get("op_select_implmode"), values.get("optypelist_for_implmode")
    if types and not mode:
        yield Fault("illegal", "optypelist_for_implmode", "needs --op_select_implmode", "E10001")
    if types and mode and mode.endswith("_for_all"):
        yield Fault("illegal", "optypelist_for_implmode", f"cannot be combined with {mode!r}, which is for all")
    if "op_precision_mode" in values and (mode or types):
        yield Fault("discouraged", "op_select_implmode", "has no effect beside --op_precision_mode; drop it")


def _output_names(values: Values) -> Iterator[Fault]:
    given = [name for name in entries(values.get("out_nodes", ""), ";") if name]
    slots = [name for name in given if re.fullmatch(r".+:\d+", name)]
    if slots and len(slots) < len(given):
        other = next(name for name in given if name not in slots)
        yield Fault(
            "illegal", "out_nodes", f"mixes nodes ({slots[0]!r}) with graph outputs ({other!r}); keep to one kind"
        )


def _output_type(values: Values) -> Iterator[Fault]:
    given = values.get("output_type")
    if given is None or given in OUTPUT_TYPES:
        return
    parts = [entry.rpartition(":") for entry in entries(given, ";")]
    if any(kind not in OUTPUT_TYPES for _, _, kind in parts):
        yield Fault("illegal", "output_type", f"got {given!r}; legal are {', '.join(OUTPUT_TYPES)}", "E10001")
    elif "out_nodes" not in values:
        yield Fault("illegal", "output_type", "types of single nodes need --out_nodes", "E10001")


def _host(values: Values) -> Iterator[Fault]:
    if ("host_env_os" in values) != ("host_env_cpu" in values):
        yield Fault("illegal", "host_env_os", "is given together with --host_env_cpu or not at all")


RULES: tuple[LineRule, ...] = (
    _framework,
    _output,
    _chip,
    exclusive_gears,
    shape_problems,
    _aipp,
    _precision,
    _implementation_modes,
    _output_names,
    _output_type,
    _host,
)
