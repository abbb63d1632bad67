"""Running outside programs."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from detector import tools
from detector.errors import MissingEnvironmentError, ToolError


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_both_streams_are_kept_in_order():
    finished = tools.run(
        python("import sys; print('a', flush=True); print('b', file=sys.stderr, flush=True); print('c')")
    )
    assert finished == tools.Finished(0, ("a", "b", "c"))


def test_a_failure_names_the_command_the_code_and_the_last_lines(tmp_path: Path):
    code = "import sys; [print(i) for i in range(9)]; print(); sys.exit(7)"
    with pytest.raises(ToolError, match=r"-c .* exited with 7: 4 \| 5 \| 6 \| 7 \| 8; whole log in .*log$"):
        tools.run(python(code), log=tmp_path / "log")
    assert (tmp_path / "log").read_text().splitlines() == [*map(str, range(9)), ""]


def test_a_failure_that_said_nothing():
    with pytest.raises(ToolError, match=r"exited with 3: no output$"):
        tools.run(python("import sys; sys.exit(3)"))


def test_a_failure_may_be_looked_at_by_the_caller():
    assert tools.run(python("import sys; sys.exit(3)"), check=False).exit_code == 3


def test_a_program_that_is_not_there():
    with pytest.raises(MissingEnvironmentError, match="no_such_program not found on PATH"):
        tools.run(["no_such_program"])


def test_output_may_be_echoed(capsys: pytest.CaptureFixture[str]):
    tools.run(python("print('hello')"), echo=True)
    assert capsys.readouterr().out == "hello\n"


def test_variables_are_added_to_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEPT", "1")
    code = "import os; print(os.environ['KEPT'], os.environ['ADDED'])"
    assert tools.run(python(code), env={"ADDED": "2"}).lines == ("1 2",)


def test_bytes_that_are_no_text_do_no_harm():
    assert tools.run(python("import sys; sys.stdout.buffer.write(b'\\xff\\n')")).lines == ("\ufffd",)


def test_a_log_that_cannot_be_written_ends_the_program(tmp_path: Path):
    begun = time.monotonic()
    with pytest.raises(FileNotFoundError):
        tools.run(python("import time; time.sleep(60)"), log=tmp_path / "none" / "log")
    assert time.monotonic() - begun < 20


def test_an_interrupt_ends_the_program(tmp_path: Path):
    threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt):
        tools.run(python(code))
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_which():
    assert tools.which("sh")
    assert tools.which("no_such_program") is None


def test_an_interrupt_ends_what_the_program_started_too(tmp_path: Path):
    file = str(tmp_path / "pid")
    child = f"import os, pathlib, time; pathlib.Path({file!r}).write_text(str(os.getpid())); time.sleep(60)"
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"

    def interrupt() -> None:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        tools.run(python(code))
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_program_and_what_it_started_end_with_this_process(tmp_path: Path):
    """SIGKILL leaves nobody to end them: the program's group sees that its other end is gone."""
    shell = f"sh -c 'echo $$ $PPID >{tmp_path}/pids; exec sleep 60' & wait"
    code = f"import sys; from detector import tools; tools.run(['sh', '-c', {shell!r}])"
    root = Path(tools.__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", code], cwd=root) as process:
        while not (tmp_path / "pids").exists() or "\n" not in (tmp_path / "pids").read_text():
            time.sleep(0.01)
        process.kill()
    deadline = time.monotonic() + 10
    for pid in (tmp_path / "pids").read_text().split():
        while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_what_outlives_the_program_by_its_own_wish_stays(tmp_path: Path):
    shell = f"sleep 60 >/dev/null 2>&1 & echo $! >{tmp_path}/pid"
    tools.run(["sh", "-c", shell])
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
