"""An error while a file is written, in one line with the next step."""

import errno
from pathlib import Path

from detector.errors import ArtifactError


def write_error(path: Path, error: OSError) -> ArtifactError:
    """What went wrong while writing `path`, with the next step."""
    reason = error.strerror or type(error).__name__
    hint = _HINTS.get(error.errno or 0)
    return ArtifactError(f"cannot write {path}: {reason}" + (f"; {hint}" if hint else ""))


_SPACE = "free some space and run the command again"
_IN_THE_WAY = "something on that path is no folder: remove it, or give another path"
_HINTS = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EFBIG: "raise `ulimit -f` and run the command again",
    errno.EISDIR: "remove that folder and run the command again",
    errno.ELOOP: "remove that link and run the command again",
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
    errno.EACCES: "have its permissions changed, or give another path",
    errno.EPERM: "have its permissions changed, or give another path",
    errno.ENOENT: "give another path",
    errno.EROFS: "give a path on a disk that can be written",
    errno.EINVAL: "give another path",
    errno.ENAMETOOLONG: "give a shorter path",
}
