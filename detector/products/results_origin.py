"""Where results come from: which bins, which model, on what it ran; recorded beside a result folder."""

import codecs
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pydantic

from detector.errors import ArtifactError
from detector.files.atomic import write_text
from detector.files.bounds import MANIFEST_BYTES
from detector.files.digest import digest_of
from detector.files.json_text import JsonError, parse_json
from detector.geometry import Size
from detector.products.again import INFER_AGAIN
from detector.products.product_file import read_product
from detector.spec import Checkpoint, DetectorSpec, spec_problem

DIGEST = "origin_sha256"


class ModelFile(pydantic.BaseModel):
    """The model file that was run, as given, and the SHA-256 of its bytes."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: str


class RunFacts(pydantic.BaseModel):
    """On what a model ran.

    Attributes:
        backend: the program that executed it.
        version: of that program; None: not told.
        device: "CPU", or the card as far as it is known, such as "Ascend310P3 device 0".
        batch_size: images of one execution; None: not told.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    backend: Literal["onnxruntime", "ais_bench"]
    version: str | None = None
    device: str
    batch_size: int | None = None


class ResultsOrigin(pydantic.BaseModel):
    """Which bins and which model a result folder comes from, as far as the bins' manifest and the model's spec say.

    It lies beside the folder, which holds exactly what ais_bench writes. None stands for what neither of them says.

    Attributes:
        bins_fingerprint: of the bins' manifest, see `DetectorSpec.bins_fingerprint`.
        manifest_sha256: of the bytes of that manifest; None too where the bins are of several.
        model: what was run.
        checkpoint: of the model's spec.
        classes: of the model's spec, in label order.
        canvas: of the bins.
        precision: of the model's spec.
        spec: the model's; None where it carries none, and in records of earlier versions.
        run: on what it ran.
        results: hex SHA-256 by file name in the result folder.
        origin_sha256: of all the others, see `detector.files.digest`; None in records of earlier versions.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    format: Literal["omline-origin-1"] = "omline-origin-1"
    bins_fingerprint: str | None
    manifest_sha256: str | None = None
    model: ModelFile
    checkpoint: Checkpoint | None
    classes: tuple[str, ...] | None
    canvas: Size | None
    precision: str | None = None
    spec: DetectorSpec | None = None
    run: RunFacts | None = None
    results: Mapping[str, str] | None = None
    origin_sha256: str | None = None


def origin_path(results: Path) -> Path:
    """Where the origin of a result folder is recorded."""
    results = results.absolute()  # `.` has no name to put a file beside
    return results.with_name(f"{results.name}_origin.json")


def write_origin(results: Path, origin: ResultsOrigin, *, mode: int) -> None:
    """Record the origin of a result folder.

    Raises:
        ArtifactError: as `detector.files.atomic.write_text`.
    """
    facts = origin.model_dump()  # not as JSON: pydantic fails at names that are not UTF-8
    text = json.dumps({**facts, DIGEST: digest_of(facts, key=DIGEST)}, indent=1, ensure_ascii=False)
    write_text(origin_path(results), text + "\n", mode=mode)


def find_origin(results: Path) -> ResultsOrigin | None:
    """The origin of a result folder, or None if it was not recorded (ais_bench run by hand).

    Raises:
        ArtifactError: the record is damaged, or was changed since.
    """
    path = origin_path(results)
    try:
        text = read_product(path, MANIFEST_BYTES, again=INFER_AGAIN)
        origin = ResultsOrigin.model_validate_json(text.removeprefix(codecs.BOM_UTF8))
        facts = parse_json(text)
    except FileNotFoundError:
        return None
    except (pydantic.ValidationError, JsonError) as error:
        reason = spec_problem(error) if isinstance(error, pydantic.ValidationError) else str(error)
        raise ArtifactError(f"{path} is not the origin of results: {reason}; {INFER_AGAIN}") from error
    if origin.origin_sha256 not in (None, digest_of(facts, key=DIGEST)):
        raise ArtifactError(f"{path} is not as infer wrote it (its SHA-256 is another): changed since; {INFER_AGAIN}")
    return origin
