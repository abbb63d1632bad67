"""Claim: a checkpoint is read in at most 1.5 times its size of memory, and no slower than torch.load reads it.

    python -m benchmarks.checkpoints > benchmarks/checkpoints.txt

The files are of the size of an R50 detector, random numbers under its shapes, in every container that is read. Memory
is the growth of the peak resident set of a process that has imported torch and the reader, as the kernel counts it
(VmHWM, pages of the mapped file included). Times are those of `read_checkpoint` and of torch.load(weights_only=True) in
one process, in turn, on a file that is in the page cache; torch.load reads only two of the containers. Ours includes
the check sums of the zip container, which torch.load does not look at. Both must give the tensors that were written.
"""

import functools
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import machine_text
from detector.cli import Parser, positive, run
from detector.errors import AccuracyError
from export.checkpoints.reader import read_checkpoint

Tensors = dict[str, Tensor]

ROOT = Path(__file__).resolve().parents[1]
# Blocks, width and width of the output of the stages of a ResNet-50.
STAGES = ((3, 64, 256), (4, 128, 512), (6, 256, 1024), (3, 512, 2048))
TORCH_FILES = ("torch zip", "torch legacy")

CHILD = """
import sys
from pathlib import Path
from export.checkpoints.reader import read_checkpoint
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
file = read_checkpoint(Path(sys.argv[1]))
print(peak() - before)
"""


def synthetic_weights(*, scale: int = 1, seed: int = 0) -> Tensors:
    """Random tensors under the shapes of a ResNet-50, an FPN and two towers; every width divided by `scale`."""
    generator = torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {"backbone.conv1.weight": (64 // scale, 3, 7, 7)}
    into = 64 // scale
    for stage, (blocks, width, out) in enumerate(STAGES, start=1):
        for block in range(blocks):
            name, narrow, wide = f"backbone.layer{stage}.{block}", width // scale, out // scale
            shapes[f"{name}.conv1.weight"] = (narrow, into, 1, 1)
            shapes[f"{name}.conv2.weight"] = (narrow, narrow, 3, 3)
            shapes[f"{name}.conv3.weight"] = (wide, narrow, 1, 1)
            for norm, channels in (("bn1", narrow), ("bn2", narrow), ("bn3", wide)):
                for part in ("weight", "bias", "running_mean", "running_var"):
                    shapes[f"{name}.{norm}.{part}"] = (channels,)
            into = wide
    fpn = 256 // scale
    shapes |= {f"neck.fpn_convs.{level}.conv.weight": (fpn, fpn, 3, 3) for level in range(5)}
    shapes |= {f"bbox_head.towers.{index}.conv.weight": (fpn, fpn, 3, 3) for index in range(10)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write_torch(path: Path, tensors: Tensors, *, zipped: bool) -> None:
    """As training frameworks save: the weights beside what they say of them."""
    torch.save({"meta": {"epoch": 12}, "state_dict": tensors}, path, _use_new_zipfile_serialization=zipped)


def write_pickle(path: Path, tensors: Tensors) -> None:
    """As Detectron2's model zoo."""
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "benchmark"}, protocol=3))


def write_mindspore(path: Path, tensors: Tensors) -> None:
    """As MindSpore's save_checkpoint: see export/checkpoints/containers/mindspore_file.py."""

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 0x80 else bytes([value & 0x7F | 0x80]) + varint(value >> 7)

    def field(number: int, data: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(data)) + data

    with path.open("wb") as file:
        for name, tensor in tensors.items():
            dims = b"".join(b"\x08" + varint(extent) for extent in tensor.shape)
            body = dims + field(2, b"Float32") + field(3, tensor.numpy().tobytes())
            file.write(field(1, field(1, name.encode()) + field(2, body)))


def write_safetensors(path: Path, tensors: Tensors) -> None:
    """As the library of that name."""
    header, at = {}, 0
    for name, tensor in tensors.items():
        offsets = [at, at := at + 4 * tensor.numel()]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for tensor in tensors.values():
            file.write(tensor.numpy().tobytes())


WRITERS: dict[str, Callable[[Path, Tensors], None]] = {
    "torch zip": functools.partial(write_torch, zipped=True),
    "torch legacy": functools.partial(write_torch, zipped=False),
    "pickle": write_pickle,
    "mindspore": write_mindspore,
    "safetensors": write_safetensors,
}


def memory_of_reading(path: Path) -> int:
    """Bytes by which reading raises the peak of a fresh process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-c", CHILD, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": search})
    return int(done.stdout)


def read_with_torch(path: Path) -> Tensors:
    """What torch.load finds, without running anything either."""
    weights: Tensors = torch.load(path, weights_only=True)["state_dict"]
    return weights


def read_with_ours(path: Path) -> Tensors:
    """What the reader behind `python -m export` finds."""
    return read_checkpoint(path).tensors


def times_of_reading(path: Path, written: Tensors, *, with_torch: bool, rounds: int) -> dict[str, list[float]]:
    """Seconds of every side in every round.

    Raises:
        AccuracyError: a side gives other tensors than were written.
    """
    sides = {"ours": read_with_ours} | ({"torch.load": read_with_torch} if with_torch else {})
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():  # in turn, so that a busy minute of the machine meets both
            start = time.perf_counter()
            found = side(path)
            times[name].append(time.perf_counter() - start)
            if found.keys() != written.keys() or not all(torch.equal(found[key], written[key]) for key in written):
                raise AccuracyError(f"{name} reads other tensors from {path} than were written")
    return times


def main(argv: Sequence[str]) -> None:
    """Compare tensors, memory and times."""
    parser = Parser(prog="python -m benchmarks.checkpoints", description=__doc__)
    parser.add_argument("--rounds", type=positive, default=12, help="times that each side reads (default %(default)s)")
    parser.add_argument("--scale", type=positive, default=1, help="divides each width of the R50 (default %(default)s)")
    parser.add_argument("--work", type=Path, help="folder to use; 130 MB (default: temporary)")
    args = parser.parse_args(argv)
    print(machine_text(["torch", "numpy"]))  # first: its load is that of others
    tensors = synthetic_weights(scale=args.scale)
    print(f"{len(tensors)} tensors, {sum(tensor.nbytes for tensor in tensors.values()) / 1e6:.1f} MB")
    print("container          MB  memory x size     ours s  torch.load s   ratio")
    rows: dict[str, Any] = {}
    for name, write in WRITERS.items():
        with tempfile.TemporaryDirectory(dir=args.work) as folder:
            path = Path(folder) / "weights"
            write(path, tensors)
            size = path.stat().st_size
            memory = memory_of_reading(path) / size
            times = times_of_reading(path, tensors, with_torch=name in TORCH_FILES, rounds=args.rounds)
        best = {side: min(values) for side, values in times.items()}  # the round that others disturbed least
        rows[name] = {"bytes": size, "memory": memory, "seconds": best}
        theirs = best.get("torch.load")
        against = f"{theirs:12.3f} {theirs / best['ours']:7.2f}" if theirs else "           -       -"
        print(f"{name:<14} {size / 1e6:6.1f} {memory:14.2f} {best['ours']:10.3f}  {against}")
    ratio = min(rows[name]["seconds"]["torch.load"] / rows[name]["seconds"]["ours"] for name in TORCH_FILES)
    print(json.dumps({"files": rows, "memory": max(row["memory"] for row in rows.values()), "ratio": ratio}))


if __name__ == "__main__":
    run(main)
