import json
from pathlib import Path
from typing import Any

import pytest

import demo
from demo.dataset import SPLITS, write_dataset
from detector.files.digest import sha256_of
from detector.spec_files import load_spec
from postprocess.coco_files import read_annotations

FOLDER = Path(demo.__file__).parent
WEIGHTS = FOLDER / "weights" / "fcos_r18_shapes.pth"


@pytest.fixture(scope="module")
def reference() -> Any:
    return json.loads((FOLDER / "reference.json").read_bytes())


def test_the_reference_is_of_the_weights_in_the_repository(reference: Any):
    assert reference["weights"] == {"file": WEIGHTS.name, "sha256": sha256_of(WEIGHTS)}


def test_the_reference_is_of_the_pictures_that_the_command_writes(reference: Any, tmp_path: Path):
    split = SPLITS["val"]
    summary = write_dataset(tmp_path, "val", images=split.images, seed=split.seed)
    assert reference["dataset"] == {
        "images": split.images,
        "seed": split.seed,
        "annotations_sha256": sha256_of(Path(summary["annotation_file"])),
        "images_sha256": summary["images_sha256"],
    }
    (bound,) = load_spec("demo").references
    assert bound.data_set == read_annotations(Path(summary["annotation_file"])).content_sha256()


def test_the_spec_binds_the_recorded_ap_to_the_weights(reference: Any):
    (bound,) = load_spec("demo").references
    assert bound.sha256 == sha256_of(WEIGHTS)
    assert bound.ap == pytest.approx(reference["figures"]["stock"]["AP"], abs=0.005)


def test_clipping_to_the_canvas_costs_next_to_nothing_once_boxes_are_clipped_to_the_image(reference: Any):
    figures = reference["figures"]
    assert figures["canvas_clipped"]["AP"] == pytest.approx(figures["stock"]["AP"], abs=0.05)


def test_the_weights_are_small_and_detect(reference: Any):
    assert WEIGHTS.stat().st_size <= 8_000_000
    assert reference["figures"]["stock"]["AP"] > 55
