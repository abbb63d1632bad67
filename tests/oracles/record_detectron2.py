"""Record what the genuine Detectron2's RetinaNet detects with random weights.

    PYTHONPATH=$DETECTRON2:$TVSHIM python tests/oracles/record_detectron2.py

DETECTRON2 is a checkout of github.com/facebookresearch/detectron2 at commit 02b5c4e2, TVSHIM the folder of
`tv_cpu_shim`, which lets a CUDA build of torchvision load beside a CPU build of torch; the environment needs torch,
torchvision, fvcore, iopath, omegaconf, hydra-core, yacs, tabulate, cloudpickle, termcolor, pycocotools, opencv,
matplotlib, black and tqdm. Leaves `tests/data/detectron2_retinanet.npz`, from
configs/COCO-Detection/retinanet_R_50_FPN_1x.yaml; only widths and input size are not its own.

The extension detectron2._C is not built: RetinaNet's inference calls none of its operators. NMS is torchvision's. The
network is given the padded and normalized tensor as its image, so that it clips to the canvas.
"""

from pathlib import Path

import removed_names
import torch
from detectron2_detectors import NARROW, RULES, load, on_canvas, record
from random_weights import UNIT, Kind
from records import FOLDER, PHOTOGRAPHS

CONFIG = "COCO-Detection/retinanet_R_50_FPN_1x.yaml"
# Nothing evens out the levels, and the zeros around a small level leave little of it.
UPPER_RULES = {r"(fpn_output5|p6)\.weight": "upper", r"p7\.weight": "top"} | RULES
KINDS = {
    "upper": Kind(0, 2.2 * UNIT, per_input=True),
    "top": Kind(0, 4.5 * UNIT, per_input=True),
    "cls": Kind(0, 0.16 * UNIT, per_input=True),
    "cls_bias": Kind(-4.7, 1.0),
    "box": Kind(0, 0.05 * UNIT, per_input=True),
    "box_bias": Kind(0, 0.1),
}


def main() -> None:
    """Record it."""
    removed_names.operators("detectron2")
    import tv_cpu_shim  # noqa: F401 - before anything imports torchvision

    torch.set_num_threads(1)
    import detectron2
    from detectron2.config import get_cfg
    from detectron2.data import DatasetMapper
    from detectron2.modeling import build_model

    cfg = get_cfg()
    cfg.merge_from_file(str(Path(detectron2.__path__[0]).parent / "configs" / CONFIG))
    cfg.merge_from_list(NARROW)
    model = build_model(cfg).eval()
    mapper = DatasetMapper(cfg, is_train=False)
    inputs = [load(FOLDER / photograph, model, mapper) for photograph in PHOTOGRAPHS]

    def limit(most: int) -> None:
        model.max_detections_per_image = most

    source = ["github.com/facebookresearch/detectron2 02b5c4e2", f"configs/{CONFIG}", f"torch {torch.__version__}"]
    record("detectron2_retinanet", on_canvas(model, model.head, limit, UPPER_RULES, KINDS), inputs, source)


if __name__ == "__main__":
    main()
