"""Where a product is built: in a folder of the process's own, so that nothing half made is called as the product."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from detector.files.atomic import hidden_name
from detector.files.write_error import write_error


def building_prefix(output: Path) -> str:
    """How the folders are called in which processes build a product; the process's number follows."""
    return f"{hidden_name(output.name)}.building."


def building_folder(output: Path, process: int) -> Path:
    """Where a process builds a product: nobody else writes there, not even an atc that outlives its caller."""
    return output.with_name(f"{building_prefix(output)}{process}")


def remove_abandoned(output: Path) -> None:
    """Remove the folders in which killed conversions, or killed scripts, were building the same product."""
    prefix = building_prefix(output)
    for folder in output.parent.glob(".*.building.*"):
        if folder.name.startswith(prefix) and folder.name.removeprefix(prefix).isdecimal():
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def folder_aside(output: Path) -> Iterator[Path]:
    """A folder beside the product for this process alone, gone afterwards."""
    folder = building_folder(output, os.getpid())
    try:
        folder.mkdir()
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def take_name(file: Path, target: Path) -> None:
    """Give a finished file its name, in place of what is called so.

    Raises:
        ArtifactError: it cannot be written.
    """
    try:
        os.replace(file, target)
    except OSError as error:
        raise write_error(target, error) from error
