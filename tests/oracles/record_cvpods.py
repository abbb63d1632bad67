"""Record what the genuine FCOS of BorderDet's cvpods detects with random weights.

    PYTHONPATH=$BORDERDET:$TVSHIM python tests/oracles/record_cvpods.py cvpods_fcos

BORDERDET is a checkout of github.com/Megvii-BaseDetection/BorderDet at commit a25aca1 (2020-07-22), the code of the
time of its released FCOS_R_50_FPN_1x; TVSHIM is the folder of `tv_cpu_shim`, which lets a CUDA build of torchvision
load beside a CPU build of torch. The environment needs torch, torchvision, pycocotools, opencv, matplotlib, scipy,
tqdm, easydict, colorama, portalocker, cloudpickle, tensorboard, tabulate, termcolor and six. Leaves
`tests/data/<record>.npz`; only widths and input size are not those of the experiment's folder.

Inference calls no operator of the extension cvpods._C: its NMS is torchvision's.

The network's own preprocessing makes the padded tensor; inference then takes its size for that of the image, so that it
clips to the canvas.
"""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import records
import removed_names
import torch
from random_weights import KINDS, RELU, UNIT, Kind
from steady_seeds import Detector, Found, found, search, state

SHORT, LONG = 256, 448
WIDTHS = {"STEM_OUT_CHANNELS": 16, "WIDTH_PER_GROUP": 16, "RES2_OUT_CHANNELS": 64}
FPN_WIDTH = 64
TOWER_NORMS = {
    r"subnet\.(1|4|7|10)\.weight": "norm",
    r"subnet\.(1|4|7|10)\.bias": "norm_bias",
}
RULES = {
    r"stem\.conv1\.weight": "stem",
    r"running_mean": "mean",
    r"running_var": "var",
    r"conv3\.norm\.weight": "last_norm",
    r"norm\.weight": "norm",
    r"norm\.bias": "norm_bias",
    r"(fpn_|top_block).*weight": "fpn",
    r"cls_score\.weight": "cls",
    r"cls_score\.bias": "cls_bias",
    r"bbox_pred\.weight": "box",
    r"bbox_pred\.bias": "box_bias",
    r"centerness\.weight": "ctr",
    r"centerness\.bias": "ctr_bias",
    r"scale$": "scale",
    r"weight": "conv",
    r"bias": "bias",
}
FROZEN = {
    "stem": Kind(0, RELU / 60, per_input=True),
    "mean": Kind(0, 0),  # as in the released files
    "var": Kind(1 - 1e-5, 0),
}


class Record(NamedTuple):
    """Where an experiment is, what its weights are like, and the seed before which all are refused."""

    repository: str
    playground: str
    rules: Mapping[str, str]
    kinds: Mapping[str, Kind]
    first: int


RECORDS = {
    "cvpods_fcos": Record(
        "github.com/Megvii-BaseDetection/BorderDet a25aca1",
        "playground/detection/coco/fcos/fcos.res50.fpn.coco.800size.1x",
        TOWER_NORMS | RULES,
        {
            "cls": Kind(0, UNIT, per_input=True),
            "cls_bias": Kind(-4, 0.3),
            "ctr": Kind(0, 2 * UNIT, per_input=True),
            # Strides; some sides are cut off at 0.
            "box": Kind(0, 0.9 * UNIT, per_input=True),
            "box_bias": Kind(5, 1.5),
        },
        5,
    ),
}


def module_of(playground: str, name: str) -> ModuleType:
    """A module of an experiment's folder, which is not a package."""
    import cvpods

    path = Path(cvpods.__path__[0]).parent / playground / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"playground_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(record: Record, widths: dict[str, int], fpn_width: int) -> tuple[Detector, object]:
    """The experiment's network and its configuration."""
    from cvpods.structures import ImageList

    config = module_of(record.playground, "config").config
    config.MODEL.DEVICE = "cpu"
    config.MODEL.RESNETS.update(widths)
    config.MODEL.FPN.OUT_CHANNELS = fpn_width
    model = module_of(record.playground, "net").build_model(config).eval()

    def detect(tensor: torch.Tensor, most: int) -> Found:
        model.max_detections_per_image = most
        model.preprocess_image = lambda _: ImageList(tensor, [tuple(tensor.shape[2:])])
        result = model([{}])[0]["instances"]
        del model.preprocess_image
        return found(result.pred_classes, result.pred_boxes.tensor, result.scores)

    names = state(model.state_dict(), record.rules)
    return Detector(model, model.head, detect, names, KINDS | FROZEN | record.kinds), config


def load(path: Path, model: torch.nn.Module, config: object) -> tuple[tuple[int, int], tuple[int, int], torch.Tensor]:
    """Size, size after the resize, input (1, 3, H, W) of a photograph, by the framework's own code."""
    from cvpods.data import build_transform_gen
    from cvpods.data.detection_utils import read_image

    image = resized = read_image(str(path), format=config.INPUT.FORMAT)
    (name, options), *others = config.INPUT.AUG.TEST_PIPELINES
    for transform in build_transform_gen([(name, options | {"short_edge_length": SHORT, "max_size": LONG}), *others]):
        resized, _ = transform(resized, None)
    chw = torch.from_numpy(resized.transpose(2, 0, 1).copy())  # as COCODataset hands it over
    return image.shape[:2], resized.shape[:2], model.preprocess_image([{"image": chw}]).tensor


def write(name: str) -> None:
    """Search a seed and write a record."""
    record = RECORDS[name]
    detector, config = build(record, WIDTHS, FPN_WIDTH)
    loaded = [load(records.FOLDER / photograph, detector.model, config) for photograph in records.PHOTOGRAPHS]
    seed, results = search(detector, [tensor for *_, tensor in loaded], record.first)
    photographs = [
        records.Photograph(photograph, image, resized, tensor[0].numpy(), *(part.numpy() for part in result))
        for photograph, (image, resized, tensor), result in zip(records.PHOTOGRAPHS, loaded, results, strict=True)
    ]
    source = [record.repository, record.playground, f"torch {torch.__version__}"]
    path = records.write(name, photographs, detector.state, seed=seed, kinds=detector.kinds, source=source)
    for (*_, tensor), result in zip(loaded, results, strict=True):
        classes = len(result.labels.unique())
        print(f"{tuple(tensor.shape[2:])} {detector.candidates(tensor)} {len(result.labels)} of {classes} classes")
    print(f"{path} seed {seed}")


def main(name: str) -> None:
    """Write one record."""
    removed_names.restore()
    removed_names.operators("cvpods")
    import tv_cpu_shim  # noqa: F401 - before anything imports torchvision

    torch.set_num_threads(1)
    write(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
