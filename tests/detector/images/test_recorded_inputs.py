"""The input tensor against what the genuine frameworks fed their networks (tests/oracles/record_*.py)."""

from pathlib import Path

import numpy as np
import pytest

from detector.geometry import Size
from detector.images.network_input import to_input
from detector.images.read_image import read_image
from detector.spec import DetectorSpec
from detector.spec.image import ImageSpec

DATA = Path(__file__).resolve().parents[2] / "data"
SAMPLE = 8  # tests/oracles/records.py keeps every 8th row and column

# The recipe of each record, with the bounds of the script that made it.
BOUNDS = {"short": 256, "long": 448}
CAFFE = {"channels": "BGR", "mean": (103.53, 116.28, 123.675), "std": (1, 1, 1)}
OLDER_CAFFE = {"channels": "BGR", "mean": (102.9801, 115.9465, 122.7717), "std": (1, 1, 1)}
PYTORCH = {"channels": "RGB", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
DETECTRON2 = {"resize": "detectron2", "filter": "pillow", **CAFFE, **BOUNDS}
TIANZHI = {"resize": "tianzhi", "filter": "pillow", **OLDER_CAFFE, **BOUNDS}
TORCHVISION = {"resize": "torchvision", "filter": "float", **PYTORCH, "short": 270, "long": 400}
MMDET = {"resize": "mmdet", "short": 272, "long": 448}
MINDSPORE = {"resize": "mindspore", "padding": "black", "channels": "RGB", "short": 320, "long": 352}
# The trees' constants of 0..1.
MODELZOO_MEAN = tuple(255 * value for value in (0.40789654, 0.44719302, 0.47026115))
MODELZOO_STD = tuple(255 * value for value in (0.28863828, 0.27408164, 0.27809835))

RECIPES: dict[str, dict] = {
    "adelaidet_fcos": DETECTRON2,
    "cvpods_fcos": DETECTRON2,
    "cvpods_fcos_port": DETECTRON2,
    "detectron2_retinanet": DETECTRON2,
    "mindspore_lyqcom_fcos": {**MINDSPORE, "mean": (0, 0, 0), "std": (255, 255, 255)},
    "mindspore_modelzoo_fcos": {**MINDSPORE, "mean": MODELZOO_MEAN, "std": MODELZOO_STD},
    "mmdet_atss": {**MMDET, **PYTORCH},
    "mmdet_retinanet_caffe": {**MMDET, **CAFFE},
    "mmdet_retinanet_legacy": {**MMDET, **PYTORCH},
    "mmdet_retinanet_r18": {**MMDET, **PYTORCH},
    "tianzhi_fcos": TIANZHI,
    "tianzhi_fcos_imprv": TIANZHI,
    "torchvision_fcos": TORCHVISION,
    "torchvision_retinanet": TORCHVISION,
    "torchvision_retinanet_v2": TORCHVISION,
}


def has_inputs(path: Path) -> bool:
    with np.load(path) as file:
        return "input0" in file.files


def test_every_record_of_inputs_has_its_recipe():
    assert {path.stem for path in DATA.glob("*.npz") if has_inputs(path)} == set(RECIPES)


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("record", RECIPES)
def test_the_input_is_the_frameworks(photographs: Path, record: str, index: int):
    with np.load(DATA / f"{record}.npz") as file:
        name, image = str(file["names"][index]), tuple(file["image"][index])
        resized, canvas, expected = tuple(file["resized"][index]), file["canvas"][index], file[f"input{index}"]
    facts = ImageSpec.model_validate(RECIPES[record])
    spec = DetectorSpec(name="t", detector="fcos", canvas=Size(*map(int, canvas)), image=facts, classes=("a",))
    pixels = read_image(photographs / "val2017" / name)
    assert pixels.shape[:2] == image
    tensor, box = to_input(pixels, spec)
    assert box.resized == resized
    found = tensor[:, ::SAMPLE, ::SAMPLE]
    assert found.shape == expected.shape
    # Bytes are resized to the bit. Of floats torch's sums are fused, ours are not: some units in the last place of
    # normalized values, which are below 3.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 if facts.filter == "float" else 0)
