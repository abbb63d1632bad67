"""The test data of an mmdetection config: which pipeline runs, and how labels were numbered.

`tools/test.py` and `inference_detector` of all versions run the pipeline of the test dataset; a variable
`test_pipeline` is only what the author of the config usually puts there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from detector.spec.coco_classes import COCO_CLASSES
from export.checkpoints.dialects.mmdet.config_text import SPLAT, UNKNOWN
from export.checkpoints.dialects.mmdet.keys import class_name

# mmdet/datasets/coco.py: `cat_ids = coco.get_cat_ids(cat_names=self.CLASSES)` (1.x: `getCatIds()`), which pycocotools
# answers in the order of the file, and `cat2label` numbers them so. 2.13 (pull request 5227) warns of it and asks for
# the same order in both; the code itself is that of 3.3 still.
_FIRST_WITH_A_WARNING: Final = (2, 13)
# Datasets that number labels by CLASSES or keep them as numbers; all others of mmdetection read COCO's format.
_BY_CLASSES: Final = ("VOCDataset", "XMLDataset", "WIDERFaceDataset", "CustomDataset")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The steps that a test image goes through.

    Attributes:
        steps: settings of each, in order; a step that could not be read is `UNKNOWN`.
        where: the setting that they come from; "" if the config has none.
        notes: what of the data is not as this version runs it.
    """

    steps: tuple[Any, ...] = ()
    where: str = ""
    notes: tuple[str, ...] = ()


def pipeline_of(config: Mapping[str, Any]) -> Pipeline:
    """What mmdetection runs on a test image: the pipeline of the test data, else of the validation data.

    Args:
        config: parsed text.
    """
    for path in (
        ("test_dataloader", "dataset"),  # 3.x
        ("data", "test"),  # 1.x, 2.x
        ("test_pipeline",),  # a config without data
        ("val_dataloader", "dataset"),
        ("data", "val"),
    ):
        found = _at(config, *path)
        pipelines = [found] if path == ("test_pipeline",) and _is_list(found) else list(_pipelines(found))
        if pipelines:
            name = ".".join(path) + ("" if path == ("test_pipeline",) else ".pipeline")
            differ = any(steps != pipelines[0] for steps in pipelines)
            notes = (f"the datasets of {name} have different pipelines, the first is taken",) if differ else ()
            return Pipeline(tuple(pipelines[0]), name, notes)
    return Pipeline()


def _pipelines(dataset: Any) -> Iterator[list[Any]]:
    """Pipelines of a dataset, or of those in a list or a wrapper; a wrapper's own steps follow those within."""
    if dataset is UNKNOWN:
        yield [UNKNOWN]
    elif _is_list(dataset):
        for each in dataset:
            yield from _pipelines(each)
    elif isinstance(dataset, dict):
        own = dataset.get("pipeline", [])
        own = list(own) if _is_list(own) else [UNKNOWN]
        within = [*_pipelines(dataset.get("dataset")), *_pipelines(dataset.get("datasets"))]
        if within:
            yield from ([*steps, *own] for steps in within)
        elif "pipeline" in dataset or SPLAT in dataset:
            yield own if "pipeline" in dataset else [UNKNOWN]


def label_order(
    config: Mapping[str, Any], meta: Mapping[str, object], classes: tuple[str, ...] | None
) -> Literal["classes", "annotations"]:
    """What numbers the labels: the order of the class names, or that of the annotation file trained on.

    The two may differ for files of mmdetection below 2.13 that were trained on COCO's format.

    Args:
        config: parsed text.
        meta: of the file.
        classes: names in the file's order; None: it names none.
    """
    version = _version(meta)
    if version is None or version >= _FIRST_WITH_A_WARNING or _is_coco(classes) or len(classes or "xx") == 1:
        return "classes"
    return "classes" if _dataset_type(config) in _BY_CLASSES else "annotations"


def with_cocos_names(classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Names of mmdetection before 1.1, which wrote COCO's with underscores, as COCO writes them."""
    return COCO_CLASSES if _is_coco(classes) else classes


def _is_coco(classes: tuple[str, ...] | None) -> bool:
    return classes is not None and tuple(name.replace("_", " ") for name in classes) == tuple(COCO_CLASSES)


def _version(meta: Mapping[str, object]) -> tuple[int, int] | None:
    found = re.match(r"(\d{1,3})\.(\d{1,3})", str(meta.get("mmdet_version", "")))
    return (int(found[1]), int(found[2])) if found else None


def _dataset_type(config: Mapping[str, Any]) -> str:
    """Class of the data that the model was trained on, without its module; "" if nothing says it."""
    for path in (("data", "train"), ("data", "test"), ("dataset_type",)):
        found = _at(config, *path)
        while isinstance(found, dict | list | tuple):
            found = _within(found)
        if isinstance(found, str):
            return class_name(found)
    return ""


def _within(dataset: dict[str, Any] | list[Any] | tuple[Any, ...]) -> Any:
    """The first dataset of a list or a wrapper, or the type of a plain one."""
    if not isinstance(dataset, dict):
        return next(iter(dataset), None)
    wrapped = dataset.get("dataset", dataset.get("datasets"))
    return dataset.get("type") if wrapped is None else wrapped


def _at(config: Mapping[str, Any], *path: str) -> Any:
    """The value there, `UNKNOWN` where the config computes what may hold it, or None."""
    value: Any = config
    for key in path:
        if isinstance(value, dict):
            value = value.get(key, value.get(SPLAT))
        elif value is not UNKNOWN:
            return None
    return value


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
