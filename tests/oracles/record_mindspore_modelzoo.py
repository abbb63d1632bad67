"""Record what the genuine FCOS of the MindSpore model zoo detects with random weights.

    cd tests/oracles && PYTHONPATH=<models>/research/cv/FCOS python record_mindspore_modelzoo.py

in an environment with mindspore 2.7.0 (CPU build), pycocotools, opencv-python-headless and scipy; <models> is a
checkout of https://github.com/mindspore-ai/models at eab643f51336dbf7d711f02d27e6516e5affee59. Leaves
tests/data/mindspore_modelzoo_fcos.npz (records.write). All of it is the tree's own: COCOGenerator, FCOSDetector,
post_process, ClipBoxes. What is not as published:

* The sides of the resize are 320, 352 instead of 800, 1333.
* The canvas is 384x384 instead of 1344x1344: the tree pads to the latter before it normalizes, so that what lies below
  and to the right is one colour; it is cut off, after a check that it is nothing else.
* MindSpore 2 has renamed `Tensor.to_tensor`, which the tree's initial weights need, to `init_data`.
"""

import mindspore
import numpy as np
from mindspore import Tensor
from mindspore_fcos import Candidates, Input, Tree, import_script, record
from random_weights import KINDS, UNIT, Kind

CANVAS = 384
FIRST = 2  # seeds before it are refused: one detection of 615 hangs on rounding
SOURCE = ["https://github.com/mindspore-ai/models eab643f51336dbf7d711f02d27e6516e5affee59 research/cv/FCOS"]
KINDS_HERE = KINDS | {
    "cls": Kind(0.0, 3 * UNIT, per_input=True),
    "cls_bias": Kind(-9.0, 0.5),
    "ctr": Kind(0.0, 4 * UNIT, per_input=True),
    "box": Kind(0.0, 0.6 * UNIT, per_input=True),
    "box_bias": Kind(3.4, 0.2),  # exp of it is a distance in pixels
}


def main() -> None:
    """Record."""
    Tensor.to_tensor = Tensor.init_data
    evaluation = import_script("eval")
    tree = Tree(evaluation, import_script("src.eval_utils"), _read, _run)
    print(record(tree, "mindspore_modelzoo_fcos", kinds=KINDS_HERE, source=SOURCE, first_seed=FIRST))


def _read(item: tuple) -> Input:
    tensor, info = item
    height, width = tensor.shape[1:]
    beyond = np.ones((height, width), bool)
    beyond[:CANVAS, :CANVAS] = False
    if np.ptp(tensor[:, beyond], axis=1).any():
        raise ValueError(f"the canvas of {CANVAS} is too small")
    return Input(np.ascontiguousarray(tensor[:, :CANVAS, :CANVAS]), info["scale"])


def _run(model: mindspore.nn.Cell, batch: Tensor) -> Candidates:
    return Candidates(*model(batch))


if __name__ == "__main__":
    main()
