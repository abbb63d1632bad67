"""The answer to a code or a log, for every command that explains."""

import errno
import os
from pathlib import Path

from detector.diagnosis.log import Complaint, explain_log
from detector.diagnosis.tables import ASKED, explain_code, explain_return, names
from detector.errors import ArtifactError
from detector.files.bounds import DATA_BYTES
from detector.files.regular import read_text


def answer(what: str) -> tuple[list[Complaint], list[str]]:
    """What a code means, or what a log complains of.

    Args:
        what: a code (see `asked`), or a log's path; a file of that name comes first.

    Returns:
        The complaints, the first cause first, and the log's lines; no lines for a code.

    Raises:
        ArtifactError: neither a code nor a file that can be read.
    """
    complaint = None if os.path.lexists(what) else asked(what)
    if complaint is not None:
        return [complaint], []
    if what.isdecimal() and not os.path.lexists(what):
        raise ArtifactError(f"{what} is no return code of the card's runtime: those have six digits, 1... to 5...")
    try:
        lines = read_text(Path(what), DATA_BYTES, errors="replace").splitlines()
    except OSError as error:
        reason = "no such file" if error.errno == errno.ENOENT else error.strerror
        raise ArtifactError(
            f"{what} is neither an error code such as E10016 or 507011 nor a log that can be read: {reason}"
        ) from error
    return explain_log(lines), lines


def asked(what: str) -> Complaint | None:
    """A code: E10016, EZ3003, 507011, ACL_ERROR_RT_MODEL_EXECUTE; None for what has not the form of one."""
    name = what.strip().upper()
    number = names().get(name, name)
    if ASKED.fullmatch(name):
        return Complaint(name, "", explain_code(name))
    advice = explain_return(number)
    return Complaint(number, "", advice) if advice else None
