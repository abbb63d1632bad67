"""The only subprocess call: run an outside program, keep what it said, fail loudly."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.errors import MissingEnvironmentError, ToolError

KEPT_LINES = 2000
SHOWN_LINES = 5
# Seconds to release a device after SIGTERM.
PATIENCE = 5
# First of the group that an outside program and all that it starts belong to: when this process is gone, however it
# ended, nobody holds the other end of the pipe, and the group ends. PR_SET_PDEATHSIG would end the program alone, and
# atc is a shell script that starts the real one.
GUARD = ("/bin/sh", "-c", "trap '' INT TERM HUP; read -r _; kill -s KILL 0")


@dataclass(frozen=True, slots=True)
class Finished:
    """What an outside program left: its exit code and its last output lines (stdout and stderr together)."""

    exit_code: int
    lines: tuple[str, ...]


Runner = Callable[..., Finished]
"""What runs an outside program, as `run`; tests pass their own."""


def which(program: str) -> str | None:
    """Path of a program on PATH, or None."""
    return shutil.which(program)


def run(
    command: Sequence[str],
    *,
    echo: bool = False,
    check: bool = True,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Finished:
    """Run a command to its end; it does not outlive this process, not even one that is killed.

    Args:
        command: program and arguments; no shell is involved.
        echo: also write the program's output to our stdout as it comes.
        check: raise when the exit code is not 0.
        log: file that receives the whole output.
        env: variables added to this process's environment.

    Raises:
        MissingEnvironmentError: the program is not on PATH.
        ToolError: the program failed; the message has the command, the exit code and its last lines.
    """
    with _guarded() as group:
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, **env} if env else None,
                process_group=group,
            )
        except FileNotFoundError as error:
            raise MissingEnvironmentError(
                f"{command[0]} not found on PATH; it is part of the Ascend toolkit"
            ) from error
        lines = _follow(process, group, echo=echo, log=log)
    exit_code = process.returncode
    if check and exit_code != 0:
        said = " | ".join([line for line in lines if line.strip()][-SHOWN_LINES:]) or "no output"
        where = f"; whole log in {log}" if log else ""
        raise ToolError(f"{shlex.join(command)} exited with {exit_code}: {said}{where}")
    return Finished(exit_code, tuple(lines))


@contextlib.contextmanager
def _guarded() -> Iterator[int]:
    """A process group that ends with this process; of a block that ends, what still runs in it stays."""
    quiet = subprocess.DEVNULL
    guard = subprocess.Popen(GUARD, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, process_group=0)
    try:
        yield guard.pid
    finally:
        guard.kill()  # before the pipe is closed, which would end the group
        guard.wait()
        if guard.stdin:
            guard.stdin.close()


def _follow(process: subprocess.Popen[str], group: int, *, echo: bool, log: Path | None) -> deque[str]:
    """Read a program's output to its end; an error or an interrupt on our side ends the program."""
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    with process:
        try:
            with log.open("w", encoding="utf-8") if log else contextlib.nullcontext() as sink:
                for line in process.stdout or ():
                    lines.append(line.rstrip("\n"))
                    if sink:
                        sink.write(line)
                    if echo:
                        sys.stdout.write(line)
        except BaseException:
            _end(process, group)
            raise
    return lines


def _end(process: subprocess.Popen[str], group: int) -> None:
    """End a program and what it started; atc and ais_bench have processes of their own, which hold the card."""
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
