"""Small detectors that several tests share."""

import ctypes
import gc
import json
import signal
import sys
from pathlib import Path

import hypothesis
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from detector.onnx_files.read_write import embed_spec
from detector.spec import DetectorSpec
from tests import coco_set

DATA = Path(__file__).parent / "data"
CHECK = Path(__file__).resolve().parents[2] / "shared" / "data" / "cocoapi_fake"

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


# A shell that starts the tests in the background makes them ignore interrupts; some tests send themselves one.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several processes begin with the exports: one that was left with them would end long after the others."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("exports") is None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Thousands of copies of this process are made (`convert.graph.isolated`): let each have less to copy."""
    gc.collect()
    gc.freeze()
    _join_pages()


def _join_pages() -> None:
    """Make large pages of what was allocated, which one entry of the page table stands for instead of 512.

    A kernel that cannot (before Linux 6.1) says so in the result, which changes nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    collapse, size = 25, 2**21  # MADV_COLLAPSE of Linux's asm-generic/mman-common.h
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, mode, _, _, _, name, *_ = [*line.split(), "anonymous"]
        start, end = (int(address, 16) for address in place.split("-"))
        first, last = -(-start // size) * size, end // size * size
        if mode == "rw-p" and name in ("anonymous", "[heap]") and first < last:
            madvise(first, last - first, collapse)


@pytest.fixture(scope="session")
def photographs() -> Path:
    """Four photographs of COCO with generated annotations, see tests/data/README.md."""
    return DATA / "coco"


@pytest.fixture(scope="session")
def coco_boxes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Annotation file of generated objects of the kinds that COCO has, see tests/coco_set.py."""
    path = tmp_path_factory.mktemp("coco") / "boxes.json"
    path.write_text(json.dumps(coco_set.annotations()))
    return path


@pytest.fixture(scope="session")
def coco_detections(coco_boxes: Path) -> Path:
    """Result file of generated detections of those objects."""
    path = coco_boxes.with_name("detections.json")
    path.write_text(json.dumps(coco_set.detections(json.loads(coco_boxes.read_text()))))
    return path


@pytest.fixture(scope="session")
def evaluator_check() -> Path:
    """The COCO team's check of its evaluator, which is not ours to pass on: only tests marked `big` may ask for it."""
    for name in ("instances_val2014_100.json", "instances_val2014_fakebbox100_results.json"):
        if not (CHECK / name).is_file():
            pytest.skip(f"{CHECK / name} is absent: tests/data/README.md says what it is and where to get it")
    return CHECK


@pytest.fixture
def spec() -> DetectorSpec:
    """A three-class detector on a 64 x 96 canvas."""
    return DetectorSpec.model_validate(
        {
            "name": "tiny",
            "detector": "fcos",
            "canvas": [64, 96],
            "image": {"channels": "RGB", "mean": [120.0, 115.0, 100.0], "std": [58.0, 57.0, 57.5]},
            "decode": {"max_detections": 10},
            "classes": ["circle", "square", "star"],
        }
    )


@pytest.fixture
def picture() -> np.ndarray:
    """(20, 30, 3) uint8 noise."""
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def canonical(spec: DetectorSpec) -> onnx.ModelProto:
    """A canonical graph in miniature: dynamic shapes, shape arithmetic, the NMS function; boxes come from the image.
    constants["three"] = [0, 3, -1]

    The image is averaged over 8 x 8 cells; each cell is a box whose scores are the sigmoids of the channels' means.
    """
    from detector.nms.function import NMS_DOMAIN, nms_attributes, nms_function

    node = helper.make_node
    constants = {
        "axis_2": [2],
        "last": [-1],
        "four": [4],
        "two": [2],
        "eight": [8],
        "tail": [-1, 4],
        "three": [0, 3, -1],
    }
    initializers = [helper.make_tensor(k, TensorProto.INT64, [len(v)], v) for k, v in constants.items()]
    initializers += [
        helper.make_tensor("zero", TensorProto.INT64, [], [0]),
        helper.make_tensor("one", TensorProto.INT64, [], [1]),
        helper.make_tensor("size", TensorProto.FLOAT, [4], [0.0, 0.0, 8.0, 8.0]),
        helper.make_tensor("f0", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("f1", TensorProto.FLOAT, [], [1.0]),
    ]
    nodes = [
        node("AveragePool", ["input"], ["cells"], kernel_shape=[8, 8], strides=[8, 8]),
        node("Reshape", ["cells", "three"], ["channels"]),
        node("Transpose", ["channels"], ["logits"], perm=[0, 2, 1]),
        node("Sigmoid", ["logits"], ["scores"]),
        # x of the cells along one row, from the width of the input: arithmetic that freezing must fold away.
        node("Shape", ["scores"], ["shape"]),
        node("Slice", ["shape", "one_v", "two"], ["count"]),
        node("Squeeze", ["count"], ["count_scalar"]),
        node("Range", ["zero", "count_scalar", "one"], ["index"]),
        node("Mul", ["index", "eight"], ["x"]),
        node("Cast", ["x"], ["x_float"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["x_float", "last"], ["column"]),
        node("Add", ["column", "size"], ["corners"]),
        node("Slice", ["shape", "zero_v", "one_v"], ["batch_v"]),
        node("Concat", ["batch_v", "tail"], ["wide"], axis=0),
        node("Slice", ["wide", "zero_v", "one_v"], ["batch_only"]),
        node("Concat", ["batch_only", "count", "four"], ["target"], axis=0),
        node("Expand", ["corners", "target"], ["boxes"]),
        node("Unsqueeze", ["boxes", "axis_2"], ["boxes_4d"]),
        node(
            "BatchMultiClassNMS",
            ["boxes_4d", "scores"],
            ["nmsed_boxes", "nmsed_scores", "nmsed_classes", "nmsed_num"],
            name="nms",
            domain=NMS_DOMAIN,
            **nms_attributes(spec.decode),
        ),
        node("Cast", ["nmsed_classes"], ["labels"], to=TensorProto.INT64),
        node("Unsqueeze", ["nmsed_scores", "last"], ["score_column"]),
        node("Concat", ["nmsed_boxes", "score_column"], ["dets"], axis=-1),
    ]
    initializers += [
        helper.make_tensor("one_v", TensorProto.INT64, [1], [1]),
        helper.make_tensor("zero_v", TensorProto.INT64, [1], [0]),
    ]
    rows = spec.decode.max_detections
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, "height", "width"])],
        [
            helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch", rows]),
            helper.make_tensor_value_info("dets", TensorProto.FLOAT, ["batch", rows, 5]),
        ],
        initializers,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 16), helper.make_opsetid(NMS_DOMAIN, 1)],
        functions=[nms_function(16)],
        ir_version=9,
    )
    embed_spec(model, spec)
    onnx.checker.check_model(model)
    return model


def run_onnx(model: onnx.ModelProto, images: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of a model by name."""
    import onnxruntime as ort

    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"input": images}), strict=True))
