"""The folder that bins go to: what may lie in it, what is replaced, and whether the new bins fit."""

import contextlib
import logging
import os
import shutil
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import pydantic
from pydantic import Field

from detector.errors import ArtifactError
from detector.files.atomic import make_folder, write_text
from detector.files.bounds import MANIFEST_BYTES
from detector.files.regular import read_bytes
from detector.files.write_error import write_error
from detector.products.bins_manifest import MANIFEST_NAME, UNFINISHED_NAME
from detector.products.manifest_files import canvas_folders, read_manifest

logger = logging.getLogger(__name__)

# What ais_bench takes for inputs when it is given a folder (its io_operations.py).
INPUT_SUFFIXES = (".bin", ".BIN", ".npy", ".NPY")

_BinName = Annotated[str, Field(pattern=r"^([0-9]+x[0-9]+/)?[A-Za-z0-9_-]{1,240}\.bin$", max_length=300)]


class Unfinished(pydantic.BaseModel):
    """What a run may write, recorded while it writes: after a kill the next run knows what is its to remove."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal["omline-unfinished-1"] = "omline-unfinished-1"
    names: Annotated[tuple[_BinName, ...], pydantic.FailFast()]


def prepare_output(folder: Path, names: Sequence[str], *, needed: int) -> None:
    """Make the folder ready for the named bins, and the folders of single canvases that the names lead to.

    The manifest of an earlier run goes first, then the bins that it lists, bins that an unfinished run left, bins of
    the same names, and unfinished files: all below the folder, links themselves and not what they lead to, no folders.
    Nothing is removed unless the new bins may be written.

    Args:
        folder: created if it is not there.
        names: files that may be written, relative to it: `a.bin`, or `800x1344/a.bin` where there are several canvases.
        needed: bytes that will be written.

    Raises:
        ArtifactError: the folder holds bins of other origin, the new ones do not fit on the disk, or the folder cannot
            be written.
    """
    old, wanted = _old_names(folder), set(names)
    folders = _folders({*old, *wanted})
    present = set().union(*(_listing(folder, name) for name in folders))
    _require_no_folder(folder, [*present & wanted, *_records(folders)])
    replaced = sorted(name for name in present & (old | wanted) if not _is_folder(folder / name))
    foreign = sorted(name for name in present.difference(replaced) if name.endswith(INPUT_SUFFIXES))
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ArtifactError(
            f"{folder} holds {foreign[0]}{more}, which this run did not make and inference would read as inputs; "
            f"remove such files or give another --bin_file_path"
        )
    _check_space(folder, needed=needed, freed=[folder / name for name in replaced])
    make_folder(folder)
    _warn_if_group_writable(folder)
    _remove(folder, replaced, folders)
    for name in _folders(wanted):
        make_folder(folder / name)


@contextlib.contextmanager
def taken_back_on_failure(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Remove the manifest and the named bins if the block fails or is interrupted.

    ais_bench knows no manifests: it would measure whatever part of the bins a failed run left. A run that is killed
    leaves a record of the names for `prepare_output`.
    """
    finished = False
    try:
        write_text(folder / UNFINISHED_NAME, Unfinished(names=tuple(names)).model_dump_json() + "\n")
        yield
        (folder / UNFINISHED_NAME).unlink()
        finished = True
    finally:
        if not finished:
            with contextlib.suppress(OSError):  # the first error is the one to report
                _remove(folder, names, _folders(names))


def drop_empty_folders(folder: Path, names: Sequence[str]) -> None:
    """Remove the folders of canvases that no image was placed on, among those that the names lead to."""
    for name in _folders(names) - {""}:
        with contextlib.suppress(OSError):  # not empty, or never made
            (folder / name).rmdir()


def _folders(names: Iterable[str]) -> set[str]:
    """The folder itself, "", and those that the names lead to."""
    return {"", *map(os.path.dirname, names)}


def _records(folders: Iterable[str]) -> list[str]:
    return [UNFINISHED_NAME, *(os.path.join(name, MANIFEST_NAME) for name in folders)]  # noqa: PTH118 (relative names)


def _require_no_folder(folder: Path, names: Iterable[str]) -> None:
    """What may lie in a folder is not ours to remove, whatever its name."""
    for name in names:
        if _is_folder(folder / name):
            raise ArtifactError(
                f"{folder / name} is a folder where a file is to be written; remove it or give another --bin_file_path"
            )


def _remove(folder: Path, names: Sequence[str], folders: Collection[str]) -> None:
    for name in sorted(folders):  # the manifest of the whole first
        (folder / name / MANIFEST_NAME).unlink(missing_ok=True)
    for name in names:
        (folder / name).unlink(missing_ok=True)
    for name in folders:
        # What `detector.files.atomic.atomic_file` was writing when its process was killed.
        unfinished = [file for file in _listing(folder, name) if _is_unfinished(folder / file)]
        for file in unfinished:
            (folder / file).unlink(missing_ok=True)
    (folder / UNFINISHED_NAME).unlink(missing_ok=True)  # last, as what it lists is gone
    drop_empty_folders(folder, [f"{name}/" for name in folders])


def _is_unfinished(file: Path) -> bool:
    return file.name.startswith(".") and file.name.endswith(".part") and _is_file(file)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_file(path: Path) -> bool:
    """Whether it is a regular file itself, no link to one: what we write never is."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _listing(folder: Path, name: str) -> set[str]:
    """What lies in `folder/name`, relative to `folder`; nothing if it is not there."""
    if name and (folder / name).is_symlink():
        raise ArtifactError(
            f"{folder / name} is a link: bins are replaced only in {folder} itself; remove the link or give another "
            "--bin_file_path"
        )
    try:
        return {str(path.relative_to(folder)) for path in (folder / name).iterdir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise write_error(folder / name, error) from error


def _old_names(folder: Path) -> set[str]:
    """The bins that the manifests of an earlier run list, or that a run that was killed may have written.

    The folder of a canvas may have been removed since.
    """
    names: set[str] = set()
    try:
        for name in canvas_folders(folder) or ("",):
            if (folder / name / MANIFEST_NAME).is_file():  # anything else of that name lists nothing
                names.update(bin_name(name, image.stem) for image in read_manifest(folder / name).images)
    except ArtifactError as error:
        raise _unknown(folder, MANIFEST_NAME, str(error)) from error
    return names.union(_unfinished_names(folder))


def _unfinished_names(folder: Path) -> Sequence[str]:
    try:
        if not _is_file(folder / UNFINISHED_NAME):
            return ()
        return Unfinished.model_validate_json(read_bytes(folder / UNFINISHED_NAME, MANIFEST_BYTES)).names
    except pydantic.ValidationError as error:
        raise _unknown(folder, UNFINISHED_NAME, str(error.errors(include_url=False)[0]["msg"])) from error


def _unknown(folder: Path, name: str, reason: str) -> ArtifactError:
    return ArtifactError(
        f"{folder / name} is not a manifest of this version, so what may be replaced in {folder} is unknown; "
        f"remove the folder or give another --bin_file_path ({reason})"
    )


def bin_name(folder: str, stem: str) -> str:
    """A bin's name relative to the folder of bins, given the name of its canvas's folder ("": the folder itself)."""
    return f"{folder}/{stem}.bin" if folder else f"{stem}.bin"


def _check_space(folder: Path, *, needed: int, freed: Sequence[Path]) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    available = shutil.disk_usage(existing).free + sum(path.lstat().st_size for path in freed)
    if needed > available:
        raise ArtifactError(
            f"{folder}: the bins need {needed:,} bytes, the disk has {available:,} free; "
            f"free some space, give a --bin_file_path on another disk, or fewer images (--limit)"
        )


def _warn_if_group_writable(folder: Path) -> None:
    if folder.stat().st_mode & 0o022:
        logger.warning("%s can be written by others, which ais_bench refuses: chmod go-w it before inference", folder)
