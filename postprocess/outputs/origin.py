"""Results are scored only with the bins, weights and classes that they come from, as far as inference recorded them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.errors import ArtifactError
from detector.files.digest import sha256_of
from detector.products.bins_manifest import BinsManifest
from detector.products.manifest_seal import DIGEST as MANIFEST_DIGEST
from detector.products.results_origin import ModelFile, ResultsOrigin, RunFacts, find_origin, origin_path
from detector.spec import DetectorSpec
from postprocess.rows.oddities import sourced


@dataclass(frozen=True, slots=True)
class Ran:
    """What the results were computed by, as far as inference recorded it."""

    run: RunFacts | None = None
    model: ModelFile | None = None


UNKNOWN = Ran()


def model_of(
    results: Path, manifests: Mapping[str, BinsManifest], model: str | None = None
) -> tuple[DetectorSpec, Ran, list[str]]:
    """The model that gave the results of all canvases, and on what it ran.

    Args:
        results: the result folder, with a folder for each canvas where there are several.
        manifests: by canvas folder, as `detector.products.manifest_files.read_manifests`.
        model: name or file that the user gives as the model, or None.

    Returns:
        The spec with the precision that the model computes with, which the bins do not know; what ran; and what is not
        recorded or differs, one line each, with its source.

    Raises:
        ArtifactError: the results of the canvases are of different models or precisions, or of a file of the given
            one's name with another content.
    """
    spec = next(iter(manifests.values())).spec
    origins = {results / name: find_origin(results / name) for name in manifests}
    precisions = {folder: origin.precision if origin else spec.precision for folder, origin in origins.items()}
    models = {folder: origin and origin.model.sha256 for folder, origin in origins.items()}
    for what, found in (("precisions", precisions), ("models", models)):
        if len(set(found.values())) > 1:
            told = ", ".join(f"{folder}: {value or 'float32'}" for folder, value in found.items())
            raise ArtifactError(
                f"the results are of different {what} ({told}); run inference again (make infer AGAIN=1)"
            )
    for folder, each in origins.items():
        _refuse_another_build(folder, each, model)
    origin = next(iter(origins.values()))
    ran = Ran(origin.run, origin.model) if origin else Ran()
    bins, lines = spec, _another_file(origin, model)
    if origin is not None and model is None:
        spec, lines = _own_facts(spec, origin)
        lines = [*sourced(str(origin_path(next(iter(origins)))), lines)]
    if origin is None and model is None and spec.references:
        lines += sourced(str(origin_path(next(iter(origins)))), [_unnamed(spec, "these gave the results")])
        spec = spec.model_copy(update={"references": ()})
    spec = spec.model_copy(update={"precision": next(iter(precisions.values()))})
    for (folder, each), manifest in zip(origins.items(), manifests.values(), strict=True):
        lines += sourced(str(origin_path(folder)), _unbound(each, bins, manifest))
    return spec, ran, lines


# What a model brings along itself, whatever model its bins were made for. Names of classes may have been changed to fit
# the annotations: those of the bins' spec hold, in the same order.
_OWN = ("name", "decode", "label_order", "references", "departures")


def _own_facts(bins: DetectorSpec, origin: ResultsOrigin) -> tuple[DetectorSpec, list[str]]:
    """The bins' spec with what the model that was run says of itself, and what differs, one line each."""
    lines = []
    if bins.checkpoint and origin.checkpoint is None:
        lines.append(_unnamed(bins, f"{origin.model.file} was made from them"))
    spec = bins.model_copy(update={"checkpoint": origin.checkpoint})
    if origin.spec is None:
        return spec, lines
    own = {key: getattr(origin.spec, key) for key in _OWN}
    differ = [key for key in _OWN if own[key] != getattr(bins, key)]
    if differ:
        lines.append(
            f"the bins were made for {bins.name}, the model that was run is {origin.spec.name} ({origin.model.file}), "
            f"whose {', '.join(differ)} differ: its own are taken"
        )
    return spec.model_copy(update=own), lines


def _unnamed(bins: DetectorSpec, unrecorded: str) -> str:
    """Why no reference AP is named, though the bins' spec names weights."""
    file = bins.checkpoint.file if bins.checkpoint else ""
    return (
        f"the bins were made for {bins.name} of the weights {file}; that {unrecorded} is not recorded, so that no "
        "reference AP is named (--model says which model it is)"
    )


def _refuse_another_build(folder: Path, origin: ResultsOrigin | None, model: str | None) -> None:
    """A model that was made again has other results. One of another name may be the export that it was made from."""
    if origin is None or model is None or Path(model).name != Path(origin.model.file).name or not Path(model).is_file():
        return
    digest = sha256_of(Path(model))
    if digest != origin.model.sha256:
        raise ArtifactError(
            f"{origin_path(folder)}: the results come from {origin.model.file} with the sha256 "
            f"{origin.model.sha256[:12]}, {model} has {digest[:12]}: it was made again since; run inference again "
            "(make infer AGAIN=1)"
        )


def _another_file(origin: ResultsOrigin | None, model: str | None) -> list[str]:
    """A line where the model given is not the one that was run, as the export is not that it was made from."""
    if origin is None or model is None or Path(model).suffix.lower() not in (".onnx", ".om"):
        return []
    if not Path(model).is_file() or sha256_of(Path(model)) == origin.model.sha256:
        return []
    return [
        f"--model {model} is not the file that was run ({origin.model.file}): it is taken for what that was made from"
    ]


def _unbound(origin: ResultsOrigin | None, spec: DetectorSpec, manifest: BinsManifest) -> list[str]:
    """What cannot be checked for want of a record, and what differs but may."""
    if origin is None:
        return ["not found: the results cannot be bound to the bins and the model"]
    lines = []
    if origin.origin_sha256 is None:
        lines.append("no digest of its own (an earlier version's): whether it was changed since is not checked")
    if origin.bins_fingerprint is None:
        lines.append("the bins had no manifest, the results cannot be bound to them")
    if origin.results is None:
        lines.append("no digests of the results (an earlier version's): their content is not checked")
    if not manifest.is_bound:
        lines.append(
            f"the bins' manifest has no digest of its own ({MANIFEST_DIGEST}; an earlier version's, or taken off): "
            "whether it was changed before inference is not checked"
        )
    if origin.bins_fingerprint and manifest.file_sha256 and origin.manifest_sha256 is None:
        lines.append(
            "no digest of the bins' manifest (an earlier version's, or of several manifests): whether the bins were "
            "preprocessed again since is not checked"
        )
    # Of another number of classes, `require_origin` refuses the results when they are read.
    pairs = zip(origin.classes or spec.classes, spec.classes, strict=False)
    renamed = [pair for pair in pairs if pair[0] != pair[1]]
    if renamed:
        lines.append(
            f"{len(renamed)} classes have other names than in the model that was run (the first: {renamed[0][1]!r}, "
            f"there {renamed[0][0]!r})"
        )
    return lines


def _refuse_other_classes(path: Path, theirs: Sequence[str], ours: Sequence[str], model: str) -> None:
    """Classes may have been renamed, to fit the annotations, but not reordered.

    Raises:
        ArtifactError: another number of classes, or a name at another place.
    """
    advice = "give that model with --model, or run inference again (make infer AGAIN=1)"
    if len(theirs) != len(ours):
        raise ArtifactError(f"{path}: {model} has {len(theirs)} classes, expected {len(ours)}; {advice}")
    places = {name: label for label, name in enumerate(theirs)}
    for label, name in enumerate(ours):
        if places.get(name, label) != label:
            raise ArtifactError(
                f"{path}: {model} has the class {name!r} at label {places[name]}, expected at {label}: another "
                f"order of classes; {advice}"
            )


def require_origin(results: Path, spec: DetectorSpec, manifest_sha256: str | None = None) -> ResultsOrigin | None:
    """The record beside a result folder must name a spec's bins, and its weights and classes if both sides know them.

    Args:
        results: the result folder.
        spec: of the bins' manifest, or the one that stands for it.
        manifest_sha256: of the file of that manifest; None: there is none.

    Returns:
        The record, or None if there is none (ais_bench run by hand).

    Raises:
        ArtifactError: the record is damaged, or says others.
    """
    path, origin = origin_path(results), find_origin(results)
    if origin is None:
        return None
    if origin.bins_fingerprint not in (None, spec.bins_fingerprint()):
        raise ArtifactError(
            f"{path}: the results come from bins {origin.bins_fingerprint} (canvas {origin.canvas}), expected "
            f"{spec.bins_fingerprint()} (canvas {spec.canvas}) of the manifest or model given: another canvas or "
            "recipe; give the manifest of the bins that were inferred, or run inference again on these "
            "(make infer AGAIN=1)"
        )
    if origin.canvas not in (None, spec.canvas):
        raise ArtifactError(
            f"{path}: the model that gave the results has the canvas {origin.canvas}, expected {spec.canvas}; "
            "give that model's spec with --model, or run inference again (make infer AGAIN=1)"
        )
    ours, theirs = spec.checkpoint, origin.checkpoint
    if ours and theirs and ours.sha256 != theirs.sha256:
        raise ArtifactError(
            f"{path}: {origin.model.file} was made from the weights {theirs.file} (sha256 {theirs.sha256[:12]}), "
            f"expected {ours.file} ({ours.sha256[:12]}) of {spec.name}; name that model with --model, or run "
            "inference again with this one (make infer AGAIN=1)"
        )
    if origin.classes is not None:
        _refuse_other_classes(path, origin.classes, spec.classes, origin.model.file)
    if None not in (manifest_sha256, origin.manifest_sha256) and manifest_sha256 != origin.manifest_sha256:
        raise ArtifactError(
            f"{path}: the results come from bins whose manifest had the sha256 {str(origin.manifest_sha256)[:12]}, the "
            f"one given has {str(manifest_sha256)[:12]}: the bins were preprocessed again since, or it was edited; run "
            "inference again (make infer AGAIN=1)"
        )
    return origin
