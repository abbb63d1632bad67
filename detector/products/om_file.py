"""An OM and the SHA-256 that was noted of it when it was built: what was swapped or cut short since is refused.

`convert` notes it in `<om>.json`, the script for a host with CANN in `<om>.sha256`, as `sha256sum` writes it, with that
of the graph behind it: `<om>.json` describes the same graph, or it is another model's. `<om>.json` has a digest of its
own content too, but for those of earlier versions.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detector.errors import ArtifactError
from detector.files.atomic import write_json
from detector.files.bounds import SMALL_BYTES
from detector.files.digest import digest_of, sha256_of
from detector.files.json_text import JsonError, read_json
from detector.files.regular import read_bytes
from detector.products.again import BUILD_AGAIN

KEY = "om_sha256"
GRAPH_KEY = "graph_sha256"  # of the .atc.onnx
DIGEST = "description_sha256"  # of everything else that describes an OM


def write_description(path: Path, facts: Mapping[str, Any]) -> None:
    """Write what stands beside an OM, with its digest."""
    write_json(path, {**facts, DIGEST: digest_of(facts, key=DIGEST)})


def require_as_built(om: Path) -> None:
    """Compare an OM with what was noted of it; nothing was if atc ran by hand.

    Raises:
        ArtifactError: it is another file than was built, or what describes it is another model's or was changed.
    """
    described = _described(om)
    if DIGEST in described and described[DIGEST] != digest_of(described, key=DIGEST):
        raise ArtifactError(
            f"{om}.json is not as convert wrote it (its SHA-256 is another): changed since; {BUILD_AGAIN}"
        )
    noted = noted_sha256(om)
    if noted is None or not om.exists():
        return
    listed, graph = _listed(om) or [], described.get(GRAPH_KEY)
    built = listed[2] if len(listed) > 2 else None  # of the graph, by the script that built the OM
    if None not in (built, graph) and built != graph:
        raise ArtifactError(
            f"{om}.json describes the graph with SHA-256 {str(graph)[:16]}…, {om} was built from "
            f"{str(built)[:16]}… ({om}.sha256): it is another model's; copy it again with the script that built the OM"
        )
    found = sha256_of(om)
    if found != noted:
        raise ArtifactError(
            f"{om} is not the file that was built: SHA-256 {found[:16]}…, noted {noted[:16]}…; {BUILD_AGAIN}"
        )


def unbound(om: Path) -> str | None:
    """What departs where the description of an OM has no digest of its own; None: it has one."""
    if DIGEST in _described(om):
        return None
    return (
        f"{om.name}.json carries no SHA-256 of its content ({DIGEST}): whether it was changed after it was made cannot "
        "be told"
    )


def noted_sha256(om: Path) -> str | None:
    """The SHA-256 that was noted of an OM; that of the script is the newer one.

    Raises:
        ArtifactError: a file beside it is damaged.
    """
    listed = _listed(om)
    if listed is not None:
        return _hex(listed[:1], Path(f"{om}.sha256"))
    noted = _described(om).get(KEY)
    return None if noted is None else _hex([noted], Path(f"{om}.json"))


def _listed(om: Path) -> list[str] | None:
    """The words of `<om>.sha256`: digest and name by turns; None: there is none."""
    try:
        return read_bytes(Path(f"{om}.sha256"), SMALL_BYTES).decode("ascii", "replace").split()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(om, error) from error


def _described(om: Path) -> dict[str, Any]:
    """The content of `<om>.json`; empty: there is none."""
    try:
        document = read_json(Path(f"{om}.json"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(om, error) from error
    except JsonError as error:
        raise ArtifactError(f"{om}.json is {error}; build the OM again (make om AGAIN=1)") from error
    return document if isinstance(document, dict) else {}


def _unreadable(om: Path, error: OSError) -> ArtifactError:
    return ArtifactError(f"cannot read what is beside {om}: {error.filename}: {error.strerror}")


def _hex(words: Sequence[object], file: Path) -> str:
    text = words[0] if words else ""
    if not isinstance(text, str) or not re.fullmatch(r"[0-9a-f]{64}", text):
        raise ArtifactError(f"{file} has no SHA-256 of the OM: build it again (make om AGAIN=1)")
    return text
