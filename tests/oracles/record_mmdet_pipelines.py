"""Record what genuine mmdetection makes of the demo's pictures under pipelines that differ in one setting each.

    PYTHONPATH=. python tests/oracles/record_mmdet_pipelines.py [--coco FOLDER] [VARIANT ...]

in an environment with mmdetection 3.3 (demo/README.md), from the repository root. Leaves
`tests/data/mmdet_pipelines.json`: per variant of `mmdet_pipelines.py`

    ap          of mmdetection on the demo's 200 pictures, in percent, as `demo.record_reference` scores `stock`
    inputs      per picture of `some_pictures`, stored without loss: shape and SHA-256 of the network's float32 input
    detections  of OUTPUTS only, per picture: rows [label, x1, y1, x2, y2, score] on the canvas, clipped to it
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mmdet_pipelines import ALL, OUTPUTS, config_text, some_pictures

from demo.dataset import OUTPUT
from demo.record_reference import detect, score
from demo.train import WEIGHTS
from detector.cli import Parser, run

RECORD = Path(__file__).resolve().parents[1] / "data" / "mmdet_pipelines.json"


def build(name: str) -> tuple[Any, Any]:
    """The model and the config of a variant."""
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.runner import load_checkpoint

    config = Config.fromstring(config_text(name), ".py")
    model = MODELS.build(config.model)
    load_checkpoint(model, str(WEIGHTS), map_location="cpu", strict=True)
    return model.eval(), config


def pictures_of(model: Any, config: Any, folder: Path, *, detections: bool) -> dict[str, Any]:
    """What the network is fed and, if asked for, what is detected."""
    import cv2
    import torch
    from mmcv.transforms import Compose
    from mmengine.dataset import pseudo_collate

    steps = [step for step in config.test_dataloader.dataset.pipeline if step["type"] != "LoadAnnotations"]
    pipeline = Compose(steps)
    found: dict[str, Any] = {"inputs": []}
    for name, image in some_pictures():
        path = folder / f"{name}.png"
        cv2.imwrite(str(path), image)
        with torch.no_grad():
            item = pipeline({"img_path": str(path), "img_id": 0})
            batch = model.data_preprocessor(pseudo_collate([item]), False)
            tensor = np.ascontiguousarray(batch["inputs"][0].numpy(), np.float32)
            found["inputs"].append([list(tensor.shape), hashlib.sha256(tensor.tobytes()).hexdigest()])
            if detections:
                meta = batch["data_samples"][0].metainfo
                meta = {**meta, "img_shape": meta["batch_input_shape"]}
                outputs = model.bbox_head(model.extract_feat(batch["inputs"]))
                rows = model.bbox_head.predict_by_feat(*outputs, batch_img_metas=[meta], rescale=False)[0]
                columns = (rows.labels[:, None].float(), rows.bboxes, rows.scores[:, None])
                listed = torch.cat(columns, 1).tolist()
                found.setdefault("detections", []).append([[round(number, 5) for number in row] for row in listed])
    return found


def main(argv: list[str]) -> None:
    """Record all variants."""
    parser = Parser(prog="record_mmdet_pipelines", description=__doc__)
    parser.add_argument("--coco", type=Path, default=OUTPUT, help=f"folder of the pictures (default {OUTPUT})")
    parser.add_argument("variants", nargs="*", help="default: all")
    args = parser.parse_args(argv)
    coco = args.coco
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    from demo import mmcv_ops

    mmcv_ops.install()
    from mmdet.registry import DATASETS
    from mmengine.registry import init_default_scope

    init_default_scope("mmdet")
    record: dict[str, Any] = json.loads(RECORD.read_text()) if args.variants else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.variants or ALL:
            model, config = build(name)
            record[name] = pictures_of(model, config, Path(folder), detections=name in OUTPUTS)
            config.test_dataloader.dataset.data_root = f"{coco}/"
            rows = detect(model, DATASETS.build(config.test_dataloader.dataset))["stock"]
            found = score(rows, coco / "annotations" / "instances_val2017.json") if rows else {"AP": 0.0}
            record[name]["ap"] = found["AP"]
            print(name, found["AP"], record[name]["inputs"][0][0], flush=True)
            RECORD.write_text(json.dumps(record) + "\n")


if __name__ == "__main__":
    run(main)
