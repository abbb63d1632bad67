"""Record what the genuine tianzhi0549/FCOS detects with random weights.

    PYTHONPATH=$FCOS:$TVSHIM python tests/oracles/record_tianzhi.py [tianzhi_fcos_imprv] [tianzhi_fcos]

FCOS is a checkout of github.com/tianzhi0549/FCOS at commit a773f12, TVSHIM the folder of `tv_cpu_shim`, which lets a
CUDA build of torchvision load beside a CPU build of torch; the environment needs torch, torchvision, yacs, pycocotools,
opencv, matplotlib and tqdm. Leaves `tests/data/tianzhi_fcos_imprv.npz`, from configs/fcos/fcos_imprv_R_50_FPN_1x.yaml,
and `tests/data/tianzhi_fcos.npz`, from configs/fcos/fcos_R_50_FPN_1x.yaml; only widths and input size are not theirs.

The extension fcos_core._C cannot be built here. Of its operators inference calls one, ml_nms, which exists for CUDA
only; `ml_nms` below does in numpy what fcos_core/csrc/cuda/ml_nms.cu does: sides are x2 - x1 + 1, a box goes when its
IoU with a better one of the same label is above the threshold, and what stays is in the order of the input.

The network is given an ImageList whose image size is that of the padded tensor, so that it clips to the canvas. In the
final boxes x and y end at W - 1 and H - 1.
"""

import sys
from pathlib import Path

import numpy as np
import records
import removed_names
import torch
from random_weights import KINDS, RELU, UNIT, Kind
from steady_seeds import Detector, Found, found, search, state

RECORDS = {"tianzhi_fcos_imprv": "fcos_imprv_R_50_FPN_1x", "tianzhi_fcos": "fcos_R_50_FPN_1x"}
FIRST = {"tianzhi_fcos_imprv": 13, "tianzhi_fcos": 3}  # seeds before these are refused
SHORT, LONG = 256, 448
OPTIONS = [
    *("MODEL.DEVICE", "cpu", "INPUT.MIN_SIZE_TEST", SHORT, "INPUT.MAX_SIZE_TEST", LONG),
    *("MODEL.RESNETS.STEM_OUT_CHANNELS", 16, "MODEL.RESNETS.WIDTH_PER_GROUP", 16),
    *("MODEL.RESNETS.RES2_OUT_CHANNELS", 64, "MODEL.RESNETS.BACKBONE_OUT_CHANNELS", 64),
]
RULES = {
    r"stem\.conv1\.weight": "stem",
    r"running_mean": "mean",
    r"running_var": "var",
    r"bn3\.weight": "last_norm",
    r"(bn\d|downsample\.1|tower\.(1|4|7|10))\.weight": "norm",
    r"(bn\d|downsample\.1|tower\.(1|4|7|10))\.bias": "norm_bias",
    r"fpn\..*weight": "fpn",
    r"cls_logits\.weight": "cls",
    r"cls_logits\.bias": "cls_bias",
    r"bbox_pred\.weight": "box",
    r"bbox_pred\.bias": "box_bias",
    r"centerness\.weight": "ctr",
    r"centerness\.bias": "ctr_bias",
    r"scale$": "scale",
    r"weight": "conv",
    r"bias": "bias",
}
COMMON = {
    "stem": Kind(0, RELU / 60, per_input=True),
    "mean": Kind(0, 0),  # as in the released files
    "var": Kind(1, 0),
    "cls": Kind(0, UNIT, per_input=True),
    "cls_bias": Kind(-4, 0.3),
    "ctr": Kind(0, 2 * UNIT, per_input=True),
}
BOXES = {
    # Strides; some sides are cut off at 0.
    "tianzhi_fcos_imprv": {"box": Kind(0, 0.9 * UNIT, per_input=True), "box_bias": Kind(5, 1.5)},
    # Logarithm of pixels.
    "tianzhi_fcos": {"box": Kind(0, 0.5 * UNIT, per_input=True), "box_bias": Kind(4, 0.4)},
}


def ml_nms(boxes: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor, threshold: float) -> torch.Tensor:
    """Indices of the boxes that stay, ascending."""
    order = scores.argsort(descending=True, stable=True).numpy()
    boxes_, labels_ = boxes.numpy()[order], labels.numpy()[order]
    sides = boxes_[:, 2:] - boxes_[:, :2] + np.float32(1)
    areas = sides[:, 0] * sides[:, 1]
    stays = np.ones(len(order), bool)
    for index, box in enumerate(boxes_):
        if not stays[index]:
            continue
        low, high = np.maximum(box[:2], boxes_[:, :2]), np.minimum(box[2:], boxes_[:, 2:])
        size = np.maximum(high - low + np.float32(1), np.float32(0))
        both = size[:, 0] * size[:, 1]
        iou = both / (areas[index] + areas - both)
        stays[index + 1 :] &= ~((iou > threshold) & (labels_ == labels_[index]))[index + 1 :]
    return torch.from_numpy(np.sort(order[stays]))


def _channels_last(_: torch.nn.Module, __: object, outputs: tuple[list[torch.Tensor], ...]) -> object:
    """The same values in an order of memory that lets inference view them: torch now keeps it when it compares."""
    return tuple([level.contiguous(memory_format=torch.channels_last) for level in levels] for levels in outputs)


def build(config: str, kinds: dict[str, Kind], options: list[object]) -> Detector:
    """The network of a configuration file of the checkout."""
    import fcos_core
    from fcos_core.config import cfg
    from fcos_core.modeling.detector import build_detection_model
    from fcos_core.structures.image_list import ImageList

    configs = Path(fcos_core.__path__[0]).parent / "configs" / "fcos"
    cfg = cfg.clone()
    cfg.merge_from_file(str(configs / f"{config}.yaml"))
    cfg.merge_from_list(options)
    model = build_detection_model(cfg).eval()
    model.cfg = cfg
    model.rpn.head.register_forward_hook(_channels_last)

    def detect(tensor: torch.Tensor, most: int) -> Found:
        model.rpn.box_selector_test.fpn_post_nms_top_n = most
        (result,) = model(ImageList(tensor, [tuple(tensor.shape[2:])]))
        return found(result.get_field("labels") - 1, result.bbox, result.get_field("scores"))

    return Detector(model, model.rpn.head, detect, state(model.state_dict(), RULES), kinds)


def load(path: Path, model: torch.nn.Module) -> tuple[tuple[int, int], tuple[int, int], torch.Tensor]:
    """Size, size after the resize, input (1, 3, H, W) of a photograph, by the framework's own transforms."""
    from fcos_core.data.transforms import build_transforms
    from fcos_core.structures.bounding_box import BoxList
    from fcos_core.structures.image_list import to_image_list
    from PIL import Image

    image = Image.open(path).convert("RGB")  # as torchvision's CocoDetection, the base of COCODataset, does
    nothing = BoxList(torch.zeros(0, 4), image.size)
    tensor, _ = build_transforms(model.cfg, is_train=False)(image, nothing)
    images = to_image_list([tensor], model.cfg.DATALOADER.SIZE_DIVISIBILITY)
    return image.size[::-1], tuple(tensor.shape[1:]), images.tensors


def record(name: str) -> None:
    """Search a seed and write the record."""
    kinds = KINDS | COMMON | BOXES[name]
    detector = build(RECORDS[name], kinds, OPTIONS)
    loaded = [load(records.FOLDER / photograph, detector.model) for photograph in records.PHOTOGRAPHS]
    seed, results = search(detector, [tensor for *_, tensor in loaded], FIRST[name])
    photographs = [
        records.Photograph(photograph, image, resized, tensor[0].numpy(), *(part.numpy() for part in result))
        for photograph, (image, resized, tensor), result in zip(records.PHOTOGRAPHS, loaded, results, strict=True)
    ]
    source = ["github.com/tianzhi0549/FCOS a773f12", f"configs/fcos/{RECORDS[name]}.yaml", f"torch {torch.__version__}"]
    path = records.write(name, photographs, detector.state, seed=seed, kinds=kinds, source=source)
    for (*_, tensor), result in zip(loaded, results, strict=True):
        classes = len(result.labels.unique())
        print(f"{tuple(tensor.shape[2:])} {detector.candidates(tensor)} {len(result.labels)} of {classes} classes")
    print(f"{path} seed {seed}")


def main(names: list[str]) -> None:
    """Record those that are named, or both."""
    removed_names.restore()
    removed_names.operators("fcos_core", ml_nms=ml_nms)
    import tv_cpu_shim  # noqa: F401 - before anything imports torchvision

    torch.set_num_threads(1)
    for name in names or RECORDS:
        record(name)


if __name__ == "__main__":
    main(sys.argv[1:])
