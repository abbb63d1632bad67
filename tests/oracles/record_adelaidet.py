"""Record what the genuine AdelaiDet's FCOS detects with random weights.

    PYTHONPATH=$ADELAIDET:$DETECTRON2:$TVSHIM python tests/oracles/record_adelaidet.py

ADELAIDET is a checkout of github.com/aim-uofa/AdelaiDet at commit 3672122; record_detectron2.py says what the others
are and what the environment needs. Leaves `tests/data/adelaidet_fcos.npz`, from configs/FCOS-Detection/R_50_1x.yaml;
only widths and input size are not its own.

The extensions detectron2._C and adet._C are not built: inference of FCOS calls none of their operators. NMS is
torchvision's. The network is given the padded and normalized tensor as its image, so that it clips to the canvas.
"""

from pathlib import Path

import removed_names
import torch
from detectron2_detectors import GROUP_NORM_RULES, NARROW, load, on_canvas, record
from random_weights import UNIT, Kind
from records import FOLDER, PHOTOGRAPHS

CONFIG = "FCOS-Detection/R_50_1x.yaml"
KINDS = {
    "cls": Kind(0, 0.5 * UNIT, per_input=True),
    "cls_bias": Kind(-4.0, 1.0),
    "box": Kind(0, 0.8 * UNIT, per_input=True),
    "box_bias": Kind(4.0, 1.0),  # strides
}


def main() -> None:
    """Record it."""
    removed_names.restore()
    removed_names.operators("detectron2")
    removed_names.operators("adet")
    import tv_cpu_shim  # noqa: F401 - before anything imports torchvision

    torch.set_num_threads(1)
    import adet
    from adet.config import get_cfg
    from detectron2.data import DatasetMapper
    from detectron2.modeling import build_model

    cfg = get_cfg()
    cfg.merge_from_file(str(Path(adet.__path__[0]).parent / "configs" / CONFIG))
    cfg.merge_from_list(NARROW)
    model = build_model(cfg).eval()
    mapper = DatasetMapper(cfg, is_train=False)
    inputs = [load(FOLDER / photograph, model, mapper) for photograph in PHOTOGRAPHS]
    fcos = model.proposal_generator

    def limit(most: int) -> None:
        fcos.fcos_outputs.post_nms_topk_test = most

    source = [
        "github.com/aim-uofa/AdelaiDet 3672122",
        "github.com/facebookresearch/detectron2 02b5c4e2",
        f"configs/{CONFIG}",
        f"torch {torch.__version__}",
    ]
    record("adelaidet_fcos", on_canvas(model, fcos.fcos_head, limit, GROUP_NORM_RULES, KINDS), inputs, source)


if __name__ == "__main__":
    main()
