"""Let mmdetection import and run on mmcv-lite: a stand-in for mmcv's compiled operators that knows NMS alone.

FCOS needs no other compiled operator on a CPU. With a full mmcv installed nothing is replaced.
"""

import importlib.machinery
import importlib.util
import sys
import types

import torch

NAME = "mmcv._ext"


def install() -> None:
    """Register the stand-in; call before anything imports mmcv.ops or mmdet."""
    if NAME in sys.modules or importlib.util.find_spec(NAME) is not None:
        return
    sys.modules[NAME] = _Operators(NAME)


class _Operators(types.ModuleType):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        # mmengine looks for a spec with a loader to decide whether the operators are there.
        self.__spec__ = importlib.util.spec_from_loader(name, importlib.machinery.BuiltinImporter)
        self.nms = nms

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)

        # mmcv asks for all its operators by name when it is imported; only a call is an error.
        def absent(*_: object, **__: object) -> None:
            raise NotImplementedError(f"{NAME}.{name} needs a full mmcv, only nms is here")

        return absent


def nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int = 0) -> torch.Tensor:
    """Greedy non-maximum suppression with the results of mmcv's own.

    Args:
        boxes: (N, 4) x1 y1 x2 y2.
        scores: (N,).
        iou_threshold: a box is dropped if its IoU with a better kept one is above this.
        offset: added to every width and height (1 for boxes of whole pixels).

    Returns:
        (K,) int64, indices of the kept boxes by falling score.
    """
    order = scores.sort(descending=True).indices
    ranked = boxes[order]
    sides = ranked[:, 2:] - ranked[:, :2] + offset
    areas = sides[:, 0] * sides[:, 1]
    alive = torch.ones(len(ranked), dtype=torch.bool)
    for index in range(len(ranked)):
        if not alive[index]:
            continue
        low = torch.maximum(ranked[index, :2], ranked[index + 1 :, :2])
        high = torch.minimum(ranked[index, 2:], ranked[index + 1 :, 2:])
        common = (high - low + offset).clamp(min=0).prod(dim=1)
        overlap = common / (areas[index] + areas[index + 1 :] - common)
        alive[index + 1 :] &= ~(overlap > iou_threshold)
    return order[alive]
