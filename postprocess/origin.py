"""Results are scored only with the bins and the weights that they come from, as far as inference recorded them."""

import logging
from pathlib import Path

from detector.errors import ArtifactError
from detector.origin import find_origin, origin_path
from detector.spec import DetectorSpec

log = logging.getLogger(__name__)


def require_origin(results: Path, spec: DetectorSpec) -> None:
    """The record beside a result folder must name the bins, and the weights if both sides know them, of a spec.

    Args:
        results: the result folder.
        spec: of the bins' manifest, or the one that stands for it.

    Raises:
        ArtifactError: the record is damaged, or says others.
    """
    path, origin = origin_path(results), find_origin(results)
    if origin is None or origin.bins_fingerprint is None:
        reason = f"{path} not found" if origin is None else f"{path}: the bins had no manifest"
        log.info("%s: the results cannot be bound to the bins", reason)
    elif origin.bins_fingerprint != spec.bins_fingerprint():
        raise ArtifactError(
            f"{path}: the results come from bins {origin.bins_fingerprint} (canvas {origin.canvas}), expected "
            f"{spec.bins_fingerprint()} (canvas {spec.canvas}) of the manifest or model given: another canvas or "
            "recipe; give the manifest of the bins that were inferred, or run inference again on these "
            "(make infer AGAIN=1)"
        )
    if origin is None:
        return
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
