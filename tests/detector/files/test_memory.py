import importlib
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from detector.files import memory


def test_what_no_machine_has_cannot_be_had():
    assert memory.is_short(2**60)
    assert not memory.is_short()
    with pytest.raises(MemoryError, match="1,152,921,504,606,846,976 bytes of address space are needed"):
        memory.require(2**60)
    memory.require(1)


def test_the_limit_of_the_process_counts_and_nothing_is_taken():
    program = """
import importlib
import resource
from detector.files import memory
size = 2**28
resource.setrlimit(resource.RLIMIT_AS, (size * 3 // 2,) * 2)
print([memory.is_short(size), memory.is_short(size), memory.is_short(size * 2)])
"""
    assert resource.getrlimit(resource.RLIMIT_AS)[1] == resource.RLIM_INFINITY
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[False, False, True]\n"


def test_a_library_is_not_imported_into_too_little_memory_for_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    memory.guard_imports({"no_such_library": 2**60})
    memory.guard_imports({"not_guarded_twice": 2**60})
    with pytest.raises(MemoryError, match="bytes of address space are needed"):
        importlib.import_module("no_such_library")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("not_guarded_twice")


@pytest.mark.parametrize("megabytes", [130, 150, 190])
def test_a_command_under_a_small_limit_says_memory_and_does_not_die_in_a_library(megabytes: int, tmp_path: Path):
    """130 was a segmentation fault of `postprocess eval`; 150 and 190 were glibc's ABORT in `convert lint`."""
    limit = (megabytes * 2**20, resource.RLIM_INFINITY)
    (tmp_path / "m.onnx").write_bytes(b"")
    done = subprocess.run(
        [sys.executable, "-m", "convert", "lint", tmp_path / "m.onnx"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: not enough memory: give the command more")
    assert done.stderr.count("\n") == 1
