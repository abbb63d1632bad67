"""What a time was measured on: without it a figure cannot be compared with another."""

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path


def machine_facts(packages: Sequence[str]) -> dict[str, str | int | float]:
    """Processor, usable cores, load and versions.

    Args:
        packages: distributions whose versions matter; one that is not installed is left out.

    Returns:
        Facts by name; `load` is the mean number of running processes of the last minute, other people's included.
    """
    versions = {name: _version(name) for name in packages}
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version for name, version in versions.items() if version is not None},
    }


def machine_text(packages: Sequence[str]) -> str:
    """The same as one line per fact, for the head of a record."""
    return "\n".join(f"# {name}: {value}" for name, value in machine_facts(packages).items())


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    # platform.processor() is empty on most Linux systems.
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
