"""The edge: what an error, an interrupt and a closed pipe look like from outside."""

import subprocess
import sys
from pathlib import Path

import pytest

from detector import cli
from detector.errors import AccuracyError, DataError, MissingEnvironmentError

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


def test_a_bug_shows_its_traceback():
    with pytest.raises(ZeroDivisionError):
        cli.run(raising(ZeroDivisionError()), [])


@pytest.mark.parametrize(("result", "code"), [(None, 0), (0, 0), (3, 3)])
def test_the_result_of_main_is_the_exit_code(result: int | None, code: int):
    assert code_of(lambda _: result) == code


def test_arguments_come_from_the_command_line(monkeypatch: pytest.MonkeyPatch):
    seen: list[str] = []
    monkeypatch.setattr(sys, "argv", ["prog", "--x", "1"])
    with pytest.raises(SystemExit):
        cli.run(seen.extend)
    assert seen == ["--x", "1"]


def test_a_closed_pipe_is_no_traceback():
    program = "from detector.cli import run; run(lambda _: [print(i) for i in range(10**6)] and None, [])"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


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
