"""One export from file to file."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.errors import ArtifactError
from detector.files.atomic import make_folder
from detector.files.digest import sha256_of
from detector.geometry import Size
from detector.images.network_input import to_normalized
from detector.images.read_image import Image, read_image
from detector.onnx_files.read_write import write_onnx
from detector.spec import Checkpoint, DetectorSpec
from detector.spec.settings import Settings
from detector.spec.squeeze import canvas_note
from export.assumptions import named_classes
from export.checkpoints import read_weights
from export.checkpoints.weighing.weights import Weights
from export.network.detector import Detector
from export.resolve import CANVAS_MULTIPLE, resolve_spec
from export.to_onnx import export_onnx
from export.verify import Verification, generated_picture, verify

log = logging.getLogger(__name__)

MIN_CELLS = 5  # of the smallest level's nominal size; below, the exported graph's smallest levels have one cell


@dataclass(frozen=True, slots=True)
class Export:
    """What an export made."""

    onnx_file: Path
    spec: DetectorSpec
    weights: Weights
    verification: Verification | None


def export(
    weights_file: Path,
    onnx_file: Path,
    *,
    settings: Settings | None = None,
    opset: int = 16,
    check: bool = False,
    image: Path | None = None,
    weights_key: str | None = None,
) -> Export:
    """Weights -> canonical ONNX.

    Args:
        weights_file: checkpoint of a training framework.
        onnx_file: product; written last and atomically, after it was verified.
        settings: what the user says about the model; what they leave out comes from the file and its framework.
        opset: of the default domain.
        check: compare torch and onnxruntime before writing.
        image: photograph to compare on; None takes a generated picture.
        weights_key: the key in the file under which the weights lie; None: where they usually are.

    Raises:
        CheckpointError: the file cannot be read or is another detector.
        SpecError: spec and weights contradict each other.
        AccuracyError: the exported graph is not the network.
        ArtifactError: the product cannot be written.
    """
    _require_writable(onnx_file, weights_file)
    settings = settings or Settings({})
    given = settings.document.get("network")
    weights = read_weights(
        weights_file,
        given if isinstance(given, dict) else {},
        weights_key=weights_key,
        class_count=named_classes(settings.document),
    )
    checkpoint = Checkpoint(file=weights_file.name, sha256=sha256_of(weights_file), dialect=weights.dialect)
    resolved = resolve_spec(weights, checkpoint, settings)
    if note := canvas_note(resolved):
        log.warning("%s", note)
    picture = generated_picture() if image is None else read_image(image)
    network = build_network(weights, resolved)
    model = export_onnx(network, resolved, opset=opset)
    verification = None
    if check:
        verification = verify(
            network, model, _tight_input(picture, resolved, MIN_CELLS * 2 ** len(weights.network.strides))[None]
        )
    make_folder(onnx_file.parent)
    write_onnx(onnx_file, model)
    return Export(onnx_file, resolved, weights, verification)


def _require_writable(onnx_file: Path, weights_file: Path) -> None:
    """Refuse a place that cannot be written; an export takes minutes, and this comes before them."""
    if os.path.realpath(onnx_file) == os.path.realpath(weights_file):
        raise ArtifactError(f"--onnx {onnx_file} would overwrite the weights; give another name")
    if onnx_file.is_dir():
        raise ArtifactError(
            f"cannot write {onnx_file}: it is a folder; give a file name such as {onnx_file}/model.onnx"
        )
    existing = next(path for path in onnx_file.absolute().parents if path.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK)):
        raise ArtifactError(f"cannot write {onnx_file}: {existing} is not a folder that you may write to")


def _tight_input(picture: Image, spec: DetectorSpec, least: int) -> NDArray[np.float32]:
    """One picture on the smallest legal canvas (3, height, width): what is compared is the picture, not its padding."""
    resized = spec.letterbox(Size(*picture.shape[:2])).resized
    canvas = Size(*(max(least, -(-side // CANVAS_MULTIPLE) * CANVAS_MULTIPLE) for side in resized))
    return to_normalized(picture, spec.with_canvas(canvas))[0]


def build_network(weights: Weights, spec: DetectorSpec) -> Detector:
    """The native network with its weights, in eval mode."""
    network = Detector(weights.network, spec.decode, weights.tensors)
    network.load_state_dict(weights.tensors, strict=False)
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    return network.eval()
