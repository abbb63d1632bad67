import os
import stat
import subprocess
from pathlib import Path

import pytest

from convert.atc import atc_command, atc_script, run_atc
from detector.errors import ArtifactError, ToolError
from detector.spec_files import load_spec
from detector.tools import Finished

SUCCESS = Finished(0, ("ATC start working now, please wait for a moment.", "ATC run success, welcome to the next use."))


def test_the_command_of_the_published_model():
    spec = load_spec("fcos_r50_caffe_fpn_1x")
    assert atc_command(spec, Path("fcos.onnx"), Path("fcos_bs1"), batch_size=1) == [
        "atc",
        "--framework=5",
        "--model=fcos.onnx",
        "--output=fcos_bs1",
        "--input_format=NCHW",
        "--input_shape=input:1,3,800,1344",
        "--soc_version=Ascend310P3",
        "--out_nodes=labels;dets",
        "--log=error",
    ]


def test_an_om_under_the_plain_name_is_the_product(tmp_path):
    def atc(command, log):
        (tmp_path / "m.om").write_bytes(b"om")
        return SUCCESS

    assert run_atc(["atc"], tmp_path / "m", run=atc) == tmp_path / "m.om"


def test_an_om_under_the_platform_name_is_renamed(tmp_path):
    def atc(command, log):
        (tmp_path / "m_linux_aarch64.om").write_bytes(b"om")
        return SUCCESS

    assert run_atc(["atc"], tmp_path / "m", run=atc).read_bytes() == b"om"
    assert not (tmp_path / "m_linux_aarch64.om").exists()


def test_a_silent_atc_is_an_error(tmp_path):
    (tmp_path / "m.om").write_bytes(b"of an earlier run")
    with pytest.raises(ArtifactError, match=r"reported success but left no .*m\.om"):
        run_atc(["atc"], tmp_path / "m", run=lambda command, log: SUCCESS)


def test_exit_code_0_without_the_success_line_is_an_error(tmp_path):
    def atc(command, log):
        (tmp_path / "m.om").write_bytes(b"om")
        return Finished(0, ("...",))

    with pytest.raises(ToolError, match="exited with 0 but never said 'ATC run success'"):
        run_atc(["atc"], tmp_path / "m", run=atc)


def fake_atc(folder: Path, body: str) -> dict[str, str]:
    program = folder / "bin" / "atc"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def run_script(folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    spec = load_spec("fcos_r50_caffe_fpn_1x")
    command = atc_command(spec, Path("m_bs1.atc.onnx"), Path("m_bs1"), batch_size=1)
    script = folder / "m_bs1.atc.sh"
    script.write_text(atc_script(command, Path("m_bs1")))
    return subprocess.run(["/bin/sh", str(script)], env=env, cwd="/", capture_output=True, text=True, check=False)


def test_the_script_passes_atc_the_command_as_it_is(tmp_path):
    env = fake_atc(
        tmp_path, 'printf "%s\\n" "$@" >args; touch m_bs1.om; echo x >m_bs1.om; echo "ATC run success, welcome"'
    )
    done = run_script(tmp_path, env)
    assert done.returncode == 0, done.stderr
    args = (tmp_path / "args").read_text().splitlines()
    assert "--out_nodes=labels;dets" in args
    assert "--input_shape=input:1,3,800,1344" in args
    assert len(args) == 8


def test_the_script_takes_the_platform_name(tmp_path):
    env = fake_atc(tmp_path, 'echo x >m_bs1_linux_x86_64.om; echo "ATC run success, welcome"')
    assert run_script(tmp_path, env).returncode == 0
    assert (tmp_path / "m_bs1.om").exists()


@pytest.mark.parametrize(
    "body",
    [
        'echo "ATC run failed, Please check the detail log"; exit 255',
        'echo "ATC run success, welcome"',
        "echo x >m_bs1.om",
    ],
)
def test_the_script_fails_where_atc_fails(tmp_path, body):
    done = run_script(tmp_path, fake_atc(tmp_path, body))
    assert done.returncode == 1
    assert "left no valid m_bs1.om; whole log in m_bs1.atc.log" in done.stderr


def test_the_script_without_atc_says_what_to_source(tmp_path):
    done = run_script(tmp_path, {"PATH": "/usr/bin:/bin"})
    assert done.returncode == 5
    assert "set_env.sh" in done.stderr
