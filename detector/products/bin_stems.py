"""Names of bins: what ais_bench keeps of them, and one for each image."""

import hashlib
import os
import re
from collections.abc import Iterable


def stem_of(file_name: str) -> str:
    """The part of a bin's name that ais_bench keeps for its outputs: everything before the first dot."""
    return os.path.basename(file_name).split(".")[0]


def unique_stems(names: Iterable[str]) -> list[str]:
    """One bin stem per image file name, collision-free and legal for ais_bench.

    ais_bench cuts a stem at the first dot (`a.b.bin` gives `a_0.bin`) and refuses blanks and non-ASCII characters in
    paths. Such characters become `_`; a name that had to change, or whose stem is taken, gets sixteen hex digits of its
    SHA-256 (all names of a folder may be Chinese, so that nothing but the digits tells 100,000 of them apart).
    A plain name (`000000000139.jpg`) keeps its stem, so that bins are named as in the published guide.
    """
    stems: list[str] = []
    names = list(names)
    plain = {name: _plain_stem(name) for name in names}
    # ais_bench sorts case-insensitively and some file systems fold case: stems must differ in more than case.
    counts: dict[str, int] = {}
    for stem in plain.values():
        counts[stem.lower()] = counts.get(stem.lower(), 0) + 1
    for name in names:
        stem = plain[name]
        # A name that already looks like ours could be met by one that we make; a long one leaves no room for `_0.bin`.
        changed = stem != os.path.splitext(name)[0] or len(stem) > 200 or re.search("-[0-9a-f]{16}$", stem.lower())
        if changed or counts[stem.lower()] > 1:
            stem = f"{stem[:200]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
        stems.append(stem)
    return stems


def _plain_stem(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "_", os.path.splitext(name)[0])
