"""Files that options of atc name: they exist, have the form the manual asks for, and fit the other options."""

import json
import re
from pathlib import Path

from convert.aipp.rules import aipp_problems
from detector.errors import SpecError
from detector.spec import AtcSpec

FILE_OPTIONS = (
    "keep_dtype",
    "customize_dtypes",
    "modify_mixlist",
    "op_precision_mode",
    "insert_op_conf",
    "fusion_switch_file",
)


def check_files(atc: AtcSpec) -> None:
    """Read the files once, before atc does.

    Raises:
        SpecError: a file is missing, is no such file, or does not fit the other options.
    """
    texts = {name: _text(name, getattr(atc, name)) for name in FILE_OPTIONS if getattr(atc, name) is not None}
    if "modify_mixlist" in texts:
        _check_mixlist(Path(str(atc.modify_mixlist)), texts["modify_mixlist"])
    if "op_precision_mode" in texts and Path(str(atc.op_precision_mode)).suffix != ".ini":
        raise SpecError(f"atc.op_precision_mode: {atc.op_precision_mode} must be an .ini file; rename it")
    if "insert_op_conf" in texts:
        _check_small_channel(atc, texts["insert_op_conf"])
        problem = next(iter(aipp_problems(texts["insert_op_conf"], image_gears=atc.image_sizes is not None)), None)
        if problem:
            raise SpecError(f"atc.insert_op_conf: {atc.insert_op_conf}: {problem} (E10052); correct the file")


def _text(name: str, file: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise SpecError(f"atc.{name}: cannot read {file}: {reason}; correct the path") from error
    if not text.strip():
        raise SpecError(f"atc.{name}: {file} is empty; fill it, or drop the key")
    return text


def _check_mixlist(file: Path, text: str) -> None:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise SpecError(f"atc.modify_mixlist: {file} is not JSON: {error}; see the manual's sample") from error
    lists = {"black-list", "white-list"}
    if file.suffix != ".json" or not isinstance(document, dict) or not set(document) <= lists:
        got = sorted(document) if isinstance(document, dict) else type(document).__name__
        raise SpecError(
            f"atc.modify_mixlist: {file} must be a .json file with the keys {' and '.join(sorted(lists))}, got {got}"
        )


def _check_small_channel(atc: AtcSpec, text: str) -> None:
    plain = re.sub(r"#.*", "", text)
    dynamic = re.search(r"\baipp_mode\s*:\s*dynamic\b", plain) is not None
    if dynamic and atc.enable_small_channel:
        raise SpecError(
            f"atc.enable_small_channel: {atc.insert_op_conf} is dynamic AIPP, it works with static AIPP only; drop one"
        )
