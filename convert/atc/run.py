"""Running atc: trust nothing but its product, keep the whole log, turn an error code into cause and next step."""

import logging
import os
import shlex
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from detector import tools
from detector.diagnosis.host_messages import CRASH_OF_ATC
from detector.diagnosis.log import Complaint, explain_log
from detector.diagnosis.tables import Advice
from detector.diagnosis.told import sentence
from detector.errors import ArtifactError, ToolError

SUCCESS = "ATC run success"  # printed on stdout by atc, see its main_impl.cc
ATC_HINT = "source /usr/local/Ascend/ascend-toolkit/set_env.sh (CANN 8.5 and later: /usr/local/Ascend/cann/set_env.sh)"
SHOWN_LINES = 5
NO_SUCCESS_STEP = f"is this CANN's atc (`which atc`)? {ATC_HINT}"
NO_PRODUCT_STEP = "is the disk full (`df .`)? free some space and run it again"
# What ends a program from outside, by signal: cause and next step. A shell says 128 more.
_CRASH = Advice(
    "it crashed, on an operator that it does not take in this form or on a damaged toolkit",
    "`python -m convert lint` on the .atc.onnx names such operators; then install CANN again",
)
SIGNALS: Mapping[int, Advice] = {
    signal.SIGKILL: Advice(
        "something killed it; usually the kernel, out of memory of the machine or the container (`dmesg` says so)",
        "free memory (atc wants 2 GB and more) or raise the container's limit, or use a smaller batch or fewer gears",
    ),
    signal.SIGTERM: Advice("somebody ended it: a person, a time limit or a scheduler", "run it again, with more time"),
    signal.SIGHUP: Advice("its terminal was closed", "run it again, under nohup or tmux"),
    signal.SIGINT: Advice("it was interrupted", "run it again"),
    signal.SIGXCPU: Advice(
        "it used up the processor time that `ulimit -t` allows", "raise that limit and run it again"
    ),
    signal.SIGSEGV: Advice(CRASH_OF_ATC.advice.cause, f"{CRASH_OF_ATC.advice.step}; else {_CRASH.step}"),
    **dict.fromkeys((signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL), _CRASH),
}

log = logging.getLogger("convert")


def run_atc(
    command: Sequence[str],
    output: Path,
    *,
    log_file: Path | None = None,
    run: Callable[..., tools.Finished] = tools.run,
) -> Path:
    """Run atc and return the OM it left.

    Success means all three: exit code 0, the success line, and a file under one of the two names atc may write.

    Args:
        command: of `atc_command`.
        output: product without suffix.
        log_file: receives everything that atc says; None: `<output>.atc.log`.
        run: the subprocess call; tests pass their own.

    Raises:
        ToolError: atc failed; cause and next step are in the message, the whole log is in `log_file`.
        ArtifactError: it reported success and left no file.
    """
    om = Path(f"{output}.om")
    for stale in _products(output):
        stale.unlink()
    log_file = log_file or Path(f"{output}.atc.log")
    finished = run(command, log=log_file, check=False)
    complaints = explain_log(finished.lines)
    if finished.exit_code != 0:
        raise ToolError(_failure(finished, complaints, log_file))
    if not any(SUCCESS in line for line in finished.lines):
        raise ToolError(
            f"{shlex.join(command)} exited with 0 but never said {SUCCESS!r}"
            f"{sentence(complaints) or f'; {NO_SUCCESS_STEP}'}; whole log in {log_file}"
        )
    products = _products(output)
    product = next((path for path in products if path.stat().st_size), None)
    if product is None:
        left = f"an empty {om}" if products else f"no {om}"
        why = sentence(complaints) or f"; {NO_PRODUCT_STEP}"
        raise ArtifactError(f"atc reported success but left {left}{why}; whole log in {log_file}")
    for complaint in complaints:
        log.warning("%s%s; whole log in %s", complaint.line, sentence([complaint]), log_file)
    if product != om:
        os.replace(product, om)
    return om


def _signal_of(exit_code: int) -> int:
    """The signal that ended a program, told by Python (negative) or by a shell that started it (128 more); else 0."""
    number = -exit_code if exit_code < 0 else exit_code - 128
    return number if number in SIGNALS else 0


def _failure(finished: tools.Finished, complaints: Sequence[Complaint], log_file: Path) -> str:
    start = f"atc exited with {finished.exit_code}"
    number = _signal_of(finished.exit_code)
    if number:
        told = SIGNALS[number]
        said = f" (it had said: {complaints[0].line})" if complaints else ""
        name = signal.Signals(number).name
        return f"atc ended by signal {number} ({name}): {told.cause}; {told.step}{said}; whole log in {log_file}"
    if complaints:
        return f"{start}: {complaints[0].line}{sentence(complaints)}; whole log in {log_file}"
    said = " | ".join([line for line in finished.lines if line.strip()][-SHOWN_LINES:]) or "no output"
    return (
        f"{start} and gave no error code: {said}; set atc.log: debug and ASCEND_SLOG_PRINT_TO_STDOUT=1 to see more; "
        f"whole log in {log_file}"
    )


def _products(output: Path) -> list[Path]:
    plain = Path(f"{output}.om")
    return [path for path in (plain, *sorted(output.parent.glob(f"{output.name}_linux_*.om"))) if path.exists()]
