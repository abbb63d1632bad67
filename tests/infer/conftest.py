"""Tiny models of exact arithmetic with folders of inputs for them; machines made of stand-in programs."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper

from infer.doctor import npu_host

OPSET = 16
Shape = Sequence[int | str]
SPEC = {
    "name": "tiny",
    "detector": "fcos",
    "canvas": [64, 96],
    "image": {"channels": "RGB", "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]},
    "classes": ["thing"],
}


def save_model(
    path: Path,
    inputs: dict[str, tuple[int, Shape]],
    outputs: dict[str, int],
    nodes: list[NodeProto],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a model; inputs map names to element type and shape, outputs to element type."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    path.write_bytes(model.SerializeToString())


def save_samples_model(path: Path, batch: int | str) -> None:
    """Input x float32 [batch, 3, 2]; outputs of four element types, one sample per row."""
    node = helper.make_node
    save_model(
        path,
        {"x": (TensorProto.FLOAT, [batch, 3, 2])},
        {"whole": TensorProto.INT64, "same": TensorProto.FLOAT, "half": TensorProto.FLOAT16, "over": TensorProto.BOOL},
        [
            node("Constant", [], ["limit"], value_float=2.0),
            node("Cast", ["x"], ["whole"], to=TensorProto.INT64),
            node("Identity", ["x"], ["same"]),
            node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
            node("Greater", ["x", "limit"], ["over"]),
        ],
    )


def sample(number: int, dtype: str = "float32") -> np.ndarray:
    """One sample [1, 3, 2] whose values tell its number."""
    return (np.arange(6).reshape(1, 3, 2) / 4 + number).astype(dtype)


def save_bins(folder: Path, names: Sequence[str], dtype: str = "float32") -> None:
    """One sample per name, as .bin or .npy by its suffix."""
    folder.mkdir()
    for number, name in enumerate(names):
        if name.lower().endswith(".npy"):
            with (folder / name).open("wb") as file:
                np.save(file, sample(number, dtype))
        else:
            (folder / name).write_bytes(sample(number, dtype).tobytes())


def build_world(folder: Path) -> None:
    """All models and inputs of the conformance cases."""
    node = helper.make_node
    for batch in (1, 4, 8):
        save_samples_model(folder / f"b{batch}.onnx", batch)
    save_samples_model(folder / "dyn.onnx", "batch")
    image = {"x": (TensorProto.FLOAT, [1, 1, "height", "width"])}
    save_model(folder / "hw.onnx", image, {"y": TensorProto.FLOAT}, [node("Identity", ["x"], ["y"])])
    pair = {"a": (TensorProto.FLOAT, [2, 3, 2]), "b": (TensorProto.INT32, [2, 1, 1])}
    shifted = [node("Cast", ["b"], ["shift"], to=TensorProto.FLOAT), node("Add", ["a", "shift"], ["y"])]
    save_model(folder / "two.onnx", pair, {"y": TensorProto.FLOAT}, shifted)
    rows = {"x": (TensorProto.FLOAT, [4, 3, 2])}
    save_model(folder / "total.onnx", rows, {"y": TensorProto.FLOAT}, [node("ReduceSum", ["x"], ["y"], keepdims=0)])
    turned = [node("Transpose", ["x"], ["y"], perm=[1, 0, 2])]
    save_model(folder / "axis1.onnx", rows, {"y": TensorProto.FLOAT}, turned)

    names = [f"img{number}" for number in (1, 2, 3, 9, 10)]
    save_bins(folder / "five", [f"{name}.bin" for name in names])
    save_bins(folder / "many", [f"{number:012d}.bin" for number in range(17)])
    save_bins(folder / "npys", [f"{name}.npy" for name in names])
    save_bins(folder / "spelt", ["a1.BIN", "A2.NPY", "a10.bin", "a3.npy", "B.Bin", "c.txt"])
    (folder / "spelt" / "sub.bin").mkdir()
    save_bins(folder / "dots", ["img1.x.bin", "img2.y.z.bin"])
    save_bins(folder / "halves", [f"{name}.bin" for name in names], "float16")
    save_bins(folder / "doubles", [f"{name}.npy" for name in names], "float64")
    save_bins(folder / "none", ["readme.txt"])
    save_bins(folder / "late", [f"{name}.bin" for name in names])
    (folder / "late" / "img9.bin").write_bytes(b"short")
    save_bins(folder / "odd", ["img1.bin"])
    (folder / "odd" / "img1.bin").write_bytes(b"seven b")
    save_bins(folder / "blank", ["img1.bin"])
    (folder / "blank" / "img1.bin").write_bytes(b"")
    for name, count in (("shifts", 5), ("few", 4)):
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"s{number}.bin").write_bytes(np.int32(100 * number).tobytes())
    (folder / "images").mkdir()
    for number in range(2):
        values = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4) + number
        np.save(folder / "images" / f"i{number}.npy", values)
    build_gears(folder)


def build_gears(folder: Path) -> None:
    """Models with gears as their spec says, and images for both orientations."""
    kinds: dict[str, tuple[Shape, dict[str, list[Any]]]] = {
        "batch": (["batch", 3, 64, 96], {"batch_sizes": [1, 2, 4]}),
        "image": ([1, 3, "height", "width"], {"image_sizes": [[64, 96], [96, 64]]}),
        "dims": (["batch", 3, "height", "width"], {"dims": [[1, 64, 96], [2, 96, 64]]}),
    }
    for kind, (shape, gears) in kinds.items():
        spec = {**SPEC, "atc": gears}
        save_model(
            folder / f"gears_{kind}.onnx",
            {"input": (TensorProto.FLOAT, shape)},
            {"y": TensorProto.FLOAT},
            [helper.make_node("Neg", ["input"], ["y"])],
            {"omline.spec": json.dumps(spec)},
        )
    for name, size in (("landscape", (64, 96)), ("portrait", (96, 64))):
        (folder / name).mkdir()
        for number in range(3):
            image = np.arange(3 * 64 * 96, dtype=np.float32).reshape(3, *size) + number
            (folder / name / f"i{number}.bin").write_bytes(image.tobytes())


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the models and inputs."""
    build_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


NPU_SMI = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 25.2.1                   Version: 25.2.1                                               |
+-------------------------------+-----------------+----------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)   Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                |
+===============================+=================+==============================================+
| 0       310P3                 | OK              | NA           49        8728  / 8728          |
| 0       0                     | 0000:01:00.0    | 0            19435/ 21527                    |
+===============================+=================+==============================================+
| 32      310P3                 | {health}        | NA           49        0     / 0             |
| 0       1                     | 0000:02:00.0    | 0            1910 / 21527                    |
+===============================+=================+==============================================+
| NPU     Chip                  | Process id      | Process name             | Process memory(MB) |
| 0       0                     | 4711            | python3                  | 17000              |
+-------------------------------+-----------------+----------------------------------------------+
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with nothing of Ascend: empty PATH, no devices, no CANN; the working directory is tmp_path/work."""
    for name in ("bin", "dev", "work", "Ascend"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setattr(npu_host, "DEVICES", tmp_path / "dev")
    monkeypatch.setattr(npu_host, "ROOTS", (str(tmp_path / "Ascend"),))
    for variable in npu_host.HOME_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path / "work")
    before = os.umask(0o027)
    yield tmp_path
    os.umask(before)


def program(machine: Path, name: str, text: str, exit_code: int = 0) -> None:
    """A program that says something."""
    path = machine / "bin" / name
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {exit_code}\n")
    path.chmod(0o755)


def device_tools(machine: Path, answer: str = '["3.10.12", "0.0.2", "0.0.2", null, true]') -> None:
    """A python3 that answers the probe."""
    program(machine, "python3", answer)


@pytest.fixture
def npu(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An NPU host with everything in order."""
    program(bare, "npu-smi", NPU_SMI.format(health="OK     "))
    program(bare, "atc", "")
    device_tools(bare)
    for name in ("davinci0", "davinci1", "davinci_manager", "devmm_svm", "hisi_hdc"):
        (bare / "dev" / name).touch()
    cann = bare / "Ascend/ascend-toolkit/latest"
    info = cann / f"{os.uname().machine}-linux"
    info.mkdir(parents=True)
    (info / "ascend_toolkit_install.info").write_text("package_name=Ascend-cann-toolkit\nversion=8.1.RC1\n")
    (cann / "set_env.sh").touch()
    monkeypatch.setenv("ASCEND_TOOLKIT_HOME", str(cann))
    return bare
