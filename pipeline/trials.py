"""Runs simulated graphs as a user would: each stage is a process of its own, on a few images."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx

from convert.precision.agreement import LabelsAndBoxes, loss
from detector import tools
from detector.errors import ArtifactError
from detector.files.atomic import make_folder
from detector.onnx_files.read_write import write_onnx
from detector.products.manifest_files import read_manifest, write_manifest
from detector.spec import DetectorSpec

ROOT = Path(__file__).resolve().parents[1]
WORST = 100.0  # points


class Trials:
    """A folder with a few bins and one model after the other.

    Attributes:
        bins: the folder of the bins.
    """

    def __init__(self, folder: Path, spec: DetectorSpec) -> None:
        """Begin in an empty folder.

        Args:
            folder: receives bins, models and results.
            spec: of the models.
        """
        self.bins = folder / "bins"
        self._folder, self._spec = folder, spec
        self._wanted: list[LabelsAndBoxes] = []
        self._ap = 0.0
        self._annotations: Path | None = None

    def preprocess(self, model: onnx.ModelProto, images: Path, *, count: int) -> None:
        """Make bins of the first images of a folder."""
        file = self._written(model)
        self._command("preprocess", "--model", file, "--image_src_path", images, "--bin_file_path", self.bins,
                      "--limit", count)  # fmt: skip

    def take_bins(self, source: Path, *, count: int) -> None:
        """Take some bins of a folder, evenly spread over its list.

        Raises:
            ArtifactError: the folder has no manifest, or a bin is missing.
        """
        manifest = read_manifest(source)
        source = source if source.is_dir() else source.parent
        chosen = np.unique(np.linspace(0, len(manifest.images) - 1, count).round().astype(int))
        images = tuple(manifest.images[index] for index in chosen)
        make_folder(self.bins)
        for image in images:
            try:
                shutil.copyfile(source / f"{image.stem}.bin", self.bins / f"{image.stem}.bin")
            except FileNotFoundError as error:
                raise ArtifactError(f"{error.filename} not found: run `python -m preprocess` again") from error
        write_manifest(self.bins, manifest.model_copy(update={"images": images}))

    def compare_with(self, model: onnx.ModelProto, annotations: Path | None) -> None:
        """Run the float32 graph: its detections, or its AP where there are annotations, are what losses refer to."""
        self._annotations = annotations
        self._wanted = self.detections(model)
        if annotations is not None:
            self._ap = self._scored(annotations)

    def loss(self, model: onnx.ModelProto) -> float:
        """Points that a graph is below the float32 one: of AP, or of agreement (`agreement.loss`)."""
        found = self.detections(model)
        if self._annotations is None:
            return loss(found, self._wanted)
        if not all(np.isfinite(values).all() for outputs in found for values in outputs):
            return WORST
        return self._ap - self._scored(self._annotations)

    def detections(self, model: onnx.ModelProto) -> list[LabelsAndBoxes]:
        """What a graph finds, per image in the manifest's order."""
        results = self._folder / "results"
        shutil.rmtree(results, ignore_errors=True)
        make_folder(results, mode=0o750)
        file = self._written(model)
        self._command("infer", "--model", file, "--input", self.bins, "--output", results, "--output_dirname", "found")
        first, second = self._spec.outputs
        return [
            (
                np.fromfile(results / "found" / f"{image.stem}_0.bin", first.dtype).reshape(first.shape),
                np.fromfile(results / "found" / f"{image.stem}_1.bin", second.dtype).reshape(second.shape),
            )
            for image in read_manifest(self.bins).images
        ]

    def _scored(self, annotations: Path) -> float:
        """AP of the latest results in percent; 0 where it is undefined."""
        self._command(
            "postprocess", "eval", "--bin_data_path", self._folder / "results" / "found", "--test_annotation",
            self.bins, "--annotations_path", annotations, "--det_results_path", self._folder / "eval", "--subset",
        )  # fmt: skip
        return float(json.loads((self._folder / "eval" / "metrics.json").read_text())["AP"] or 0.0)

    def _written(self, model: onnx.ModelProto) -> Path:
        file = self._folder / "model.onnx"
        write_onnx(file, model)
        return file

    def _command(self, *arguments: object) -> tools.Finished:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        return tools.run([sys.executable, "-m", *map(str, arguments)], env={"PYTHONPATH": path})
