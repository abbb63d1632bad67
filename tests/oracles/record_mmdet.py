"""Write small random FCOS checkpoints with the genuine mmdetection and record what it detects with them.

    PYTHONPATH=. python tests/oracles/record_mmdet.py [gn] [centre] [legacy]

in an environment with mmdetection 3.3 (demo/README.md), from the repository root.
Leaves `tests/data/mmdet_<variant>.pth` (the checkpoint) and `tests/data/mmdet_<variant>.npz`:

    names (I,)            file names in tests/data/coco/val2017
    image (I, 2)          height, width of the photographs
    resized (I, 2)        height, width of the photographs on the canvas
    canvas (2,)           height, width; also mmdetection's `img_shape`, as a deployed graph clips to its canvas
    channels, mean, std   of the input tensor, in 0..255; padding below and to the right is 0 after normalization
    labels (I, 100)       int64, -1 in unused rows
    boxes (I, 100, 4)     float32, x1 y1 x2 y2 in canvas pixels, by falling score, 0 in unused rows
    scores (I, 100)       float32, 0 in unused rows
    candidates (I, 5)     (location, class) pairs above the score threshold per level, before the limit of 1000
    score_threshold, iou_threshold
    sha256                of the checkpoint
    versions              of what recorded it

variant  backbone, all very narrow        head                                              container
gn       ResNet-50 caffe, 80 classes      4 convolutions, GN in 32 groups, exp              mmengine (zip)
centre   ResNet-18 pytorch, 12 classes    2 convolutions, GN in 8 groups, norm_on_bbox,     mmengine (zip)
                                          centerness on the regression branch
legacy   ResNet-50 caffe, 80 classes      4 convolutions, no norm, exp, names of 1.x        torch's before 1.6

A seed is taken only if mmdetection in double precision detects the same: no threshold is a close call.
"""

import os
import sys


def main(names: list[str]) -> None:
    """Record the variants that are named, or all."""
    # For the checkpoints that this script wrote itself: mmengine's hold more than tensors.
    os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    from demo import mmcv_ops

    mmcv_ops.install()  # before anything imports mmdet
    from mmdet_files import record
    from mmdet_variants import VARIANTS

    for name in names or VARIANTS:
        print(record(name), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
