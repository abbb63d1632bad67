import os
import stat

import pytest

from convert.atc.run import run_atc
from detector.errors import ArtifactError, MissingEnvironmentError, ToolError
from detector.tools import Finished

START = "ATC start working now, please wait for a moment."
VERDICT = "ATC run success, welcome to the next use."
FAILED = "ATC run failed, Please check the detail log, Try 'atc --help' for more information"


def atc(tmp_path, *lines, exit_code=0, product="m.om", content=b"om"):
    """A stand-in for `tools.run` that leaves a file and says something."""

    def run(command, *, log, check):
        assert not check
        log.write_text("\n".join(lines))
        if product:
            (tmp_path / product).write_bytes(content)
        return Finished(exit_code, lines)

    return run


def test_an_om_under_the_plain_name_is_the_product(tmp_path):
    assert run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, START, VERDICT)) == tmp_path / "m.om"


def test_an_om_under_the_platform_name_is_renamed(tmp_path):
    made = run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, VERDICT, product="m_linux_aarch64.om"))
    assert made.read_bytes() == b"om"
    assert not (tmp_path / "m_linux_aarch64.om").exists()


def test_of_two_names_the_plain_one_is_the_product(tmp_path):
    (tmp_path / "m_linux_x86_64.om").write_bytes(b"of an earlier run")
    made = run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, VERDICT))
    assert made.read_bytes() == b"om"
    assert not (tmp_path / "m_linux_x86_64.om").exists()


def test_a_silent_atc_is_an_error(tmp_path):
    (tmp_path / "m.om").write_bytes(b"of an earlier run")
    with pytest.raises(ArtifactError, match=r"reported success but left no .*m\.om"):
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, VERDICT, product=None))


def test_an_empty_om_is_none(tmp_path):
    with pytest.raises(ArtifactError, match=r"reported success but left an empty .*m\.om; is the disk full"):
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, VERDICT, content=b""))


def test_exit_code_0_without_the_success_line_is_an_error(tmp_path):
    with pytest.raises(ToolError, match="exited with 0 but never said 'ATC run success'; is this CANN's atc"):
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, "..."))


def test_an_error_code_becomes_cause_and_next_step(tmp_path):
    said = "E10016: [PID: 7] Opname [dets] specified in [--out_nodes] is not found in the model"
    with pytest.raises(ToolError) as caught:
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, START, FAILED, said, exit_code=255, product=None))
    text = str(caught.value)
    assert text.startswith(f"atc exited with 255: {said}; that is: a name in an option such as --out_nodes is not in")
    assert "next: use the names of the ONNX graph's outputs" in text
    assert text.endswith(f"whole log in {tmp_path / 'm.atc.log'}")


def test_the_first_error_is_the_cause_and_the_others_are_named(tmp_path):
    lines = ("W11001: Op [a] does not hit", "E16002: No parser is registered", "E19999: Inner Error!")
    with pytest.raises(ToolError, match=r"E16002: No parser.*\(also in the log: E19999, W11001\)"):
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, *lines, exit_code=255, product=None))


def test_a_code_in_no_table_is_told_by_its_block(tmp_path):
    with pytest.raises(ToolError, match=r"E99999: what\?; that is: in no public table; codes of its block: a kernel"):
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, "E99999: what?", exit_code=255, product=None))


def test_a_failure_without_a_code_shows_the_last_lines(tmp_path):
    with pytest.raises(ToolError, match=r"exited with 1 and gave no error code: ATC start .*set atc\.log: debug"):
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, START, exit_code=1, product=None))


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [
        (-9, r"signal 9 \(SIGKILL\): something killed it; usually the kernel, out of memory.*smaller batch"),
        (137, r"signal 9 \(SIGKILL\): something killed it"),
        (-11, r"signal 11 \(SIGSEGV\): atc crashed on an operator that .*; `python -m convert lint`"),
        (139, r"signal 11 \(SIGSEGV\)"),
        (-6, r"signal 6 \(SIGABRT\): it crashed"),
        (-15, r"signal 15 \(SIGTERM\): somebody ended it"),
    ],
)
def test_a_signal_is_named_with_what_to_do(tmp_path, exit_code, said):
    with pytest.raises(ToolError, match=rf"^atc ended by {said}.*whole log in ") as caught:
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, START, exit_code=exit_code, product=None))
    assert "debug" not in str(caught.value)


def test_what_atc_had_said_before_it_was_killed_is_told_too(tmp_path):
    with pytest.raises(ToolError, match=r"signal 9 .*\(it had said: E10035: too few\); whole log"):
        run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, "E10035: too few", exit_code=-9, product=None))


def test_a_warning_of_a_success_is_logged(tmp_path, caplog):
    line = "W11001: Op [Exp_1] does not hit the high-priority operator information library"
    run_atc(["atc"], tmp_path / "m", run=atc(tmp_path, VERDICT, line))
    assert line in caplog.text
    assert "not in the fastest kernel library" in caplog.text


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Makes a program called atc the first on PATH."""

    def put(body):
        program = tmp_path / "bin" / "atc"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return put


def test_a_real_process_leaves_its_whole_log(tmp_path, on_path):
    on_path(f"echo '{START}'; echo om >{tmp_path}/m.om; echo '{VERDICT}'; echo warned >&2")
    assert run_atc(["atc", "--model=m"], tmp_path / "m") == tmp_path / "m.om"
    assert (tmp_path / "m.atc.log").read_text() == f"{START}\n{VERDICT}\nwarned\n"


def test_a_real_process_that_fails_is_explained(tmp_path, on_path):
    on_path(f"echo '{FAILED}'; echo 'E10035: too few'; exit 255")
    with pytest.raises(ToolError, match=r"exited with 255: E10035: too few; that is: there are fewer gears than 2"):
        run_atc(["atc"], tmp_path / "m")
    assert "E10035" in (tmp_path / "m.atc.log").read_text()


def test_without_atc_the_environment_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingEnvironmentError, match="atc not found on PATH"):
        run_atc(["atc"], tmp_path / "m")
