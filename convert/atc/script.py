"""The script that builds an OM on a host with CANN: what `convert` does with atc there, in shell."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from convert.atc.run import ATC_HINT, NO_PRODUCT_STEP, NO_SUCCESS_STEP, SIGNALS, SUCCESS
from convert.building import building_prefix
from detector.files.lock import lock_path
from detector.tools import PATIENCE

TEMPLATE = Path(__file__).with_name("build_om.sh")  # values stand in it as @NAME@
# atc is first of a group of its own, which a second process ends: on a word, after a while, or when nobody holds the
# other end of the pipe, because the script is dead. `atc` is a script that starts the real one: no signal to it alone
# would do.
GUARDED = f"""\
( (trap '' TERM; if read -r _ <&7; then kill -s TERM 0; sleep {PATIENCE}; fi; kill -s KILL 0) & )
exec "$@" 7<&-
"""


def atc_script(command: Sequence[str], output: Path, graph_sha256: str) -> str:
    """A script that runs the command in its own folder on a host with CANN, and checks the product as `run_atc` does.

    Args:
        command: of `atc_command`, with file names relative to the script.
        output: the product without suffix, relative to the script.
        graph_sha256: hex SHA-256 of the graph that the command names; no other is built.
    """
    graph = next(word.removeprefix("--model=") for word in command if word.startswith("--model="))
    words = (
        f'"--output=$aside/{output.name}"' if word.startswith("--output=") else shlex.quote(word) for word in command
    )
    values = {
        "OM": f"{output}.om",
        "LOG": f"{output}.atc.log",
        "ASIDE": building_prefix(output),
        "LOCK": lock_path(output).name,
        "GRAPH": shlex.quote(graph),
        "SHA256": graph_sha256,
        "OUTPUT": f"{output}",
        "NAME": output.name,
        "WORDS": " ".join(words),
        "GUARDED": shlex.quote(GUARDED),
        "SIGNAL_CASES": _signal_cases(),
        "ATC_HINT": ATC_HINT,
        "SUCCESS": SUCCESS,
        "NO_SUCCESS_STEP": _plain(NO_SUCCESS_STEP),
        "NO_PRODUCT_STEP": _plain(NO_PRODUCT_STEP),
    }
    return re.sub(r"@(\w+)@", lambda place: values[place[1]], TEMPLATE.read_text(encoding="utf-8"))


def _signal_cases() -> str:
    """The cases of the script for signals, as a shell tells them: 128 more."""
    codes: dict[str, list[str]] = {}
    for number, told in SIGNALS.items():
        codes.setdefault(_plain(f"{told.cause}; {told.step}"), []).append(f"{128 + number}")
    return "\n".join(
        f'{" | ".join(numbers)}) fail "atc ended by signal $((code - 128)): {told}; $explain" ;;'
        for told, numbers in codes.items()
    )


def _plain(text: str) -> str:
    """Text for double quotes of a shell, which obeys backticks there."""
    return text.replace("`", "'")
