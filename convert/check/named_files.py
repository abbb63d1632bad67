"""The files that a command line names, looked at where they are here: precision, fusion, AIPP, and the model itself."""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path

import onnx

from convert.aipp.rules import aipp_problems, is_dynamic, misfits
from convert.atc.file_forms import file_problem
from convert.atc.line import unseen
from convert.atc.rules import ONNX_FRAMEWORK
from convert.check.model_fit import Shape, given_shapes, model_remarks, model_shapes
from convert.check.remarks import Remark
from detector.cli import one_line
from detector.errors import PipelineError
from detector.files.bounds import SMALL_BYTES
from detector.files.regular import read_text
from detector.onnx_files.read_write import read_message
from detector.spec.atc import FILE_OPTIONS

AIPP = "insert_op_conf"


def file_remarks(values: Mapping[str, str], folders: Sequence[Path]) -> Iterator[Remark]:
    """What the files say.

    Args:
        values: of the line, by option.
        folders: where its relative paths may start; the first that has the file counts.
    """
    model = None
    if "model" in values and not unseen(values["model"]) and values.get("framework", ONNX_FRAMEWORK) == ONNX_FRAMEWORK:
        model = yield from _model(_found(values["model"], folders))
        if model:
            yield from model_remarks(model, values)
    for option in FILE_OPTIONS:
        if option in values and not unseen(values[option]):
            yield from _file(option, values, _found(values[option], folders), model)


def _found(name: str, folders: Sequence[Path]) -> Path:
    paths = [folder / name for folder in folders]
    return next(filter(_exists, paths), paths[0])


def _exists(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 (of a name that is too long it says no, Path.exists raises)


def _model(path: Path) -> Generator[Remark, None, onnx.ModelProto | None]:
    try:
        return read_message(path, may_differ=True)
    except PipelineError as error:
        text = f"{path} is not here" if not _exists(path) else f"cannot be read: {one_line(error)}"
        yield Remark("model", "unknown", f"{text}; names and shapes of its inputs and outputs are not checked")
    return None


def _file(option: str, values: Mapping[str, str], path: Path, model: onnx.ModelProto | None) -> Iterator[Remark]:
    try:
        text = read_text(path, SMALL_BYTES)
    except FileNotFoundError:
        yield Remark(option, "unknown", f"{path} is not here; what it says is not checked")
        return
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not text" if isinstance(error, UnicodeDecodeError) else one_line(error)
        yield Remark(option, "unknown", f"cannot be read: {reason}")
        return
    if option == AIPP:
        yield from _aipp(text, values, model)
    else:
        problem = file_problem(option, path, text)
        if problem:
            yield Remark(option, "refused", f"{path}{problem}")


def _aipp(text: str, values: Mapping[str, str], model: onnx.ModelProto | None) -> Iterator[Remark]:
    for problem in aipp_problems(text, image_gears="dynamic_image_size" in values):
        yield Remark(AIPP, "refused", problem, "E10052")
    if values.get("enable_small_channel") == "1" and is_dynamic(text):
        yield Remark("enable_small_channel", "legal", "pays with static AIPP only, and this one is dynamic")
    for problem in misfits(text, _image_shapes(values, model)):
        yield Remark(AIPP, "refused", problem, "E10052")


def _image_shapes(values: Mapping[str, str], model: onnx.ModelProto | None) -> list[Shape | None]:
    """Shapes of the model's inputs in their order, as far as known; AIPP's are channels first."""
    given = given_shapes(values)
    if values.get("input_format", "NCHW") != "NCHW":
        return []
    if model:
        return [given.get(name, shape) for name, shape in model_shapes(model).items()]
    return list(given.values()) if len(given) == 1 else []
