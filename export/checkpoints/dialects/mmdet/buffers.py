"""Mean and divisor of an mmdetection model as tensors, which some files hold beside the weights.

`ImgDataPreprocessor` of mmengine registers both with `persistent=False`: mmdetection neither writes nor loads them, and
normalizes as its config says. Forks, and scripts that save `named_buffers()`, write them all the same.
"""

from dataclasses import replace
from typing import Any, Final

from detector.errors import CheckpointError
from export.checkpoints.dialects.mmdet.picture import LARGEST, triple
from export.checkpoints.reader import CheckpointFile
from export.checkpoints.weighing.recipe import Recipe, Triple

BUFFERS: Final = r"data_preprocessor\.(mean|std)"
_CLOSE: Final = 1e-3  # grey levels: more than float16 takes from a mean of 123.675 is another setting


def with_buffers(file: CheckpointFile, recipe: Recipe) -> Recipe:
    """A recipe that has a file's mean and divisor where its config tells none, else a doubt where they differ.

    Raises:
        CheckpointError: they are not three numbers.
    """
    image: dict[str, Any] = dict(recipe.image)
    doubts = dict(recipe.doubts)
    for name in ("mean", "std"):
        tensor = file.tensors.get(f"data_preprocessor.{name}")
        if tensor is None:
            continue
        values = _values(file, name, tensor.flatten().tolist())
        said = image.setdefault(name, values)
        if any(abs(own - other) > _CLOSE * max(1.0, abs(own)) for own, other in zip(values, said, strict=True)):
            doubts[f"image.{name}"] = (
                f"data_preprocessor.{name} among the tensors is {list(values)}, the config says {list(said)}: "
                "mmdetection does not load that tensor, so the config's is taken"
            )
    return replace(recipe, image=image, doubts=doubts)


def _values(file: CheckpointFile, name: str, numbers: list[float]) -> Triple:
    values = triple([round(number, 4) for number in numbers if abs(number) < LARGEST])  # NaN is below nothing
    if values is None or len(numbers) not in (1, 3) or (name == "std" and min(values) <= 0):
        raise CheckpointError(
            f"{file.path}: data_preprocessor.{name} is {numbers[:4]}, expected one or three "
            f"{'positive ' if name == 'std' else ''}numbers: take it out of the file, mmdetection does not load it"
        )
    return values
