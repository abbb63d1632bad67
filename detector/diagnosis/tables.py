"""The documented codes: of the graph engine and its neighbours (E10016, EZ3003), and of AscendCL (507011).

The files codes.tsv and returns.tsv say where each is documented; the words are ours. They may shift between releases.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

RANKS = ("cause", "stage", "generic", "vague", "warning")
"""How much an advice explains: in a log the first one of the lowest rank is the cause, others follow from it."""
CODE = re.compile(r"(?<![\w/.-])([EW](?:\d{5}|[A-Z]\d{4,5}|[A-Z]\d{3}(?=:)))(?!\w)")
"""A code as CANN prints it: `E10016: ...`, `[E19999]`, `EZ9999[PID: 1]`, `Invalid_Argument(EL0003)`; `EL003:` too."""
ASKED = re.compile(r"[A-Z]{2}\d{3,5}|[EW]\d{5}")
"""A code that somebody asks for: of two letters and four digits there may be more than the tables know."""
# "ret 507011", "ret is 507011", "errorCode=507011", "runtime result = 507033", "failed: 507015"; a bare number may be a
# size, so a word must say that it is a code; of 100xxx and the like only those near a documented one are.
RETURNED = re.compile(
    r"\b(?:acl_?)?"
    r"(?:ret(?:urn(?:ed)?)?|(?:err(?:or)?|ret)?[_ ]?(?:code|no|num)|err(?:or)?|result|failed|failure|status)\b"
    r"[^\w\n]{0,4}(?:(?:code|is|value|with)\b[^\w\n]{0,4}){0,3}(1000[0-4]\d|[235]000\d\d|[1-5](?:07|45|48|61)\d{3})(?!\w)",
    re.IGNORECASE,
)
NAMED = re.compile(r"\bACL(?:NN_ERR|_ERROR)_[A-Z0-9_]+")
# The graph engine says "ret: 0x7BC80" for 507008.
HEXADECIMAL = re.compile(r"\b0x([0-9A-Fa-f]{5})\b")
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Advice:
    """What is wrong, what to do, and how much that explains.

    Attributes:
        cause: what is wrong.
        step: what to do next.
        rank: of RANKS.
    """

    cause: str
    step: str
    rank: str = "cause"


@cache
def codes() -> dict[str, Advice]:
    """All codes of codes.tsv, and blocks such as `EL*`."""
    rows = {code: (rank, cause, step) for code, rank, cause, step, _ in _rows("codes.tsv")}
    return {
        code: Advice(cause, step or rows[_block(code, rows)][2], rank) for code, (rank, cause, step) in rows.items()
    }


@cache
def returns() -> dict[str, Advice]:
    """All return codes of returns.tsv, and blocks such as `5*`."""
    return {code: Advice(cause, step, rank) for code, _, rank, cause, step, _ in _rows("returns.tsv")}


@cache
def names() -> dict[str, str]:
    """Names of return codes, such as ACL_ERROR_RT_MODEL_EXECUTE, and their numbers."""
    return {name: code for code, name, *_ in _rows("returns.tsv") if name != "-"}


def written_out(code: str) -> str:
    """A code with all its digits: EL0003 for EL003, as some release's messages have it."""
    return f"{code[:2]}{code[2:]:0>4}" if code[1].isalpha() else code


def other_name(code: str) -> str | None:
    """The same code under its other name: CANN up to 8.1 prints E19010, 8.5 and later E13010."""
    if code.startswith("E19") and f"E13{code[3:]}" in codes():
        return f"E13{code[3:]}"
    return f"E19{code[3:]}" if code.startswith("E13") and code in codes() else None


def explain_code(code: str) -> Advice | None:
    """What a code such as E10016 or EZ3003 means; of one that is in no table, whose it is.

    Returns:
        None for what is no code.
    """
    code = written_out(code.upper()) if len(code) > 1 else code
    if not ASKED.fullmatch(code):
        return None
    known = codes().get(code) or codes().get(other_name(code) or "")
    if known is not None:
        return known
    block = codes().get(_block(code, codes()))
    if block is None:
        return None
    return Advice(f"in no public table; codes of its block: {block.cause}", block.step, _vague(block))


def explain_return(number: str) -> Advice | None:
    """What a return code of AscendCL such as 507011 means; of an unlisted one, what its class is.

    Args:
        number: digits, or a name such as ACL_ERROR_RT_MODEL_EXECUTE.
    """
    number = names().get(number, number)
    known = returns().get(number)
    if known is not None:
        return known
    block = returns().get(f"{number[:1]}*")
    if block is None or not re.fullmatch(r"\d{6}", number):
        return None
    return Advice(f"{block.cause} (an unlisted code of that class)", block.step, block.rank)


def _vague(block: Advice) -> str:
    return "warning" if block.rank == "warning" else "vague"


def _block(code: str, rows: dict[str, tuple[str, str, str]] | dict[str, Advice]) -> str:
    """The longest block that a code belongs to; an empty string if it is in none."""
    return next((f"{code[:size]}*" for size in (3, 2, 1) if f"{code[:size]}*" in rows), "")


def _rows(name: str) -> list[list[str]]:
    lines = (_HERE / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")][1:]
