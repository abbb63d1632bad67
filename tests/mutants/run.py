"""Plant every mutation of table.toml in a copy of the tree and see whether the tests find it; writes result.txt.

python tests/mutants/run.py                     all of them, some ten minutes with two processes
python tests/mutants/run.py detector/geometry/  those of a file or a folder; result.txt keeps the others' lines
"""

import argparse
import collections
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from tests.mutants.table import Mutation, read_table, why_not  # noqa: E402

RESULT = Path(__file__).with_name("result.txt")
KILLED, SURVIVED = "killed  ", "SURVIVED"
# Exit codes of pytest; any other means that no test ran.
ANSWERS = {0: SURVIVED, 1: KILLED}
# Imported once, for all processes: they take longer than most tests.
LIBRARIES = (
    "pytest",
    "numpy",
    "cv2",
    "PIL.Image",
    "onnx",
    "onnx.reference",
    "onnxruntime",
    "pydantic",
    "torch",
)


def main(argv: list[str] | None = None) -> int:
    """Exit code 0 if at least 95 % of the mutations are killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("places", nargs="*", help="files or folders of the repository whose mutations are tried")
    parser.add_argument("--jobs", type=int, default=2, help="processes, each with a copy of the tree")
    parser.add_argument("--trusting", action="store_true", help="do not run the tests without any mutation first")
    options = parser.parse_args(argv)
    mutations = [each for each in read_table() if each.file.startswith(tuple(options.places or [""]))]
    unfit = [reason for each in mutations if (reason := why_not(each, ROOT))]
    if unfit or not mutations:
        sys.exit("\n".join(unfit) or f"no mutation of {' '.join(options.places)}")
    os.environ |= {"OMP_NUM_THREADS": "1", "OMLINE_MAKE": ""}
    for name in LIBRARIES:
        import_module(name)
    with _copies(options.jobs) as trees:
        if not options.trusting and not _all_pass(mutations, trees[0]):
            return 1
        answers = _answers(mutations, trees)
    RESULT.write_text(_report(_recorded() | answers), encoding="utf-8")
    return 0 if list(answers.values()).count(KILLED) >= 0.95 * len(answers) else 1


@contextlib.contextmanager
def _copies(count: int) -> Iterator[list[Path]]:
    """Copies of what git knows or would add, as it stands now."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trees = [Path(folder) / str(index) for index in range(count)]
        for tree in trees:
            for name in filter(None, names):
                if (ROOT / name).is_file():
                    (tree / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, tree / name)
        yield trees


def _all_pass(mutations: Sequence[Mutation], tree: Path) -> bool:
    """Whether the tests pass without any mutation: one that fails anyway would kill all."""
    tests = sorted({test for mutation in mutations for test in mutation.tests})
    _, status = os.waitpid(_start(tests, tree), 0)
    if status:
        print(tree.with_suffix(".txt").read_text(encoding="utf-8")[-3000:], file=sys.stderr)
        print("the tests fail without any mutation", file=sys.stderr)
    return status == 0


def _answers(mutations: Sequence[Mutation], trees: Sequence[Path]) -> dict[str, str]:
    """What became of each mutation, by its line."""
    waiting, free, answers = list(mutations), list(trees), dict[str, str]()
    running: dict[int, tuple[Mutation, Path]] = {}
    while waiting or running:
        while waiting and free:
            mutation, tree = waiting.pop(0), free.pop()
            _write(tree, mutation.file, mutation.old, mutation.new)
            running[_start(mutation.tests, tree)] = mutation, tree
        pid, status = os.wait()
        mutation, tree = running.pop(pid)
        _write(tree, mutation.file, mutation.new, mutation.old, whole=ROOT / mutation.file)
        free.append(tree)
        code = os.waitstatus_to_exitcode(status)
        answers[_line(mutation)] = ANSWERS.get(code, f"code {code:3}")
        print(answers[_line(mutation)], _line(mutation), file=sys.stderr, flush=True)
    return answers


def _write(tree: Path, file: str, old: str, new: str, *, whole: Path | None = None) -> None:
    """Plant a mutation, or put the whole file back."""
    path = tree / file
    text = path.read_text(encoding="utf-8").replace(old, new) if whole is None else whole.read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    # Python takes a compiled file for current by the second and the size of its source: a mutation may have both.
    Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _start(tests: Sequence[str], tree: Path) -> int:
    """A process of its own that runs tests in a copy of the tree."""
    pid = os.fork()
    if pid == 0:
        _run(tests, tree)
    return pid


def _run(tests: Sequence[str], tree: Path) -> NoReturn:
    """Take the tree in place of this one, run the tests, and end."""
    import pytest

    code = 99
    try:
        os.chdir(tree)
        sys.path[0] = str(tree)
        for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
            del sys.modules[name]
        output = os.open(tree.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
    except BaseException:  # noqa: BLE001 (nothing of the parent may run here)
        traceback.print_exc()
    os._exit(code)


def _line(mutation: Mutation) -> str:
    return f"{mutation.file}: {mutation.breaks}"


def _recorded() -> dict[str, str]:
    """What result.txt says of each mutation."""
    lines = RESULT.read_text(encoding="utf-8").splitlines() if RESULT.exists() else []
    return {line[len(KILLED) + 1 :]: line[: len(KILLED)] for line in lines if line.startswith((KILLED, SURVIVED))}


def _report(answers: dict[str, str]) -> str:
    """The counts, and a line for every mutation of the table."""
    table = read_table()
    stages = collections.Counter(each.file.split("/")[0] for each in table)
    killed = collections.Counter(each.file.split("/")[0] for each in table if answers.get(_line(each)) == KILLED)
    lines = [f"{killed.total()} of {len(table)} mutations killed ({killed.total() / len(table):.1%})", ""]
    lines += [f"{stage:12} {killed[stage]} of {count}" for stage, count in sorted(stages.items())]
    lines += ["", *(f"{answers.get(_line(each), 'untried '):8} {_line(each)}" for each in table)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
