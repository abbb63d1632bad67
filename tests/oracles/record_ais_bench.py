"""Record what the genuine ais_bench does over the stand-in for its device layer, and compare our runner with it live.

    git clone https://github.com/Yanguan619/aclruntime && git -C aclruntime checkout 8da7f645
    pip install --target site attrs 'setuptools<81'
    python tests/oracles/record_ais_bench.py --tool aclruntime/ais-bench_workload/tool/ais_bench --site site \\
        [--write] [CASE ...]

`--tool` is the folder that holds the Python package `ais_bench`, unmodified (that commit, of December 2025, or the
site-packages of its 0.0.2 wheel; a tool of 2023 has other modes, keys and times). `--site` has what it imports and this
Python lacks: attrs, tqdm, and a setuptools that still has pkg_resources. Nothing of it is copied.

Every case and trap of tests/infer/conformance_cases.py runs twice in worlds of its own: `python -m ais_bench` over
tests/infer/shim on the .onnx files renamed to .om, and `python -m infer` on the .onnx files, over the traps with
`--strict_paths`. Exit codes, folders, bytes, modes, summaries and lines are compared. `--write` records what the
genuine tool did, for tests/infer/test_conformance.py and tests/infer/contract/test_path_rules.py. Exit 1 if anything
differs.
"""

import argparse
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.infer.conformance_cases import CASES, TRAPS  # noqa: E402
from tests.infer.conftest import build_world  # noqa: E402

OBSERVED = ROOT / "tests/infer/ais_bench_observed.json"
TRAPS_OBSERVED = ROOT / "tests/infer/contract/ais_bench_traps.json"
STAMP = r"\d{4}_\d\d_\d\d-\d\d_\d\d_\d\d"
NUMBER = r"[-+0-9.e]+"
# Lines that speak of the card; our runner has none.
DEVICE_LINES = ("acl init", "open device", "create new context", "unload model", "end to ", "check dynamic")
# Makes our runner refuse paths as ais_bench does; not in its command line.
STRICT = "--strict_paths=1"
Observation = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", type=Path, required=True, help="folder that holds the genuine package ais_bench")
    parser.add_argument("--site", type=Path, help="folder with attrs, tqdm and pkg_resources")
    parser.add_argument("--write", action="store_true", help="record what the genuine tool did")
    parser.add_argument("cases", nargs="*", help="only these")
    args = parser.parse_args()
    genuine = [ROOT / "tests/infer/shim", args.tool, *([args.site] if args.site else [])]
    probe = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        "import aclruntime, ais_bench.infer.summary, attr, pkg_resources, tqdm",
    ]
    found = subprocess.run(probe, env=environment(genuine), capture_output=True, text=True, check=False)
    if found.returncode != 0:  # every case would differ
        last = found.stderr.strip().splitlines()[-1]
        sys.exit(f"error: --tool {args.tool} and --site {args.site} do not have all that is needed: {last}")
    names = args.cases or [*CASES, *TRAPS]
    recorded, traps, different = {}, {}, 0
    for name in filter(CASES.__contains__, names):
        theirs = observe("ais_bench", CASES[name], genuine)
        differences = compare(theirs, observe("infer", CASES[name], [ROOT]))
        different += bool(differences)
        print(f"{name:30} exit {theirs['exit']}  {'; '.join(differences) or 'identical'}")
        recorded[name] = record(CASES[name], theirs)
    for name in filter(TRAPS.__contains__, names):
        theirs = observe("ais_bench", TRAPS[name][1], genuine, trap=name)
        differences = compare(theirs, observe("infer", [*TRAPS[name][1], STRICT], [ROOT], trap=name))
        different += bool(differences)
        print(f"{name:42} exit {theirs['exit']}  {'; '.join(differences) or 'identical'}  {theirs['errors'][:1]}")
        traps[name] = {"exit": theirs["exit"]}
    total = len(recorded) + len(traps)
    print(f"{total - different} of {total} identical: {len(recorded)} cases, {len(traps)} traps")
    if args.write and not args.cases:
        save(OBSERVED, recorded)
        save(TRAPS_OBSERVED, traps)
    return 1 if different else 0


def save(path: Path, entries: dict[str, Any]) -> None:
    """One line per entry, so that a new record shows what changed."""
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in entries.items())
    path.write_text(f"{{\n{lines}\n}}\n")


def environment(path: list[Path]) -> dict[str, str]:
    """This process's variables with a module path of its own."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(folder.resolve()) for folder in path),
        "PYTHONWARNINGS": "ignore",
    }


def observe(module: str, arguments: list[str], path: list[Path], *, trap: str | None = None) -> Observation:
    """Run one command in a world of its own and look at everything it left."""
    with tempfile.TemporaryDirectory() as name:
        world = Path(name).resolve()
        build_world(world)
        world.chmod(0o755)
        if module == "ais_bench":
            for model in world.glob("*.onnx"):
                model.rename(model.with_suffix(".om"))
        else:
            arguments = [argument.replace(".om", ".onnx") for argument in arguments]
        if trap is not None:
            TRAPS[trap][0](world)
        command = [sys.executable, "-m", module, *arguments]
        run = subprocess.run(command, cwd=world, env=environment(path), capture_output=True, text=True, check=False)
        out, summaries = tree(world / "out")
        said = lines_of(run.stdout.replace(str(world), "<world>"))
    return {
        "exit": run.returncode,
        "folder": out,
        "summaries": summaries,
        "lines": [line for line in said if not any(word in line for word in DEVICE_LINES)],
        "errors": [line.removeprefix("[ERROR] ") for line in said if line.startswith("[ERROR] ")],
        "stderr": run.stderr,
    }


def tree(root: Path) -> tuple[dict[str, tuple[int, str]], dict[str, Any]]:
    """Everything below a folder: mode and start of the SHA-256; and the summaries, parsed."""
    found, summaries = {}, {}
    # The origin record beside a result folder is ours alone.
    paths = [path for path in sorted(root.rglob("*")) if not path.name.endswith("_origin.json")]
    for path in paths:
        key = re.sub(STAMP, "<time>", str(path.relative_to(root)))
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_dir():
            found[f"{key}/"] = (mode, "")
        elif key.endswith("_summary.json"):
            found[key] = (mode, "summary")
            summaries[key] = summary(path.read_text())
        else:
            found[key] = (mode, hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    return found, summaries


def summary(text: str) -> dict[str, Any]:
    """What of a summary does not depend on the clock."""
    document = json.loads(re.sub(STAMP, "<time>", text.replace(".onnx", ".om")))
    timed = ("NPU_compute_time", "H2D_latency", "D2H_latency")
    return {
        "lines": text.count("\n"),
        "keys": list(document),
        "types": [type(value).__name__ for value in document.values()],
        "filesinfo": document["filesinfo"],
        "arguments": [argument for argument in document["args"][1:] if argument != STRICT],
        "program": Path(document["args"][0]).name,
        "figures": [list(document[key]) for key in timed],
        "counts": [document[key]["count"] for key in timed],
        "times": len(document["npu_compute_time_list"]),
    }


def lines_of(text: str) -> list[str]:
    """Lines without times, progress bars and colours."""
    lines = []
    for line in re.split(r"[\r\n]+", text):
        if line.strip() and "Processing" not in line and not line.startswith("loop inference exec"):
            masked = re.sub(rf"(NPU_compute_time\.mean\()({NUMBER})(\)): ({NUMBER})", r"\1#\3: #", line)
            masked = re.sub(rf"= {NUMBER}", "= #", masked).replace(".onnx", ".om")
            lines.append(re.sub(STAMP, "<time>", masked))
    return lines


def good(lines: list[str]) -> list[str]:
    """Lines of a run that went well."""
    return [line for line in lines if not line.startswith(("[ERROR]", "[WARN")) and "SOLUTION" not in line]


def compare(theirs: Observation, ours: Observation) -> list[str]:
    """What differs between the two tools; messages of a failure may differ, its exit code may not."""
    different = []
    if theirs["exit"] != ours["exit"]:
        different.append(f"exit {theirs['exit']} against {ours['exit']}")
    if theirs["exit"] == 0:
        for key in ("folder", "summaries"):
            if json.dumps(theirs[key]) != json.dumps(ours[key]):
                different.append(key)
        if good(theirs["lines"]) != ours["lines"]:
            different.append("lines")
        return different
    if "Traceback" in ours["stderr"] or ours["stderr"].count("error: ") != 1:
        different.append("our error is not one line")
    if ours["summaries"] or theirs["summaries"]:
        different.append("a summary of a failed run")
    return different


def record(arguments: list[str], theirs: Observation) -> dict[str, Any]:
    """What is kept of an observation."""
    entry: dict[str, Any] = {"arguments": arguments, "exit": theirs["exit"]}
    if theirs["exit"] != 0:
        return entry
    entry["lines"] = good(theirs["lines"])
    modes = {mode for mode, _ in theirs["folder"].values()}
    assert modes <= {0o750, 0o640}, modes
    entry["folder"] = {key: digest for key, (_, digest) in theirs["folder"].items() if digest != "summary"}
    entry["summaries"] = list(theirs["summaries"])
    for found in theirs["summaries"].values():
        text = json.dumps(found["filesinfo"])
        entry["filesinfo"] = hashlib.sha256(text.encode()).hexdigest()[:16]
        entry["counts"] = found["counts"]
    return entry


if __name__ == "__main__":
    sys.exit(main())
