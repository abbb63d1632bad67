"""Record what genuine mmdetection 3.3 scores with the demo's weights on the demo's pictures.

    python -m demo.record_reference

Three sets of figures, in percent: `stock` is mmdetection's own test pipeline, whose boxes end at the image; for
`canvas` its `img_shape` is the padded canvas, because a deployed graph has one size and can clip to that alone;
`canvas_clipped` are the boxes of `canvas` clipped to the image afterwards, which is what this project scores.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from demo.dataset import OUTPUT, digest_of
from demo.train import WEIGHTS
from detector.cli import Parser, run
from detector.files.atomic import write_json
from detector.files.digest import sha256_of

REFERENCE = Path(__file__).resolve().parent / "reference.json"
# The 12 numbers of COCOeval.summarize, in its order.
FIGURES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")

Detections = dict[str, list[dict[str, Any]]]


def load(weights: Path, coco: Path) -> tuple[Any, Any]:
    """The model and its test data, both built by mmdetection from the configuration in the checkpoint."""
    # mmengine's own checkpoints hold more than tensors; this one is ours.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    from demo import mmcv_ops

    mmcv_ops.install()
    import torch
    from mmdet.registry import DATASETS, MODELS
    from mmengine.config import Config
    from mmengine.registry import init_default_scope
    from mmengine.runner import load_checkpoint

    init_default_scope("mmdet")
    checkpoint = torch.load(weights, map_location="cpu", weights_only=False)
    config = Config.fromstring(checkpoint["meta"]["cfg"], ".py")
    config.test_dataloader.dataset.data_root = f"{coco}/"
    model = MODELS.build(config.model)
    load_checkpoint(model, str(weights), map_location="cpu", strict=True)
    return model.eval(), DATASETS.build(config.test_dataloader.dataset)


def detect(model: Any, dataset: Any) -> Detections:
    """COCO results (boxes x y width height in image pixels) of all pictures, per way of clipping."""
    import torch
    from mmengine.dataset import pseudo_collate

    results: Detections = {"stock": [], "canvas": [], "canvas_clipped": []}
    for index in range(len(dataset)):
        with torch.no_grad():
            batch = model.data_preprocessor(pseudo_collate([dataset[index]]), False)
            outputs = model.bbox_head(model.extract_feat(batch["inputs"]))
            meta = batch["data_samples"][0].metainfo
            padded = {**meta, "img_shape": meta["batch_input_shape"]}
            stock, canvas = (
                model.bbox_head.predict_by_feat(*outputs, batch_img_metas=[entry], rescale=True)[0]
                for entry in (meta, padded)
            )
        height, width = meta["ori_shape"]
        clipped = canvas.clone()
        clipped.bboxes = torch.minimum(canvas.bboxes.clamp(min=0), torch.tensor([width, height, width, height]))
        for name, found in (("stock", stock), ("canvas", canvas), ("canvas_clipped", clipped)):
            results[name] += to_coco(found, meta["img_id"], dataset.cat_ids)
    return results


def to_coco(found: Any, image_id: int, category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """One image's detections as COCO results."""
    rows = zip(found.bboxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
    return [
        {
            "image_id": image_id,
            "category_id": category_ids[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for (x1, y1, x2, y2), score, label in rows
    ]


def score(detections: list[dict[str, Any]], annotation_file: Path) -> dict[str, float]:
    """The 12 figures of pycocotools, in percent."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with talking_to_stderr():
        truth = COCO(str(annotation_file))
        evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {name: round(100 * float(value), 4) for name, value in zip(FIGURES, evaluation.stats, strict=True)}


@contextlib.contextmanager
def talking_to_stderr() -> Iterator[None]:
    """Pycocotools prints as it goes; standard output belongs to the result."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def versions() -> dict[str, str]:
    """Of everything that has a say in the figures."""
    from importlib.metadata import version

    names = ("mmdet", "mmengine", "torch", "numpy", "opencv-python-headless", "pycocotools")
    return {name: version(name) for name in names}


def record(weights: Path, coco: Path) -> dict[str, Any]:
    """The content of reference.json."""
    annotation_file = coco / "annotations" / "instances_val2017.json"
    document = json.loads(annotation_file.read_bytes())
    pictures = [coco / "val2017" / image["file_name"] for image in document["images"]]
    sha256 = sha256_of(weights)
    detections = detect(*load(weights, coco))
    return {
        "weights": {"file": weights.name, "sha256": sha256},
        "dataset": {
            "images": len(pictures),
            "seed": document["info"]["seed"],
            "annotations_sha256": sha256_of(annotation_file),
            "images_sha256": digest_of(pictures),
        },
        "detections": {name: len(rows) for name, rows in detections.items()},
        "figures": {name: score(rows, annotation_file) for name, rows in detections.items()},
        "versions": versions(),
    }


def main(argv: Sequence[str]) -> None:
    """Record and print the reference."""
    parser = Parser(prog="python -m demo.record_reference", description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="file that demo.train wrote")
    parser.add_argument("--coco", type=Path, default=OUTPUT, help=f"folder of the pictures (default {OUTPUT})")
    parser.add_argument("--output", type=Path, default=REFERENCE, help="file to write")
    args = parser.parse_args(argv)
    reference = record(args.weights, args.coco)
    write_json(args.output, reference)
    print(json.dumps(reference))


if __name__ == "__main__":
    run(main)
