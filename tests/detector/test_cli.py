"""The edge: what an error, an interrupt and a closed pipe look like from outside."""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from detector import cli
from detector.errors import AccuracyError, DataError, MissingEnvironmentError
from detector.files import memory
from detector.terminal import signals

ROOT = Path(__file__).resolve().parents[2]


def code_of(main: object) -> int:
    with pytest.raises(SystemExit) as exit_:
        cli.run(main, [])
    return exit_.value.code


def raising(error: BaseException):
    def main(_: object) -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("a.jpg: bad"), 1, "error: a.jpg: bad\n"),
        (DataError("two\n  lines"), 1, "error: two lines\n"),
        (AccuracyError("low"), 3, "error: low\n"),
        (MissingEnvironmentError("no atc"), 5, "error: no atc\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: /x: Permission denied\n"),
    ],
)
def test_an_expected_error_is_one_line_and_its_code(
    error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
):
    assert code_of(raising(error)) == code
    assert capsys.readouterr() == ("", line)


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str]):
    assert code_of(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err.startswith("error: interrupted")


def test_an_interrupt_that_a_library_calls_its_own_failure_is_one(capsys: pytest.CaptureFixture[str]):
    def main(_: Sequence[str]) -> int:
        try:
            raise signals.Ended(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise ImportError("initialization failed") from error

    assert code_of(main) == 143
    assert capsys.readouterr().err == f"error: ended by SIGTERM; {signals.UNFINISHED}\n"


def test_a_bug_shows_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(raising(ZeroDivisionError()), [])


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (3, 3)])
def test_the_result_of_main_is_the_exit_code(result: int | None, code: int):
    assert code_of(lambda _: result) == code


def test_arguments_come_from_the_command_line(monkeypatch: pytest.MonkeyPatch):
    seen: list[str] = []
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)]
    monkeypatch.setattr(sys, "argv", ["prog", "--x", "1"])
    with pytest.raises(SystemExit):
        cli.run(seen.extend)
    # Processes that later tests start would inherit one that is ignored.
    assert before == [
        signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    ]
    assert seen == ["--x", "1"]


def start(program: str, *, option: str = "-c", **streams: object) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, option, program], cwd=ROOT, text=True, **streams)


PRINTS = "from detector.cli import run; run(lambda _: [print(i) for i in range(10**5)] and None, [])"


def test_a_reader_that_has_enough_does_not_end_the_run(tmp_path: Path):
    program = f"""
from pathlib import Path
from detector.cli import run
def main(_):
    for i in range(10**5):
        print(i, flush=True)
    Path({str(tmp_path / "done")!r}).touch()
    return 3
run(main, [])
"""
    with start(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 3
    assert (tmp_path / "done").exists()


def test_a_full_disk_behind_standard_output_is_told_at_the_end():
    with Path("/dev/full").open("w") as full, start(PRINTS, stdout=full, stderr=subprocess.PIPE) as process:
        assert process.stderr.read() == (
            "error: standard output could not be written (No space left on device): what it would have said is lost\n"
        )
    assert process.returncode == 1


@pytest.mark.parametrize(("argument", "code"), [("-h", 1), ("--nope", 2)])
def test_help_that_cannot_be_written_is_told(argument: str, code: int):
    program = f"from detector.cli import Parser, run; run(lambda _: Parser(prog='x').parse_args([{argument!r}]), [])"
    with Path("/dev/full").open("w") as full, start(program, stdout=full, stderr=subprocess.PIPE) as process:
        assert ("standard output could not be written" in process.stderr.read()) == (code == 1)
    assert process.returncode == code


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_are_never_a_file_of_ours(tmp_path: Path, closed: tuple[int, ...]):
    program = f"""
import os, sys
for descriptor in {closed}:
    os.close(descriptor)
if 1 in {closed}: sys.stdout = None
if 2 in {closed}: sys.stderr = None
from detector.cli import run
def main(_):
    with open({str(tmp_path / "product")!r}, "w") as file:
        assert file.fileno() > 2
        os.write(1, b"said by a library")
        os.write(2, b"said by a library")
        print("said by us")
        sys.stdout.write("x")
        sys.stderr.write("on the way")
        assert not sys.stderr.isatty()
run(main, [])
"""
    with start(program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.wait()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 0
    assert (tmp_path / "product").read_bytes() == b""


def test_a_full_pipe_is_waited_for():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with start(PRINTS, stdout=writer, stderr=subprocess.PIPE) as process:
        os.close(writer)
        time.sleep(0.2)  # the pipe fills
        with os.fdopen(reader) as lines:
            assert sum(1 for _ in lines) == 10**5
    assert process.returncode == 0


def test_what_a_terminal_would_obey_is_shown(capsys: pytest.CaptureFixture[str]):
    program = """
import logging
from detector.cli import run
def main(_):
    logging.getLogger("x").warning("two\\nlines %s", "\\x1b[2J")
    print("a\\tb\\x1b]0;title\\x07")
    logging.getLogger("x").warning("a name of %s", "y" * 5000)
    raise OSError(2, "gone", "evil\\x1b[31m " + "z" * 5000)
run(main, [])
"""
    with start(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read() == "a\tb\\x1b]0;title\\x07\n"
        long = f"a name of {'y' * 230}… of 5000 characters"
        last = f"error: evil\\x1b[31m {'z' * 230}… of 5001 characters gone"
        assert process.stderr.read() == f"two\nlines \\x1b[2J\n{long}\n{last}\n"
    with pytest.raises(SystemExit):
        cli.Parser(prog="p").parse_args(["\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err


def test_letters_that_the_encoding_lacks_are_escaped():
    program = "from detector.cli import run; run(lambda _: print('图 ü'), [])"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    with start(program, stdout=subprocess.PIPE, env=environment, encoding="latin-1") as process:
        assert process.stdout.read() == "\\u56fe ü\n"


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONUTF8": "0"}, {"LC_ALL": "C"}])
def test_names_of_any_letters_under_a_locale_without_them(tmp_path: Path, locale: dict[str, str]):
    (tmp_path / "图.py").write_text(
        "from detector.cli import run\nrun(lambda _: print(open(chr(0x56fe) + '.py').name))\n"
    )
    environment = {**os.environ, **locale, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "图.py"], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert done.stdout.decode() == "图.py\n"


@pytest.mark.parametrize("command", sorted(path.parent.name for path in ROOT.glob("*/__main__.py")))
def test_every_command_starts_again_there(command: str):
    program = f"""
import os, runpy, sys
os.execv = lambda _, arguments: (print(*arguments[1:3]), sys.stdout.flush(), os._exit(0))
runpy.run_module({command!r}, run_name="__main__")
"""
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with start(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout.readline() == "-X utf8\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_one_line_and_its_code(tmp_path: Path, number: signal.Signals, code: int):
    program = f"""
import time
from pathlib import Path
from detector.files.atomic import atomic_file
from detector.cli import run
def main(_):
    with atomic_file(Path({str(tmp_path / "product")!r})):
        print("started", flush=True)
        time.sleep(30)
run(main, [])
"""
    with start(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=interruptible) as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        said = process.stderr.read()
    word = "interrupted" if code == 130 else f"ended by {number.name}"
    assert said == f"error: {word}; files are whole, an unfinished folder has no manifest or summary\n"
    assert process.returncode == code
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_native_code_that_never_ends_is_ended_with_its_processes(tmp_path: Path, number: signal.Signals, code: int):
    program = f"""
import ctypes, os, subprocess, threading
from pathlib import Path
from detector.terminal import signals
from detector.files.atomic import atomic_file
from detector.cli import run
signals.PATIENCE = 0.1
def main(_):
    subprocess.Popen(["sleep", "5"])  # holds our standard error open
    with atomic_file(Path({str(tmp_path / "product")!r})):
        threading.Timer(0.1, os.kill, (os.getpid(), {int(number)})).start()
        mutex = ctypes.create_string_buffer(64)
        for _ in range(2):  # a mutex is not taken twice
            ctypes.CDLL(None).pthread_mutex_lock(mutex)
run(main, [])
"""
    with start(program, stderr=subprocess.PIPE, preexec_fn=interruptible) as process:
        started = time.monotonic()
        said = process.stderr.read()
    word = "interrupted" if code == 130 else f"ended by {number.name}"
    assert said.startswith(f"error: {word} in the middle of a computation that does not end; files are whole")
    assert said.count("\n") == 1
    assert process.returncode == code
    assert time.monotonic() - started < 5
    assert not (tmp_path / "product").exists()


def test_an_ignored_signal_stays_ignored():
    program = "import os, signal; from detector.cli import run; run(lambda _: os.kill(os.getpid(), signal.SIGHUP), [])"
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    with start(ignore + program) as process:
        pass
    assert process.returncode == 0


def test_the_handlers_are_taken_back():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    code_of(lambda _: None)
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


@pytest.mark.parametrize(("number", "line"), [(signal.SIGTERM, "ended by SIGTERM"), (signal.SIGINT, "interrupted")])
@pytest.mark.parametrize("error", [RuntimeError("no graph"), DataError("damaged"), OSError(5, "odd"), MemoryError()])
def test_a_signal_that_compiled_code_took_for_its_own_failure(
    number: signal.Signals, line: str, error: Exception, capsys: pytest.CaptureFixture[str]
):
    def main(_: Sequence[str]) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # which then is no cause of the error, nor its context
            signal.raise_signal(number)
        raise error

    assert code_of(main) == (130 if number == signal.SIGINT else 128 + number)
    assert capsys.readouterr().err == f"error: {line}; {signals.UNFINISHED}\n"


@pytest.mark.parametrize("program", ["infer", "preprocess", "postprocess", "convert", "export", "pipeline"])
def test_an_interrupt_during_the_imports_is_no_traceback(tmp_path: Path, program: str):
    (tmp_path / "sitecustomize.py").write_text("""
import signal, sys
class Interrupts:
    def find_spec(self, name, *_):
        if name in ("argparse", "dataclasses", "json"):
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupts())
""")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with start(program, option="-m", stderr=subprocess.PIPE, env=environment, preexec_fn=interruptible) as process:
        assert process.stderr.read() == "error: interrupted; nothing was in progress\n"
    assert process.returncode == 130


@pytest.mark.parametrize("where", ["import half", "Half()"])
def test_a_signal_where_nothing_can_be_raised_is_raised_later(tmp_path: Path, where: str):
    (tmp_path / "half.py").write_text("import signal\nsignal.raise_signal(signal.SIGTERM)\n")
    program = f"""
import signal, sys, time
sys.path.append({str(tmp_path)!r})
from detector.cli import run
class Half:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)
def main(_):
    {where}
    print("went on", flush=True)
    time.sleep(30)
run(main, [])
"""
    with start(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.read() == "went on\n"
        assert process.stderr.read() == f"error: ended by SIGTERM; {signals.UNFINISHED}\n"
    assert process.returncode == 143


@pytest.mark.parametrize("slow", ["time.sleep(20)", "while True: time.sleep(0.01)"])
def test_a_signal_in_an_import_that_takes_long_says_so(tmp_path: Path, slow: str):
    (tmp_path / "slow.py").write_text(f"import time\nprint('started', flush=True)\n{slow}\n")
    program = f"""
import sys
sys.path.append({str(tmp_path)!r})
from detector.cli import run
from detector.terminal import signals
signals.PATIENCE = 0.2
def main(_):
    import slow
run(main, [])
"""
    with start(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGTERM)
        said = process.stderr.read()
    assert said == f"error: ended by SIGTERM while a library was imported; {signals.UNFINISHED}\n"
    assert process.returncode == 143


def interruptible() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("x.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]):
    assert code_of(raising(error)) == 1
    said = capsys.readouterr().err
    assert "memory" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("error", [DataError("a.onnx is truncated"), ZeroDivisionError("of a library")])
def test_whatever_fails_where_no_memory_is_left_lacks_memory(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(memory, "is_short", lambda: True)
    assert code_of(raising(error)) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: not enough memory: give the command more")
    assert "truncated" not in said
    assert code_of(raising(AccuracyError("low"))) == 3
    assert capsys.readouterr().err == "error: low\n"


@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_path_is_a_usage_error(text: str, capsys: pytest.CaptureFixture[str]):
    parser = cli.Parser(prog="x")
    parser.add_argument_group("where").add_argument("--output", type=Path, default=Path())
    assert parser.parse_args([]).output == Path()
    assert parser.parse_args(["--output", "a"]).output == Path("a")
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--output", text])
    assert f"argument --output: expected a name, got {text!r}" in capsys.readouterr().err


def test_a_working_directory_that_was_removed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert code_of(lambda _: 0) == 1
    assert capsys.readouterr().err == "error: the working directory has been removed; change to another one (cd)\n"


def test_an_abbreviated_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    parser = cli.Parser(prog="x")
    parser.add_argument("--batch_size")
    with pytest.raises(SystemExit) as exit_:
        parser.parse_args(["--batch", "8"])
    assert exit_.value.code == 2
    assert "unrecognized arguments: --batch" in capsys.readouterr().err


def test_a_missing_optional_package_names_the_extra():
    with pytest.raises(MissingEnvironmentError, match=r"export needs the package 'no_such_module'.*'.\[export\]'"):
        cli.require("no_such_module", extra="export", purpose="export")


def test_a_package_that_is_there_is_imported():
    assert cli.require("json", extra="x", purpose="x").loads("1") == 1


def test_a_package_whose_own_import_fails_is_not_called_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "half_installed.py").write_text("import no_such_module")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        cli.require("half_installed", extra="x", purpose="x")


def test_a_user_of_make_is_told_the_variables_of_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    error = DataError("give --only_annotated, --limits or --set a.b=1")
    assert code_of(raising(error)) == 1
    assert capsys.readouterr().err == "error: give --only_annotated, --limits or --set a.b=1\n"
    monkeypatch.setenv(cli.MAKE_VARIABLES, "--only_annotated:ONLY_ANNOTATED=1 --limit:LIMIT= --set:SET=")
    code_of(raising(error))
    assert capsys.readouterr().err.endswith(
        "a.b=1; under make: ONLY_ANNOTATED=1 for --only_annotated, SET= for --set\n"
    )


def test_a_user_of_make_is_told_the_variables_of_options_in_warnings():
    program = """
import logging
from detector.cli import run
def main(_):
    logging.getLogger("x").warning("--recursive reads them")
    logging.getLogger("x").warning("--recursive (make: RECURSIVE=1)")
    logging.getLogger("x").info("left out (--recursive)")
run(main, [])
"""
    environment = {**os.environ, cli.MAKE_VARIABLES: "--recursive:RECURSIVE=1"}
    with start(program, stderr=subprocess.PIPE, env=environment) as process:
        told = "--recursive reads them; under make: RECURSIVE=1 for --recursive\n"
        assert process.stderr.read() == f"{told}--recursive (make: RECURSIVE=1)\nleft out (--recursive)\n"


@pytest.mark.parametrize("text", ["0", "-1", "2147483648", "9" * 5000, "nan", "1.5", ""])
def test_what_is_no_count_is_refused(text: str):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        cli.positive(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-0.1", "1e999", "x"])
def test_what_is_no_amount_is_refused(text: str):
    with pytest.raises((argparse.ArgumentTypeError, ValueError)):
        cli.not_negative(text)


def test_counts_and_amounts():
    assert (cli.positive("1"), cli.positive("2147483647"), cli.not_negative("0"), cli.not_negative("0.5")) == (
        1,
        2**31 - 1,
        0.0,
        0.5,
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_before_the_command_runs_is_one_line_and_its_code(number: signal.Signals, code: int):
    program = f"""
import signal
from detector import end_at_once
signal.signal({int(number)}, end_at_once)
signal.raise_signal({int(number)})
"""
    with start(program, stderr=subprocess.PIPE) as process:
        word = "interrupted" if code == 130 else f"ended by {number.name}"
        assert process.stderr.read() == f"error: {word}; nothing was in progress\n"
    assert process.returncode == code
