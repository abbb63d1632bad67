"""Record what the genuine FCOS of lyqcom detects with random weights.

    cd tests/oracles && PYTHONPATH=<fcos> python record_mindspore_lyqcom.py

in an environment with mindspore 2.7.0 (CPU build), pycocotools, opencv-python-headless and scipy; <fcos> is a checkout
of https://github.com/lyqcom/fcos at 06de4449d3ed9bcc7f63e72842178cfbdbc2715f. Leaves
tests/data/mindspore_lyqcom_fcos.npz (records.write). All of it is the tree's own: COCOGenerator, FCOSDetector,
post_process, ClipBoxes. What is not as published:

* The sides of the resize are 320, 352 instead of 800, 1333.
* `DefaultConfig.pretrained` is off: the file that it names is not in the tree.
* The modules `config` and `utils`, which the tree imports, are not in it, and its package `dataset`, for training, is
  damaged (its __init__.py is 1024 zero bytes): empty modules stand in. Nothing here uses them.
* `Tensor.clip` is that of MindSpore 1: the tree mixes tensors and numbers, which MindSpore 2 refuses.
"""

import sys
from types import ModuleType

import mindspore
from mindspore import Tensor, ops
from mindspore_fcos import Candidates, Input, Tree, import_script, record
from random_weights import KINDS, RELU, UNIT, Kind

SOURCE = ["https://github.com/lyqcom/fcos 06de4449d3ed9bcc7f63e72842178cfbdbc2715f"]
KINDS_HERE = KINDS | {
    "stem": Kind(0.0, 2 * RELU, per_input=True),  # the input is 0..1, not normalized
    "cls": Kind(0.0, 0.3 * UNIT, per_input=True),
    "cls_bias": Kind(-8.3, 0.5),
    "ctr": Kind(0.0, 4 * UNIT, per_input=True),
    "box": Kind(0.0, 0.6 * UNIT, per_input=True),
    "box_bias": Kind(4.1, 0.2),  # exp of it is a distance in pixels
}


def main() -> None:
    """Record."""
    absent = {name: ModuleType(name) for name in ("config", "utils", "dataset", "dataset.augment")}
    absent["dataset.COCO_dataset"] = absent["dataset"].COCO_dataset = ModuleType("dataset.COCO_dataset")
    absent["dataset.COCO_dataset"].COCODataset = absent["dataset.augment"].Transforms = None
    sys.modules.update(absent)
    import_script("model.config").DefaultConfig.pretrained = False
    Tensor.clip = lambda self, low, high: ops.minimum(ops.maximum(self, low), high)
    tree = Tree(import_script("coco_eval"), import_script("model.eval_utils"), _read, _run)
    print(record(tree, "mindspore_lyqcom_fcos", kinds=KINDS_HERE, source=SOURCE))


def _read(item: tuple) -> Input:
    tensor, _, _, scale = item
    return Input(tensor.asnumpy(), scale)


def _run(model: mindspore.nn.Cell, batch: Tensor) -> Candidates:
    scores, labels, boxes, _ = model(batch, 0, 0)
    stack = ops.Stack(axis=0)  # as evaluate_coco does
    return Candidates(stack(scores), stack(labels), stack(boxes))


if __name__ == "__main__":
    main()
