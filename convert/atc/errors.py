"""What atc means by its error codes: cause and next step.

Codes and their meaning as in error_code.json of CANN 8.1.RC1 and in main_impl.cc (hicann/ge), told in our words; they
may shift between releases.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

CODE = re.compile(r"(?<![A-Za-z0-9])(EZ\d{4}|[EW]\d{5})(?!\d)")
"""A code as atc prints it: `E10016: ...`, `[E19999]`, `EZ3003`, `W11001`."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is wrong, and what to do."""

    cause: str
    step: str


_GEARS = "atc.batch_sizes, atc.image_sizes or atc.dims of the spec"
_COMPILE = "run again with atc.log: debug and ASCEND_SLOG_PRINT_TO_STDOUT=1 and look at the TBE and TEFUSION lines"
_LINT = "`python -m convert lint` names the node"
_SHAPE = "write --input_shape as NAME:N,C,H,W with the names of the ONNX graph's inputs, joined by ;"
_AI_CPU = "export the model without it, or with operators of ONNX's opset 11 or 13"

EXPLANATIONS: dict[str, Explanation] = {
    "E10001": Explanation(
        "the value of an option is not legal, or dynamic shapes lack --input_shape; the reason stands in the line",
        "correct the option that the line names",
    ),
    "E10002": Explanation("--input_shape is not of the form that atc reads", _SHAPE),
    "E10003": Explanation("the value of an option is not of the form that atc reads", "see the reason in the line"),
    "E10004": Explanation("an option has no value", "give one, or drop the option"),
    "E10005": Explanation("an option takes true or false only", "write one of them"),
    "E10006": Explanation("an option takes 0 or 1 only", "write one of them"),
    "E10007": Explanation("--framework is missing or no framework that atc reads", "--framework=5 is ONNX"),
    "E10009": Explanation("two of the options for gears were given", f"keep one of {_GEARS}"),
    "E10010": Explanation("--log is no level", "debug, info, warning, error or null"),
    "E10011": Explanation("--input_shape has a size that is not positive", _SHAPE),
    "E10012": Explanation(
        "the -1 of --input_shape do not fit --dynamic_batch_size", "only the first size may be -1: NAME:-1,C,H,W"
    ),
    "E10014": Explanation("--input_shape has a value that is no number", _SHAPE),
    "E10015": Explanation("--input_shape has a value that is not legal", _SHAPE),
    "E10016": Explanation(
        "a name in an option such as --out_nodes is not in the graph, or the names are not split by ;",
        "use the names of the ONNX graph's outputs and quote the value, or the shell ends the command at the ;",
    ),
    "E10017": Explanation("what is given as an input is no input of the graph", "use the ONNX graph's input names"),
    "E10018": Explanation(
        "the -1 of --input_shape do not fit --dynamic_batch_size", "only the first size may be -1: NAME:-1,C,H,W"
    ),
    "E10019": Explanation(
        "the -1 of --input_shape do not fit --dynamic_image_size", "height and width are -1: NAME:N,C,-1,-1"
    ),
    "E10020": Explanation("a gear of --dynamic_image_size is no pair", "write H,W;H,W"),
    "E10021": Explanation("a path is too long", "convert in a folder with a shorter path"),
    "E10022": Explanation("--output ends in a folder", "end it with a file name, without .om"),
    "E10031": Explanation("--dynamic_batch_size is given and no input has -1", "write NAME:-1,C,H,W"),
    "E10034": Explanation("an input has both AIPP and float16", "drop --input_fp16_nodes or --insert_op_conf"),
    "E10035": Explanation("there are fewer gears than 2", f"add a gear to {_GEARS}, or make the shape static"),
    "E10036": Explanation("there are more gears than 100", f"drop gears from {_GEARS}; 3 or 4 are advised"),
    "E10037": Explanation("the gears differ in the number of their sizes", f"give every gear of {_GEARS} as many"),
    "E10038": Explanation("a gear has a size that is not positive", f"correct {_GEARS}"),
    "E10039": Explanation("a gear is listed twice", f"drop it from {_GEARS}"),
    "E10040": Explanation("gears need -1 in --input_shape, and no ranges (~)", "write -1 where the gears go"),
    "E10041": Explanation("the ONNX could not be loaded", "is the file whole? copy it again and compare its SHA-256"),
    "E10042": Explanation("the OM could not be generated", "see the first error above it in the log"),
    "E10044": Explanation(
        "the machine has too little memory",
        "free some (atc wants 2 GB and more), or use fewer gears and a smaller batch",
    ),
    "E10047": Explanation("two options exclude each other", "drop one of those that the line names"),
    "E10048": Explanation(
        "a range of a shape is not of the form that atc reads", "write 1~10, or -1, without brackets"
    ),
    "E10049": Explanation("--input_shape has another number of sizes than the model's input", _SHAPE),
    "E10052": Explanation(
        "the AIPP file is not legal",
        "see the reason in the line; with image gears no crop, no padding, source sizes 0; padded width at most 1080",
    ),
    "E10054": Explanation(
        "a required option is missing",
        "check it, and the quotes around values with ;, at which the shell ends a command",
    ),
    "E10055": Explanation("the operation is not supported", "see the reason in the line"),
    "E10056": Explanation(
        "two options exclude each other", "such as --precision_mode and --precision_mode_v2: drop one of them"
    ),
    "E10057": Explanation("two options are given together only", "add the one that the line names"),
    "E10058": Explanation("an option for gears is empty", f"correct {_GEARS}"),
    "E10410": Explanation("a file does not exist", "run the script in the folder where its files are"),
    "E11017": Explanation(
        "a node of --out_nodes is not in the graph", "node numbers change with every export: use graph output names"
    ),
    "E16002": Explanation(
        "no parser knows an operator of the ONNX: it is missing in this CANN, or not for this opset",
        f"BatchMultiClassNMS is known for opset 8 to 16, set atc.opset: 11 and convert again; {_LINT}",
    ),
    "E16004": Explanation("the ONNX holds no graph", "is the file whole? convert it again"),
    "E16005": Explanation(
        "the ONNX imports more than one operator domain, atc takes one",
        "give atc the <name>.atc.onnx of `python -m convert`, which has one",
    ),
    "E19010": Explanation("no parser is registered for an operator", f"{_LINT}; {_AI_CPU}"),
    "E19999": Explanation("an error inside CANN that has no code of its own", f"see the lines around it; {_COMPILE}"),
    "E20001": Explanation("an operator could not be compiled for the chip", _COMPILE),
    "E20007": Explanation(
        "a fusion pass failed on the graph", "switch the pass off that the line names: atc.fusion_switch_file"
    ),
    "E76002": Explanation(
        "no ONNX parser knows an operator at this opset",
        f"BatchMultiClassNMS is known for opset 8 to 16, set atc.opset: 11 and convert again; {_LINT}",
    ),
    "E81012": Explanation(
        "the AIPP kernel refuses the AIPP file (this code is in the kernel's source, not in CANN's list of codes)",
        "check its sizes: sources up to 4096, paddings up to 32, a padded width up to 1080",
    ),
    "EZ0501": Explanation("the operator has no definition in this CANN", f"{_LINT}; {_AI_CPU}"),
    "EZ3002": Explanation("the kernel library does not support the operator as it is used", f"{_LINT}; {_AI_CPU}"),
    "EZ3003": Explanation("the operator has no kernel and no engine on this chip", f"{_LINT}; {_AI_CPU}"),
    "EZ9010": Explanation("no parser is registered for an operator", f"{_LINT}; {_AI_CPU}"),
    "W11001": Explanation(
        "a warning: the operator is not in the fastest kernel library", "nothing, unless the OM is slow: it may be why"
    ),
}

FAMILIES: tuple[tuple[range, Explanation], ...] = (
    (
        range(40001, 40025),
        Explanation(
            "the kernel compiler cannot start: an environment variable or a Python package of CANN is missing",
            "source set_env.sh in this shell and use the Python that CANN was installed for",
        ),
    ),
)
"""Neighbouring codes (E...) with one meaning."""

TEXTS: tuple[tuple[re.Pattern[str], Explanation], ...] = (
    (
        re.compile(r"unknown command line flag '?([^']*)'?"),
        Explanation("this atc does not know an option", "check its spelling; older releases know no prefixes"),
    ),
    (
        re.compile(r"flag '.*' is missing its argument"),
        Explanation("an option has no value", "write --option=value; quote values with ;"),
    ),
    (
        re.compile(r"No module named '(decorator|te|tbe|attr|scipy|sympy|cffi|psutil)"),
        Explanation(
            "a Python package of the kernel compiler is missing",
            "source set_env.sh, and install the package into the Python that atc finds first on PATH",
        ),
    ),
    (
        re.compile(r"error while loading shared libraries"),
        Explanation("atc does not find CANN's libraries", "source set_env.sh; without an NPU add <arch>-linux/devlib"),
    ),
)
"""Complaints without a code."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One complaint in a log, or a code asked for.

    Attributes:
        code: such as E10016; empty for one without a code.
        line: where atc says it.
        explanation: None: a code that we do not know.
    """

    code: str
    line: str
    explanation: Explanation | None

    @property
    def is_warning(self) -> bool:
        """Whether atc goes on after it."""
        return self.code.startswith("W")


def explain_code(code: str) -> Explanation | None:
    """What a code means; None for one that we do not know."""
    known = EXPLANATIONS.get(code)
    if known is None and re.fullmatch(r"E\d{5}", code):
        known = next((explanation for codes, explanation in FAMILIES if int(code[1:]) in codes), None)
    return known


def explain_log(lines: Iterable[str]) -> list[Complaint]:
    """Complaints of a log in the order of their first appearance, each code once, errors before warnings."""
    found: dict[str, Complaint] = {}
    for line in lines:
        text = " ".join(line.split())
        for code in CODE.findall(text):
            found.setdefault(code, Complaint(code, text, explain_code(code)))
        for pattern, explanation in TEXTS:
            if pattern.search(text):
                found.setdefault(explanation.cause, Complaint("", text, explanation))
    return sorted(found.values(), key=lambda complaint: complaint.is_warning)
