"""What ais_bench would refuse about paths, found before it starts and told with the command that mends it.

The rules are those of docs/facts/ais_bench.md, section 2. Only the last part of a path is looked at, as ais_bench does:
a link or an open folder further up does not matter to it. Standard library only: `python -m infer doctor` uses it where
packages are missing.
"""

import os
import re
import shlex
import stat
from pathlib import Path

from detector.errors import ArtifactError
from infer.contract.options import Options

# Letters that a path may have, its length and that of one of its names.
ILLEGAL = re.compile(r"[^_A-Za-z0-9/.-]")
PATH_MAX, NAME_MAX = 4096, 255
# Permissions that make ais_bench refuse: of what it reads (over 0755), of a folder that it writes to (over 0750).
READ_REFUSED = stat.S_IWGRP | stat.S_IWOTH
WRITE_REFUSED = READ_REFUSED | stat.S_IROTH | stat.S_IXOTH
GIGABYTE = 1024**3
MODEL_MAX, BIN_MAX, ACL_JSON_MAX, AIPP_CONFIG_MAX = 10 * GIGABYTE, 4 * GIGABYTE, 8 * 1024, 12_800


class RefusedPathError(ArtifactError):
    """A path that ais_bench refuses while it reads its command line: a usage error, as there."""

    exit_code = 2


def check_paths(options: Options) -> None:
    """Refuse paths that ais_bench would refuse, with its exit code and the command that mends it.

    Raises:
        RefusedPathError: a path of the command line (exit 2).
        ArtifactError: something in an input or result folder, which ais_bench finds while it runs (exit 1).
    """
    limits = {options.model: MODEL_MAX, options.acl_json_path: ACL_JSON_MAX, options.aipp_config: AIPP_CONFIG_MAX}
    for path, limit in limits.items():
        if path is not None:
            _refuse(read_problem(path, limit=limit), RefusedPathError)
    check_inputs(options.input.split(",") if options.input else [])
    if options.output is not None:
        check_output(options.output, options.output_dirname)


def read_problem(path: str, *, limit: int | None = None) -> str | None:
    """Why ais_bench would not read a file or folder, with the command that mends it; None if it would.

    Args:
        path: as ais_bench gets it.
        limit: largest size of a file in bytes.
    """
    if problem := _name_problem(path):
        return problem
    found = _stat(path)
    if found is None:
        return f"{path} does not exist"
    if problem := _owner_problem(path, found):
        return problem
    if found.st_mode & READ_REFUSED:
        return (
            f"{path} has mode {_mode(found)}, ais_bench reads only what group and others cannot write: "
            f"run `chmod go-w {shlex.quote(path)}`{_umask_hint()}"
        )
    if not os.access(_absolute(path), os.R_OK) or not found.st_mode & stat.S_IRUSR:
        return f"{path} has mode {_mode(found)} and cannot be read: run `chmod u+r {shlex.quote(path)}`"
    if limit is not None and stat.S_ISREG(found.st_mode) and found.st_size > limit:
        return f"{path} has {found.st_size} bytes, ais_bench reads at most {limit}"
    return None


def write_problem(path: str) -> str | None:
    """Why ais_bench would not write to a folder, with the command that mends it; None if it would.

    A folder that does not exist yet is no problem: it is created with mode 0750.
    """
    if problem := _name_problem(path):
        return problem
    found = _stat(path)
    if found is None:
        return _parent_problem(path)
    if not stat.S_ISDIR(found.st_mode):
        return f"{path} is a file: ais_bench writes to a folder of that name, give another one or move the file"
    if problem := _owner_problem(path, found):
        return problem
    if found.st_mode & WRITE_REFUSED:
        return (
            f"{path} has mode {_mode(found)}, ais_bench writes only to 0750 or less: "
            f"run `chmod 750 {shlex.quote(path)}`, or give --output a folder that does not exist yet"
        )
    if not os.access(_absolute(path), os.W_OK):
        return f"{path} has mode {_mode(found)} and cannot be written to: run `chmod u+w {shlex.quote(path)}`"
    return None


def umask() -> int:
    """The mask of this process, which tells it only when another one is set."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def umask_problem() -> str | None:
    """Why files and folders made now could not be used by their maker; None if they could."""
    mask = umask()
    if mask & stat.S_IRWXU:
        return f"umask {mask:04o} takes rights from the owner: ais_bench could not use its folders; run `umask 0027`"
    return None


def check_inputs(entries: list[str]) -> None:
    """Refuse input that ais_bench would refuse, some of it only in the middle of a run.

    Args:
        entries: of --input. Of a folder everything in it is looked at, folders and files of other kinds too, as
            ais_bench does.

    Raises:
        ArtifactError: names the first such path, and how many there are if one command mends them all.
    """
    for entry in filter(None, entries):
        _refuse(read_problem(entry, limit=BIN_MAX), RefusedPathError)
        if Path(entry).is_dir():
            _check_folder(entry)


def check_output(output: str, dirname: str | None) -> None:
    """Refuse an output folder that ais_bench would refuse.

    Args:
        output: of --output.
        dirname: of --output_dirname, or None.

    Raises:
        ArtifactError: names the folder.
    """
    _refuse(umask_problem())
    _refuse(write_problem(output), RefusedPathError)
    if dirname is None:
        return
    problem = write_problem(dirname)
    if problem:
        # The trap: the tool checks the bare name as a path of its own, from the working directory.
        where = f" (ais_bench looks at {dirname!r} in the working directory {Path.cwd()}, wherever --output points)"
        raise RefusedPathError(problem + where)
    result = os.path.join(output, dirname)  # noqa: PTH118 (as ais_bench joins it)
    if Path(result).exists():
        _refuse(read_problem(result))
        _check_owned(result)


def _refuse(problem: str | None, kind: type[ArtifactError] = ArtifactError) -> None:
    if problem:
        raise kind(problem)


def _check_folder(folder: str) -> None:
    """Everything directly in a folder; one chmod mends all files that are too open."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    open_ones = [entry.path for entry in entries if not entry.is_symlink() and entry.stat().st_mode & READ_REFUSED]
    if len(open_ones) > 1:
        raise ArtifactError(
            f"{open_ones[0]} and {len(open_ones) - 1} more in {folder} can be written by group or others, ais_bench "
            f"refuses to read them: run `chmod -R go-w {shlex.quote(folder)}`{_umask_hint()}"
        )
    for entry in entries:
        _refuse(read_problem(entry.path, limit=BIN_MAX))


def _check_owned(folder: str) -> None:
    """ais_bench replaces files of an earlier run only if they are the user's own."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file() and entry.stat().st_uid != os.geteuid():
                raise ArtifactError(
                    f"{entry.path} belongs to user {entry.stat().st_uid}, ais_bench replaces only your own files: "
                    "remove it or give another --output_dirname"
                )


def _name_problem(path: str) -> str | None:
    absolute = _absolute(path)
    bad = ILLEGAL.search(absolute)
    if bad:
        return (
            f"{absolute} has {bad[0]!r} in it, ais_bench takes only A-Z a-z 0-9 _ - / . anywhere in the absolute path: "
            "rename it, or work in another folder"
        )
    if len(absolute) > PATH_MAX or any(len(name) > NAME_MAX for name in absolute.split("/")):
        return f"{absolute[:80]}... is too long: at most {PATH_MAX} characters, {NAME_MAX} in one name"
    link = Path(absolute)
    if link.is_symlink() and link.exists():
        return f"{path} is a symbolic link, which ais_bench refuses: give {link.resolve()}"
    return None


def _owner_problem(path: str, found: os.stat_result) -> str | None:
    if found.st_uid == os.geteuid() or found.st_gid in os.getgroups():
        return None
    return (
        f"{path} belongs to user {found.st_uid} and group {found.st_gid}, you are user {os.geteuid()}: ais_bench wants "
        f"its owner or a member of the group; run `sudo chown {os.geteuid()} {shlex.quote(path)}` or copy it"
    )


def _parent_problem(path: str) -> str | None:
    parent = next(parent for parent in Path(_absolute(path)).parents if parent.exists())
    if not parent.is_dir():
        return f"{path} cannot be created: {parent} is a file"
    return None if os.access(parent, os.W_OK | os.X_OK) else f"{path} cannot be created: {parent} cannot be written to"


def _absolute(path: str) -> str:
    """As ais_bench makes it: `a/..` is gone, whether or not there is an `a`."""
    return os.path.abspath(path)  # noqa: PTH100 (Path.absolute keeps `..`)


def _stat(path: str) -> os.stat_result | None:
    try:
        return Path(_absolute(path)).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _mode(found: os.stat_result) -> str:
    return f"{stat.S_IMODE(found.st_mode):04o}"


def _umask_hint() -> str:
    mask = umask()
    if mask & READ_REFUSED == READ_REFUSED:
        return ""
    return f" (your umask {mask:04o} makes such files; `umask 0027` does not)"
