"""Record what the genuine FCOS port of yinghuang/detectron2, with the names of cvpods, detects with random weights.

    PYTHONPATH=$PORT:$PORT/projects/My:$TVSHIM python tests/oracles/record_cvpods_port.py

PORT is a checkout of github.com/yinghuang/detectron2 at commit 17d4e03, which brings a Detectron2 of its own;
record_detectron2.py says what TVSHIM is and what the environment needs. Leaves `tests/data/cvpods_fcos_port.npz`, from
projects/My/configs/fcos_R_50_FPN.yaml; only widths and input size are not its own.

The extension detectron2._C is not built: inference calls none of its operators. NMS is torchvision's. The network is
given the padded and normalized tensor as its image, so that it clips to the canvas. Mean and standard deviation, which
the port keeps beside the weights, are left out of the record: a file of BorderDet has none.
"""

from pathlib import Path

import removed_names
import torch
from detectron2_detectors import GROUP_NORM_RULES, NARROW, load, on_canvas, record
from random_weights import UNIT, Kind
from records import FOLDER, PHOTOGRAPHS

CONFIG = "fcos_R_50_FPN.yaml"
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
    import tv_cpu_shim  # noqa: F401 - before anything imports torchvision

    torch.set_num_threads(1)
    import fcos
    from detectron2.config import get_cfg
    from detectron2.data import DatasetMapper
    from detectron2.modeling import build_model

    cfg = get_cfg()
    fcos.add_fcos_config(cfg)
    cfg.merge_from_file(str(Path(fcos.__path__[0]).parent / "configs" / CONFIG))
    cfg.merge_from_list(NARROW)
    model = build_model(cfg).eval()
    mapper = DatasetMapper(cfg, is_train=False)
    inputs = [load(FOLDER / photograph, model, mapper) for photograph in PHOTOGRAPHS]
    for name in ("pixel_mean", "pixel_std"):
        model.register_buffer(name, getattr(model, name), persistent=False)

    def limit(most: int) -> None:
        model.max_detections_per_image = most

    source = ["github.com/yinghuang/detectron2 17d4e03", f"projects/My/configs/{CONFIG}", f"torch {torch.__version__}"]
    record("cvpods_fcos_port", on_canvas(model, model.head, limit, GROUP_NORM_RULES, KINDS), inputs, source)


if __name__ == "__main__":
    main()
