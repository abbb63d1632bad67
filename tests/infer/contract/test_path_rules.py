"""Paths: what ais_bench refuses is refused before it starts, with the command that mends it, and nothing else is."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from detector.errors import ArtifactError
from detector.tools import Finished
from infer.__main__ import main
from infer.card_run import run_om
from infer.contract import path_rules
from infer.contract.options import parse
from tests.infer.conformance_cases import TRAPS

# What the genuine tool did with every trap, see tests/oracles/record_ais_bench.py.
OBSERVED = json.loads(Path(__file__).with_name("ais_bench_traps.json").read_text())
REFUSED = [name for name, seen in OBSERVED.items() if seen["exit"] != 0]
ACCEPTED = [name for name, seen in OBSERVED.items() if seen["exit"] == 0]


class Started(Exception):
    """The tool would have been started."""


def start(command: list[str], **_: Any) -> Finished:
    if command[1] == "-c":
        return Finished(0, ())
    raise Started


@pytest.fixture
def trapped(world: Path) -> Path:
    """The world as ais_bench sees it: an ordinary working directory, models called .om."""
    world.chmod(0o755)
    for model in world.glob("*.onnx"):
        model.rename(model.with_suffix(".om"))
    return world


def test_every_trap_is_recorded():
    assert sorted(OBSERVED) == sorted(TRAPS)
    assert len(REFUSED) >= 20
    assert len(ACCEPTED) >= 8


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_the_tool_accepts_starts(name: str, trapped: Path):
    lay, arguments = TRAPS[name]
    lay(trapped)
    with pytest.raises(Started):
        run_om(parse(arguments), run=start)


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_tool_refuses_does_not_start(name: str, trapped: Path):
    lay, arguments = TRAPS[name]
    lay(trapped)
    # A missing path or a file in the way is a usage error of the command line itself.
    with pytest.raises((ArtifactError, SystemExit)):
        run_om(parse(arguments), run=start)


@pytest.mark.parametrize("name", OBSERVED)
@pytest.mark.parametrize("suffix", [".om", ".onnx"])
def test_a_refusal_has_the_exit_code_of_the_tool(suffix: str, name: str, world: Path):
    """On the CPU, with --strict_paths, the same: what passes there passes on the card."""
    world.chmod(0o755)
    lay, arguments = TRAPS[name]
    for model in world.glob("*.onnx"):
        model.rename(model.with_suffix(suffix))
    lay(world)
    spelt = [argument.replace(".om", suffix) for argument in arguments]
    try:
        path_rules.check_paths(parse([*spelt, "--strict_paths", "1"]))
    except ArtifactError as error:
        code = error.exit_code
    except SystemExit as error:
        code = error.code
    else:
        code = 0
    assert code == OBSERVED[name]["exit"]


def test_the_cpu_takes_any_path_unless_it_is_asked_to_be_strict(world: Path):
    (world / "out").mkdir()
    (world / "out").chmod(0o755)
    arguments = ["--model", "b1.onnx", "--input", "five", "--output", "out", "--output_dirname", "res"]
    assert main(arguments) == 0
    with pytest.raises(ArtifactError, match="out has mode 0755"):
        main([*arguments, "--strict_paths", "1"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bin group writable", r"five/img9\.bin has mode 0664, .*run `chmod go-w five/img9\.bin`"),
        ("output 0755", r"out has mode 0755, .*run `chmod 750 out`"),
        ("dirname in the working directory 0755", r"res has mode 0755.*looks at 'res' in the working directory /"),
        ("dirname in the working directory is a file", "res is a file: .*in the working directory"),
        ("model is a link", r"l\.om is a symbolic link, .*give /.*/b1\.om"),
        ("blank in the input's name", r"my bins has ' ' in it, ais_bench takes only A-Z a-z 0-9 _ - / \."),
        ("long result name", "is too long: at most 4096 characters, 255 in one name"),
        ("dangling link among bins", r"five/l\.bin does not exist"),
        ("bin unreadable", r"img9\.bin has mode 0000 and cannot be read: run `chmod u\+r"),
    ],
)
def test_the_message_has_the_cause_and_the_command(name: str, message: str, trapped: Path):
    lay, arguments = TRAPS[name]
    lay(trapped)
    with pytest.raises(ArtifactError, match=message):
        run_om(parse(arguments), run=start)


@pytest.mark.parametrize("name", ["bin group writable", "output 0755", "model group writable", "result folder 0775"])
def test_the_command_mends_it(name: str, trapped: Path):
    lay, arguments = TRAPS[name]
    lay(trapped)
    with pytest.raises(ArtifactError) as caught:
        run_om(parse(arguments), run=start)
    subprocess.run(str(caught.value).split("`")[1], shell=True, check=True)
    with pytest.raises(Started):
        run_om(parse(arguments), run=start)


def test_many_open_files_are_one_error(trapped: Path):
    for file in (trapped / "many").iterdir():
        file.chmod(0o666)
    message = r"many/000000000000\.bin and 16 more in many .*run `chmod -R go-w many`"
    with pytest.raises(ArtifactError, match=message):
        path_rules.check_inputs(["many"])


def test_a_umask_that_makes_such_files_is_named(trapped: Path):
    (trapped / "five/img9.bin").chmod(0o664)
    before = os.umask(0o002)
    try:
        problem = path_rules.read_problem("five/img9.bin")
    finally:
        os.umask(before)
    assert problem is not None
    assert problem.endswith("(your umask 0002 makes such files; `umask 0027` does not)")


def test_a_umask_against_its_owner_is_refused(trapped: Path):
    before = os.umask(0o277)
    try:
        problem = path_rules.umask_problem()
    finally:
        os.umask(before)
    assert problem is not None
    assert problem.startswith("umask 0277 takes rights from the owner")


def test_a_file_over_the_limit_is_refused(trapped: Path):
    with (trapped / "big.bin").open("wb") as file:
        file.truncate(path_rules.BIN_MAX + 1)
    assert path_rules.read_problem("big.bin", limit=path_rules.BIN_MAX) == (
        "big.bin has 4294967297 bytes, ais_bench reads at most 4294967296"
    )


def test_a_file_of_just_the_limit_is_read(trapped: Path):
    with (trapped / "big.bin").open("wb") as file:
        file.truncate(1000)
    assert [path_rules.read_problem("big.bin", limit=limit) is None for limit in (999, 1000)] == [False, True]


def test_someone_elses_file_is_refused(trapped: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(os, "getgroups", lambda: [4321])
    problem = path_rules.read_problem("five/img9.bin")
    assert problem is not None
    assert "you are user 4321: ais_bench wants its owner or a member of the group; run `sudo chown 4321" in problem


def test_an_earlier_result_of_someone_else_is_refused(trapped: Path, monkeypatch: pytest.MonkeyPatch):
    (trapped / "out/res").mkdir(parents=True)
    (trapped / "out/res/img1_0.bin").touch()
    (trapped / "out").chmod(0o750)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    monkeypatch.setattr(os, "getgroups", lambda: [os.getgid()])
    with pytest.raises(ArtifactError, match=r"img1_0\.bin belongs to user \d+, ais_bench replaces only your own"):
        path_rules.check_output("out", "res")
