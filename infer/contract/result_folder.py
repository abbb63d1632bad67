"""The result folder: its name, modes, lock, what earlier runs left in it (docs/facts/ais_bench.md, section 4)."""

import contextlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.errors import ArtifactError
from detector.files.atomic import remove_unfinished
from detector.files.lock import exclusive
from detector.files.write_error import write_error
from detector.products.bins_manifest import MANIFEST_NAME, UNFINISHED_NAME
from detector.products.results_origin import origin_path

FOLDER_MODE = 0o750
FILE_MODE = 0o640
SUMMARY_SUFFIX = "_summary.json"
TIME_NAME = "%Y_%m_%d-%H_%M_%S"
# Results by their names, see `infer.contract.result_files.save`; and folders of results of one canvas.
RESULT_NAME = re.compile(r".+_\d+\.(bin|npy|txt)", re.DOTALL)
CANVAS_NAME = re.compile(r"\d+x\d+")


def result_prefix(output: str, dirname: str | None) -> str:
    """Path of the result folder, joined as ais_bench joins it; without a name the date and time."""
    name = time.strftime(TIME_NAME) if dirname is None else dirname
    return os.path.join(output, name)  # noqa: PTH118 (the summary repeats the user's spelling)


@contextlib.contextmanager
def own_name(output: str) -> Iterator[str]:
    """A result folder of this run alone, named by date and time as by ais_bench; of two in one second one waits.

    Raises:
        ArtifactError: it cannot be created.
    """
    parent = Path(output).absolute()
    made = not parent.exists()
    make_private_folder(parent)
    while True:
        name = time.strftime(TIME_NAME)
        folder = Path(result_prefix(output, name))
        try:
            folder.mkdir(mode=FOLDER_MODE)
            break
        except FileExistsError:
            time.sleep(0.05)
        except OSError as error:
            raise write_error(folder, error) from error
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):  # they hold something
            folder.rmdir()
            if made:
                parent.rmdir()


def summary_path(prefix: str) -> Path:
    """The summary lies beside the result folder, not in it."""
    return Path(prefix + SUMMARY_SUFFIX)


@contextlib.contextmanager
def reserved(prefix: str | None, *, fresh: bool = False) -> Iterator[None]:
    """Hold a result folder against other runs; what an earlier one left beside it, or half written, is removed first.

    Args:
        prefix: the result folder, created if need be; None: nothing is written.
        fresh: results in it are removed too; ais_bench lets them lie.

    Raises:
        ArtifactError: another run writes there, or the folder cannot be created or emptied.
    """
    if prefix is None:
        yield
        return
    folder = Path(prefix)
    make_private_folder(folder.absolute().parent)
    with exclusive(folder, doing="inferring into"):
        make_private_folder(folder)
        remove_records(prefix)
        if fresh:
            remove_results(prefix)
        yield


def require_apart(prefix: str, entries: Sequence[str]) -> None:
    """Refuse to write results among bins, where the next run would take them for inputs.

    A folder below the bins will do: neither ais_bench nor `infer` looks into it.

    Args:
        prefix: the result folder, there or not; links, `..` and letter case may hide what it leads to.
        entries: folders and files of the input.

    Raises:
        ArtifactError: names both.
    """
    target = os.path.realpath(prefix)
    if not Path(target).is_dir():
        return
    for entry in entries:
        folder = Path(entry) if Path(entry).is_dir() else Path(entry).parent
        if folder.is_dir() and folder.samefile(target):
            raise ArtifactError(
                f"{prefix} leads to the input {folder}: its results would lie among the bins and be read as inputs by "
                "the next run; give another --output or --output_dirname"
            )
    if any(os.path.lexists(Path(target) / name) for name in (MANIFEST_NAME, UNFINISHED_NAME)):
        raise ArtifactError(f"{prefix} holds bins, no place for results; give another --output or --output_dirname")


def remove_records(prefix: str) -> None:
    """Remove an earlier summary and origin, so that an interrupted run never looks complete or like another one.

    Raises:
        ArtifactError: one cannot be removed.
    """
    for path in (summary_path(prefix), origin_path(Path(prefix))):
        remove_unfinished(path)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise write_error(path, error) from error


def remove_results(prefix: str) -> None:
    """Remove results of earlier runs, whole or interrupted ones, by their names; anything else stays.

    Raises:
        ArtifactError: one cannot be removed.
    """
    for entry in sorted(Path(prefix).iterdir()):
        try:
            if entry.is_dir() and not entry.is_symlink():
                if CANVAS_NAME.fullmatch(entry.name):
                    remove_results(str(entry))
                    remove_records(str(entry))
                    with contextlib.suppress(OSError):  # something else is in it
                        entry.rmdir()
            elif RESULT_NAME.fullmatch(entry.name):
                entry.unlink()
        except OSError as error:
            raise write_error(entry, error) from error


def make_private_folder(folder: Path) -> None:
    """Create a folder and its missing parents with mode 0750, which ais_bench demands of folders it writes to."""
    for part in (*reversed(folder.parents), folder):
        try:
            part.mkdir(mode=FOLDER_MODE)
        except FileExistsError as error:
            if not part.is_dir():
                raise ArtifactError(
                    f"cannot create {folder}: {part} is no folder; remove it, or give another --output"
                ) from error
        except OSError as error:
            if part.is_dir():  # the root, or a read-only mount on the way
                continue
            raise write_error(part, error) from error
