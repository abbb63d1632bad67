"""What ais_bench and the card's runtime mean by a code or a message, and what to do next.

Codes and meanings: aclError in the AscendCL API reference (hiascend.com, canncommercial 8.0, aclcppdevg_03_1345) and
the same in later releases; messages: ais_bench.md sections 3 to 10. The steps are ours.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

LOGS = "read the newest $HOME/ascend/log/debug/plog/plog-*.log (ASCEND_SLOG_PRINT_TO_STDOUT=1 prints it instead)"
MEMORY = "look at Memory-Usage in `npu-smi info`, end what else uses the card, or take a smaller batch or gear"
REBUILD = "build the OM again for this chip and this CANN (`python -m convert`, make om)"
DRIVER = "run `npu-smi info`; the driver must fit the CANN release, a card that stays silent needs its host restarted"
SETTING = "run `python -m infer doctor --for npu` (make doctor): driver, CANN and set_env.sh"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was said, what it means, and the next step."""

    said: str
    means: str
    step: str

    def __str__(self) -> str:
        return f"{self.said}: {self.means}; {self.step}"


# Code: meaning, next step. Of some 150 codes those that a run of a ready model can meet.
CODES: dict[int, tuple[str, str]] = {
    100003: ("the file is invalid", "look whether it is there and readable"),
    100011: ("the model id is invalid: the model is not loaded", "look for an earlier error"),
    100012: ("the model cannot be deserialized, it may not fit this CANN", REBUILD),
    100013: ("the model cannot be parsed, it may not fit this CANN", REBUILD),
    100014: ("the model cannot be read", "look whether the file is there and readable"),
    100015: ("the size of the model is invalid", "copy the OM again and compare checksums, or " + REBUILD),
    100016: ("the model lacks an attribute, it may not fit this CANN", REBUILD),
    100017: ("the input does not match the model", "make the bins again with the OM's spec"),
    100019: ("the model is not dynamic", "leave out --dymBatch, --dymHW, --dymDims, --dymShape"),
    100039: ("the libraries are those for compiling, not for running", "take devlib/ out of LD_LIBRARY_PATH"),
    107000: ("an argument is invalid", LOGS),
    107001: ("there is no device of this number", "list the devices with `npu-smi info` and give one with --device"),
    107002: ("there is no context: the device could not be opened", DRIVER),
    107019: ("waiting took too long", LOGS),
    107020: ("a task took too long", LOGS),
    145000: ("an argument is invalid", LOGS),
    145001: ("the graph engine is not initialized", SETTING),
    145002: ("the path of the model is invalid", "look at --model"),
    145003: ("the model id is invalid: the model is not loaded", "look for an earlier error"),
    145006: ("the size of the model is invalid", "copy the OM again and compare checksums, or " + REBUILD),
    145011: ("the address of the gear input is invalid", "report it: ais_bench supplies that input"),
    145012: ("the length of the gear input is invalid", "look at --dymBatch, --dymHW or --dymDims"),
    145013: ("the batch gear is invalid", "give --dymBatch a value of the OM's --dynamic_batch_size"),
    145014: ("the batch size of AIPP is invalid", "look at --aipp_config and the batch gear"),
    145015: ("there is no AIPP configuration", "give --aipp_config, or build the OM with static AIPP"),
    145019: ("a library is missing or LD_LIBRARY_PATH is wrong", SETTING),
    145021: ("a shape is invalid", "look at --dymHW, --dymDims or --dymShape"),
    145022: ("an element type is invalid", REBUILD),
    200000: ("memory could not be allocated", MEMORY),
    207000: ("this chip or driver does not support the function", DRIVER),
    207001: ("memory could not be allocated", MEMORY),
    207003: ("an operator overflowed in an AI core", "see `python -m convert simulate` for where float16 overflows"),
    207004: ("the device is not available", DRIVER),
    207005: ("a resource could not be allocated", MEMORY),
    207006: ("no permission for the device", "join the driver's group (ls -l /dev/davinci*), then log in again"),
    207018: ("the device's memory is used up", MEMORY),
    300000: ("storage is full", MEMORY),
    245000: ("memory could not be allocated", MEMORY),
    245001: ("memory could not be set or copied", MEMORY),
    245002: ("the device's memory is used up", MEMORY),
    500000: ("unknown error", LOGS),
    500001: ("internal error", LOGS),
    500002: ("internal error of the graph engine", LOGS),
    500003: ("internal error of the runtime", LOGS),
    500004: ("internal error of the driver", DRIVER),
    507000: ("internal error of the runtime", LOGS),
    507008: ("the chip's name could not be read", DRIVER),
    507010: ("the card's task scheduler does not answer", DRIVER),
    507011: ("the execution of the model failed", LOGS),
    507014: ("an AI core took too long", LOGS),
    507015: ("exception in an AI core (an operator read or wrote out of bounds, say)", LOGS),
    507017: ("an operator on the AI CPU took too long", LOGS),
    507018: ("exception in an operator on the AI CPU", LOGS),
    507033: ("the device could not be started", DRIVER),
    507034: ("a vector core took too long", LOGS),
    507035: ("exception in a vector core", LOGS),
    507899: ("internal error of the driver", DRIVER),
    507901: ("the connection between host and device broke", DRIVER),
    545000: ("internal error of the graph engine", LOGS),
    545001: ("the model could not be loaded", REBUILD),
    545002: ("the model could not be loaded", REBUILD),
    545003: ("the model's weights could not be loaded", REBUILD),
}
# First digit of an unlisted code: what the reference says of the class.
CLASSES = {
    "1": ("the environment or the call is wrong", SETTING),
    "2": ("a resource is short, or this hardware does not support it", MEMORY),
    "3": ("a service is in an unexpected state (a full or empty queue, say)", LOGS),
    "5": ("internal error of software or hardware", LOGS),
}
GEAR = "the OM has no such gear; its legal values follow in the log and stand in its .om.json"
MESSAGES: tuple[tuple[str, str, str], ...] = (
    (r"load model from file failed", "the OM is damaged, for another chip, or for a newer CANN", REBUILD),
    (r"dym(Batch|HW) parameter is not correct|dynamic_dims parameter is not correct", GEAR, "give one of them"),
    (
        r"dynamic\w+ parameter is not specified for model conversion|check failed dym gearcount",
        "the gear option and the OM do not fit: one has gears, the other none",
        "compare with the OM's .om.json",
    ),
    (r"dynamic batch om model detected", "the OM has an open batch axis", "give --dymBatch (its gears: the .om.json)"),
    (r"size is zero", "a fully dynamic OM does not know its output sizes", "give --outputSize"),
    (
        r"in size:\d+ needsize:\d+ not match|tensorsize: ?\d+ filesize: ?\d+ not match|ndata size:\d+ not match",
        "a file's size is not the model's input",
        "make the bins again with the OM's spec (`python -m preprocess --model X.om`)",
    ),
    (
        r"save out files error array shape",
        "an output does not divide by the files of a batch",
        "see --output_batchsize_axis, and whether the bins have the OM's element type",
    ),
    (r"is a soft link", "a path is a symbolic link", "give the real path"),
    (r"contains illegal char", "a path has a character that ais_bench refuses", "use A-Z a-z 0-9 _ - / . only"),
    (r"group writable, or is others writable", "a path is too open", "chmod 750 what is written, go-w what is read"),
    (r"isn't path:.*owner", "a path belongs to someone else", "copy it or have it chowned"),
    (
        r"can't find aclruntime|aclruntime\S* version is lower",
        "ais_bench does not see aclruntime 0.0.2 (it looks through pkg_resources) and falls back to --run_mode tensor",
        "install the wheel for this Python, and setuptools<81 where pkg_resources is missing",
    ),
    (r"No module named 'aclruntime'", "aclruntime is not installed for this Python", "install its 0.0.2 wheel"),
    (r"lib\w+\.so[.\d]*: cannot open shared object", "a library of CANN is not found", SETTING),
    (r"aipp model without aipp config", "the OM has dynamic AIPP", "give --aipp_config"),
)
# "ret 507011", "ret is 507011", "errorCode=507011", "runtime result = 507033"; a bare number may be a size.
CODE = re.compile(
    r"\b(?:ret(?:urn)?|(?:err(?:or)?)?_?(?:code|no)|error|result)\b[\s:=\[]*(?:is)?[\s:=\[]*(\d{6})\b", re.IGNORECASE
)
ATC_CODE = re.compile(r"\b(E[A-Z0-9]\d{4})\b")


def explain_code(code: int) -> Finding | None:
    """What one return code means; None if the number is none."""
    if code in CODES:
        return Finding(f"code {code}", *CODES[code])
    if len(str(code)) == 6 and str(code)[0] in CLASSES:
        means, step = CLASSES[str(code)[0]]
        return Finding(f"code {code}", f"{means} (an unlisted code of that class)", step)
    return None


def explain(lines: Iterable[str]) -> list[Finding]:
    """What is known about the messages of a run, each thing once, in order.

    Args:
        lines: of the log.
    """
    found: dict[str, Finding] = {}
    for line in lines:
        for pattern, means, step in MESSAGES:
            if match := re.search(pattern, line):
                found.setdefault(pattern, Finding(match[0], means, step))
        for number in CODE.findall(line):
            finding = explain_code(int(number))
            if finding:
                found.setdefault(number, finding)
        for name in ATC_CODE.findall(line):
            step = f"run `python -m convert explain {name}`"
            found.setdefault(name, Finding(f"code {name}", "error of the graph engine", step))
    return list(found.values())
