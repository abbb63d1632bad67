"""The folder that bins go to: what may lie in it, what is replaced, and whether the new bins fit."""

import contextlib
import logging
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from detector.artifacts import MANIFEST_NAME, BinImage, make_folder, read_manifest, write_error
from detector.errors import ArtifactError

logger = logging.getLogger(__name__)

# What ais_bench takes for inputs when it is given a folder (its io_operations.py).
INPUT_SUFFIXES = (".bin", ".BIN", ".npy", ".NPY")


def prepare_output(folder: Path, names: Sequence[str], *, bytes_each: int) -> None:
    """Make the folder ready for the named bins.

    The manifest of an earlier run goes first, then the bins that it lists, bins of the same names that an unfinished
    run left, and unfinished files. Nothing is removed unless the new bins may be written.

    Args:
        folder: created if it is not there.
        names: files about to be written.
        bytes_each: size of every one of them.

    Raises:
        ArtifactError: the folder holds bins of other origin, the new ones do not fit on the disk, or the folder cannot
            be written.
    """
    present = _listing(folder)
    old = {f"{image.stem}.bin" for image in _old_images(folder)}
    replaced = sorted(present & (old | set(names)))
    foreign = sorted(name for name in present - old - set(names) if name.endswith(INPUT_SUFFIXES))
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ArtifactError(
            f"{folder} holds {foreign[0]}{more}, which this run did not make and inference would read as inputs; "
            f"remove such files or give another --bin_file_path"
        )
    _check_space(folder, needed=len(names) * bytes_each, freed=[folder / name for name in replaced])
    make_folder(folder)
    _warn_if_group_writable(folder)
    _remove(folder, replaced)


@contextlib.contextmanager
def taken_back_on_failure(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Remove the manifest and the named bins if the block fails or is interrupted.

    ais_bench knows no manifests: it would measure whatever part of the bins a failed run left.
    """
    finished = False
    try:
        yield
        finished = True
    finally:
        if not finished:
            with contextlib.suppress(OSError):  # the first error is the one to report
                _remove(folder, names)


def _remove(folder: Path, names: Sequence[str]) -> None:
    (folder / MANIFEST_NAME).unlink(missing_ok=True)
    # What `detector.artifacts.atomic_file` was writing when its process was killed.
    unfinished = [path.name for path in folder.iterdir() if path.name.startswith(".") and path.name.endswith(".part")]
    for name in [*names, *unfinished]:
        (folder / name).unlink(missing_ok=True)


def _listing(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise write_error(folder, error) from error


def _old_images(folder: Path) -> tuple[BinImage, ...]:
    path = folder / MANIFEST_NAME
    if not path.exists():
        return ()
    try:
        return read_manifest(path).images
    except ArtifactError as error:
        raise ArtifactError(
            f"{path} is not a manifest of this version, so what may be replaced in {folder} is unknown; "
            f"remove the folder or give another --bin_file_path"
        ) from error


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
