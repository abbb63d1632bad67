"""Record what the genuine mmdetection feeds its network, as `tests/detector/images/mmdet_inputs.json`.

    PYTHONPATH=. python tests/oracles/record_mmdet_inputs.py

in an environment with mmdetection 3.3 (demo/README.md).
"""

# mmdetection can be imported only after the stand-in operators are installed.
# ruff: noqa: E402

import hashlib
import json
from pathlib import Path

from demo import mmcv_ops

mmcv_ops.install()

import cv2
import mmcv
import mmdet
from mmdet.registry import MODELS, TRANSFORMS
from mmdet.utils import register_all_modules
from mmengine.dataset import Compose
from records import FOLDER, PHOTOGRAPHS

TESTS = Path(__file__).resolve().parents[1]
NORMALIZATIONS = (
    {"channels": "BGR", "mean": [102.9801, 115.9465, 122.7717], "std": [1.0, 1.0, 1.0]},
    {"channels": "RGB", "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
)
PIPELINE = (
    {"type": "LoadImageFromFile"},
    {"type": "Resize", "scale": (1333, 800), "keep_ratio": True},
    {"type": "PackDetInputs", "meta_keys": ("img_path", "ori_shape", "img_shape", "scale_factor")},
)


def record(path: Path, normalization: dict) -> dict:
    """The resized size and the SHA-256 of the (3, h, w) float32 content without its padding."""
    preprocessor = MODELS.build(
        {
            "type": "DetDataPreprocessor",
            "pad_size_divisor": 32,
            "mean": normalization["mean"],
            "std": normalization["std"],
            "bgr_to_rgb": normalization["channels"] == "RGB",
        }
    )
    packed = Compose([TRANSFORMS.build(step) for step in PIPELINE])({"img_path": str(path), "img_id": 0})
    batch = preprocessor({"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]})
    height, width = batch["data_samples"][0].img_shape
    content = batch["inputs"][0].numpy()[:, :height, :width]
    digest = hashlib.sha256(content.tobytes()).hexdigest()
    return {"image": path.name, **normalization, "img_shape": [height, width], "sha256": digest}


def main() -> None:
    register_all_modules(init_default_scope=True)
    inputs = [record(FOLDER / name, normalization) for name in PHOTOGRAPHS for normalization in NORMALIZATIONS]
    facts = {"mmdet": mmdet.__version__, "mmcv": mmcv.__version__, "opencv": cv2.__version__, "inputs": inputs}
    (TESTS / "detector" / "mmdet_inputs.json").write_text(json.dumps(facts, indent=1) + "\n")


main()
