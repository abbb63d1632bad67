"""The script that builds an OM where atc is, with stand-ins for atc."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from convert.atc.command import atc_command
from convert.atc.script import atc_script
from convert.building import building_folder
from detector.errors import ArtifactError
from detector.files.lock import exclusive
from detector.products.om_file import noted_sha256, require_as_built
from detector.spec_files import load_spec

GRAPH = b"the graph"
GRAPH_SHA256 = hashlib.sha256(GRAPH).hexdigest()
BUILDS = 'echo x >"$out.om"; echo "ATC run success, welcome"'
# Says its number and that of a process that it starts, writes on and on, and ignores what a polite caller sends.
ENDLESS = """trap '' TERM
sh -c 'while :; do echo half >>"$0.om"; sleep 0.02; done' "$out" &
echo $$ $! >started; wait"""


def fake_atc(folder: Path, body: str) -> dict[str, str]:
    program = folder / "bin" / "atc"
    program.parent.mkdir(exist_ok=True)
    # $out: what --output names, without suffix.
    find = "for word; do case $word in --output=*) out=${word#--output=};; esac; done"
    program.write_text(f"#!/bin/sh\n{find}\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}


def write_script(folder: Path) -> str:
    graph = folder / "m_bs1.atc.onnx"
    if not graph.exists():
        graph.write_bytes(GRAPH)
    words = atc_command(load_spec("fcos_r50_caffe_fpn_1x"), Path("m_bs1.atc.onnx"), Path("m_bs1"), batch_size=1)
    (folder / "m_bs1.atc.sh").write_text(atc_script(words, Path("m_bs1"), GRAPH_SHA256))
    return str(folder / "m_bs1.atc.sh")


def run_script(folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", write_script(folder)], env=env, cwd="/", capture_output=True, text=True, check=False
    )


def started_script(folder: Path, env: dict[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["/bin/sh", write_script(folder)], env=env, stdout=subprocess.DEVNULL)


def wait_for(is_so: Callable[[], bool]) -> None:
    for _ in range(1000):
        if is_so():
            return
        time.sleep(0.01)
    raise AssertionError("it never came")


def is_alive(number: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes(folder: Path) -> list[int]:
    wait_for(lambda: (folder / "started").exists() and "\n" in (folder / "started").read_text())
    return [int(word) for word in (folder / "started").read_text().split()]


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(".m_bs1*")]


def test_no_graph_but_its_own_is_built(tmp_path):
    env = fake_atc(tmp_path, BUILDS)
    for other in (GRAPH[:-1], GRAPH + b"!", b"another model's whole graph"):
        (tmp_path / "m_bs1.atc.onnx").write_bytes(other)
        done = run_script(tmp_path, env)
        assert done.returncode == 1
        assert done.stderr.startswith("error: m_bs1.atc.onnx is not the graph that this script was made for; copy both")
    script = write_script(tmp_path)
    (tmp_path / "m_bs1.atc.onnx").unlink()
    done = subprocess.run(["/bin/sh", script], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.partition(";")[0]) == (1, "error: m_bs1.atc.onnx not found")
    assert not (tmp_path / "m_bs1.om").exists()


def test_what_describes_the_om_is_of_the_same_graph(tmp_path):
    env = fake_atc(tmp_path, BUILDS)
    om, description = tmp_path / "m_bs1.om", tmp_path / "m_bs1.om.json"
    description.write_text(json.dumps({"graph_sha256": GRAPH_SHA256}))
    assert run_script(tmp_path, env).returncode == 0
    require_as_built(om)
    description.write_text(json.dumps({"graph_sha256": "0" * 64}))
    with pytest.raises(
        ArtifactError, match=r"m_bs1\.om\.json describes the graph with SHA-256 0{16}…, .* another model's"
    ):
        require_as_built(om)
    done = run_script(tmp_path, env)
    assert (done.returncode, done.stderr.partition(";")[0]) == (
        1,
        "error: m_bs1.om.json does not describe m_bs1.atc.onnx",
    )


def test_the_script_passes_atc_the_command_as_it_is(tmp_path):
    env = fake_atc(tmp_path, f'printf "%s\\n" "$@" >args; {BUILDS}')
    done = run_script(tmp_path, env)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    args = (tmp_path / "args").read_text().splitlines()
    assert "--out_nodes=labels;dets" in args
    assert "--input_shape=input:1,3,800,1344" in args
    assert len(args) == 8


def test_the_script_takes_the_platform_name(tmp_path):
    env = fake_atc(tmp_path, 'echo x >"${out}_linux_x86_64.om"; echo "ATC run success, welcome"')
    assert run_script(tmp_path, env).returncode == 0
    assert (tmp_path / "m_bs1.om").exists()


def test_the_script_takes_no_om_of_an_earlier_run(tmp_path):
    (tmp_path / "m_bs1_linux_x86_64.om").write_text("old")
    env = fake_atc(tmp_path, 'echo new >"$out.om"; echo "ATC run success, welcome"')
    assert run_script(tmp_path, env).returncode == 0
    assert (tmp_path / "m_bs1.om").read_text() == "new\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('echo "ATC run failed, Please check the detail log"; exit 255', "atc exited with 255; whole log"),
        ('echo "ATC run success, welcome"', "atc reported success but left no m_bs1.om; is the disk full"),
        ('>"$out.om"; echo "ATC run success, welcome"', "atc reported success but left an empty m_bs1.om; is the disk"),
        ('echo x >"$out.om"', "exited with 0 but never said 'ATC run success'; is this CANN's atc ('which atc')?"),
        ('echo half >"$out.om"; kill -9 $$', "atc ended by signal 9: something killed it; usually the kernel"),
        ('echo half >"$out.om"; sh -c "kill -9 \\$\\$"; exit $?', "free memory (atc wants 2 GB and more)"),
        ('echo half >"$out.om"; kill -15 $$', "atc ended by signal 15: somebody ended it"),
        ('echo half >"$out.om"; kill -11 $$', "atc ended by signal 11: atc crashed on an operator"),
    ],
)
def test_the_script_says_why_atc_failed(tmp_path, body, reason):
    done = run_script(tmp_path, fake_atc(tmp_path, body))
    assert done.returncode == 1
    assert reason in done.stderr
    assert "whole log in m_bs1.atc.log" in done.stderr
    assert "python -m convert explain m_bs1.atc.log" in done.stderr
    assert not (tmp_path / "m_bs1.om").exists()
    assert not hidden(tmp_path)


def test_the_script_without_atc_says_what_to_source(tmp_path):
    done = run_script(tmp_path, {"PATH": "/usr/bin:/bin"})
    assert done.returncode == 5
    assert "set_env.sh" in done.stderr


def test_the_script_notes_what_it_built(tmp_path):
    assert run_script(tmp_path, fake_atc(tmp_path, BUILDS)).returncode == 0
    assert noted_sha256(tmp_path / "m_bs1.om") == hashlib.sha256(b"x\n").hexdigest()
    assert sorted(path.name for path in tmp_path.glob("*m_bs1*")) == [
        "m_bs1.atc.log", "m_bs1.atc.onnx", "m_bs1.atc.sh", "m_bs1.om", "m_bs1.om.sha256",
    ]  # fmt: skip
    (tmp_path / "m_bs1.om").write_bytes(b"y\n")
    with pytest.raises(ArtifactError, match=r"m_bs1\.om is not the file that was built"):
        require_as_built(tmp_path / "m_bs1.om")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)])
def test_atc_and_what_it_starts_end_with_the_script(tmp_path, number, code):
    (tmp_path / "m_bs1.om").write_bytes(b"of an earlier run")
    ends = ENDLESS if number == signal.SIGKILL else ENDLESS.replace("trap '' TERM", "")
    with started_script(tmp_path, fake_atc(tmp_path, ends)) as script:
        atc = processes(tmp_path)
        script.send_signal(number)
        assert script.wait(10) == code
    wait_for(lambda: not any(map(is_alive, atc)))
    assert not (tmp_path / "m_bs1.om").exists()
    assert bool(hidden(tmp_path)) == (number == signal.SIGKILL)  # nobody is left to clear up: the next run does
    done = run_script(tmp_path, fake_atc(tmp_path, BUILDS))
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "m_bs1.om").read_text() == "x\n"
    assert not hidden(tmp_path)


def test_a_second_script_and_a_conversion_are_told_who_builds(tmp_path):
    with started_script(tmp_path, fake_atc(tmp_path, ENDLESS)) as script:
        processes(tmp_path)
        done = run_script(tmp_path, fake_atc(tmp_path, BUILDS))
        assert done.returncode == 1
        assert f"error: m_bs1 is in use: doing: building, pid: {script.pid}, host: " in done.stderr
        with (
            pytest.raises(ArtifactError, match=f"m_bs1 is in use: process {script.pid} on .* is building it since"),
            exclusive(tmp_path / "m_bs1", doing="converting into"),
        ):
            pass
        script.kill()


def test_the_script_waits_for_no_lock_of_a_conversion(tmp_path):
    with exclusive(tmp_path / "m_bs1", doing="converting into"):
        done = run_script(tmp_path, fake_atc(tmp_path, BUILDS))
    assert done.returncode == 1
    assert "m_bs1 is in use: doing: converting into, pid: " in done.stderr
    assert not (tmp_path / "m_bs1.om").exists()


def test_a_holder_that_has_not_signed_yet_is_another_process(tmp_path):
    with (tmp_path / ".m_bs1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = run_script(tmp_path, fake_atc(tmp_path, BUILDS))
    assert "error: m_bs1 is in use: by another process; wait for it to end" in done.stderr


def only(tmp_path: Path, *absent: str) -> str:
    """A PATH that lacks some programs."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in {"sh", "cat", "cut", "date", "dirname", "env", "flock", "grep", "mkdir", "mkfifo", "mv", "rm", "setsid",
                 "sha256sum", "sync", "tr", "uname", "sleep"} - set(absent):  # fmt: skip
        program = shutil.which(name)
        assert program
        (folder / name).symlink_to(program)
    return str(folder)


def test_without_the_tools_for_locks_and_groups_it_says_what_is_not_checked(tmp_path):
    env = fake_atc(tmp_path, BUILDS)
    live, dead = building_folder(tmp_path / "m_bs1", os.getpid()), building_folder(tmp_path / "m_bs1", 2**22 + 1)
    live.mkdir()
    dead.mkdir()
    env["PATH"] = f"{tmp_path / 'bin'}:{only(tmp_path, 'flock', 'setsid')}"
    done = run_script(tmp_path, env)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "warning: flock (util-linux) does not work here; that nothing else builds m_bs1.om is not checked",
        "warning: no setsid (util-linux) or no pipe here: an atc whose script is killed by SIGKILL goes on",
    ]
    assert hidden(tmp_path) == [live.name]  # its process is alive


def test_what_killed_runs_left_goes_and_what_is_another_products_stays(tmp_path):
    stale = building_folder(tmp_path / "m_bs1", 7)
    other = building_folder(tmp_path / "m_bs1.building.1", 7)
    for folder in (stale, other):
        folder.mkdir()
        (folder / "m_bs1.om").write_text("half")
    (tmp_path / ".m_bs1.lock").write_text(json.dumps({"pid": 7}))
    assert run_script(tmp_path, fake_atc(tmp_path, BUILDS)).returncode == 0
    assert hidden(tmp_path) == [other.name]
