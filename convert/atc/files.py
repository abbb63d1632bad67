"""Files that options of atc name: they exist, have the form the manual asks for, and fit the other options."""

from pathlib import Path

from convert.atc.file_forms import file_problem
from detector.errors import SpecError
from detector.files.bounds import SMALL_BYTES
from detector.files.regular import read_text
from detector.spec.atc import FILE_OPTIONS, AtcSpec


def check_files(atc: AtcSpec) -> None:
    """Read the files once, before atc does.

    Raises:
        SpecError: a file is missing, is no such file, or does not fit the other options.
    """
    texts = {name: _text(name, getattr(atc, name)) for name in FILE_OPTIONS if getattr(atc, name) is not None}
    for name, text in texts.items():
        problem = file_problem(name, Path(getattr(atc, name)), text)
        if problem:
            raise SpecError(f"atc.{name}: {getattr(atc, name)}{problem}")


def _text(name: str, file: str) -> str:
    try:
        text = read_text(file, SMALL_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SpecError(f"atc.{name}: cannot read {file}: {reason}; correct the path") from error
    if not text.strip():
        raise SpecError(f"atc.{name}: {file} is empty; fill it, or drop the key")
    return text
