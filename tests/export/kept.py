"""Exports by torch that processes and runs share: each is made once of what there is now, and read by the others."""

import fcntl
import functools
import hashlib
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".pytest_cache" / "exports"
CODE = ("detector", "export", "tests/export/networks.py")
PACKAGES = ("torch", "onnx", "onnxscript", "onnx-ir", "numpy")


@functools.cache
def made_of() -> str:
    """Digest of the code and the packages that an export comes from."""
    files = sorted(file for name in CODE for file in [ROOT / name, *(ROOT / name).rglob("*.py")] if file.is_file())
    parts = [f"{file.relative_to(ROOT)} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files]
    return hashlib.sha256("\n".join([*parts, *map(version, PACKAGES)]).encode()).hexdigest()[:16]


def kept(name: str, export: Callable[[], onnx.ModelProto]) -> onnx.ModelProto:
    """The export of that name; a process that comes while another one makes it waits for it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}-{made_of()}.onnx"
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            for old in FOLDER.glob(f"{name}-*"):
                old.unlink()
            part = path.with_suffix(f".{os.getpid()}")
            part.write_bytes(export().SerializeToString())
            part.replace(path)
        return onnx.load(path)
