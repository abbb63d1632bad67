import argparse
import hashlib
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from detector.errors import CheckpointError
from export.checkpoints.reader import read_checkpoint
from export.checkpoints.wrappers import unwrap

Save = Callable[..., Path]


def flat(root: dict[object, object]) -> dict[str, torch.Tensor]:
    """The weights in what was saved, whatever they are of."""
    return unwrap(root, lambda _: False).tensors


@pytest.mark.parametrize("legacy", [False, True])
def test_a_training_checkpoint_gives_weights_and_meta(save: Save, legacy: bool):
    root = {
        "meta": {"cfg": "model = dict()", "CLASSES": ("a", "b"), "args": argparse.Namespace(lr=1)},
        "state_dict": OrderedDict(
            {"module.conv.weight": torch.ones(2), "module.bn.num_batches_tracked": torch.tensor(3)}
        ),
        "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]},
    }
    file = read_checkpoint(save(root, legacy=legacy))
    assert {name: tensor.tolist() for name, tensor in file.tensors.items()} == {"conv.weight": [1, 1]}
    assert file.meta["CLASSES"] == ("a", "b")
    assert file.meta["cfg"] == "model = dict()"


def test_the_hash_is_that_of_the_file(save: Save):
    path = save({"a": torch.ones(1)})
    assert read_checkpoint(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "root",
    [
        {"state_dict": {"a.b": torch.ones(1)}, "model": {"c": torch.ones(1)}},
        {"model": {"module.a.b": torch.ones(1)}, "iteration": 4},
        {"net": {"module.model.a.b": torch.ones(1)}},
        {"model_state": {"_orig_mod.module.a.b": torch.ones(1)}},
        {"a.b": torch.ones(1), "epoch": 3},
        {"state_dict": {}, "module.a.b": torch.ones(1), "module.bn.num_batches_tracked": torch.ones(1)},
        {"state_dict": {"a.b": torch.ones(1), "ema_a_b": torch.ones(1)}},
        {"model": {"a.b": torch.ones(1), "anchor_generator.cell_anchors.0": torch.ones(1)}},
    ],
)
def test_weights_are_found_in_whatever_nest_they_lie(root: dict[object, object]):
    assert list(flat(root)) == ["a.b"]


def test_a_prefix_that_not_all_share_stays():
    assert set(flat({"module.a": torch.ones(1), "b": torch.ones(1)})) == {"module.a", "b"}


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"nothing\.pth not found"):
        read_checkpoint(tmp_path / "nothing.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("kind", ["a FIFO", "a device", "Too many levels of symbolic links"])
def test_only_regular_files_are_opened(tmp_path: Path, kind: str):
    path = tmp_path / "weights.pth"
    if kind == "a FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "a device" else path)
    with pytest.raises(CheckpointError, match=rf"weights\.pth: {kind}"):
        read_checkpoint(path)


def test_a_link_to_weights_is_followed(tmp_path: Path, save: Save):
    link = tmp_path / "link.pth"
    link.symlink_to(save({"a": torch.ones(1)}))
    assert list(read_checkpoint(link).tensors) == ["a"]


def test_an_empty_file_is_named(tmp_path: Path):
    path = tmp_path / "empty.pth"
    path.touch()
    with pytest.raises(CheckpointError, match=r"empty\.pth is empty"):
        read_checkpoint(path)


def test_a_checkpoint_without_weights_lists_its_keys(save: Save):
    with pytest.raises(CheckpointError, match=r"holds no weights.*epoch, state_dict"):
        read_checkpoint(save({"epoch": 1, "state_dict": {}}))


# A finder before all others, so that it does not matter what is installed.
BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError(f"{{name}} is blocked")
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from export.checkpoints.reader import read_checkpoint
print(len(read_checkpoint(Path({path!r})).tensors))
print([name for name in sys.modules if name.split(".")[0] in {blocked}])
"""

FRAMEWORKS = ("mmengine", "mmcv", "mmdet", "mindspore", "google", "safetensors", "detectron2", "torchvision")


@pytest.mark.parametrize(
    ("name", "count"), [("mmdet_gn.pth", None), ("mmdet_legacy.pth", None), ("mindspore_types.ckpt", 16)]
)
def test_genuine_files_are_read_without_their_framework(name: str, count: int | None):
    path = Path(__file__).resolve().parents[2] / "data" / name
    program = BLOCKED.format(blocked=FRAMEWORKS, path=str(path))
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    found, imported = done.stdout.splitlines()
    assert int(found) == (count or len(read_checkpoint(path).tensors))
    assert imported == "[]"


@pytest.mark.parametrize(
    "root",
    [
        {"state": {0: {"momentum_buffer": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]},
        {"optimizer": {"state": {}}, "epoch": 3},
    ],
)
def test_an_optimizer_alone_is_named(save: Save, root: dict[str, object]):
    with pytest.raises(CheckpointError, match=r"holds no weights \(the state of an optimizer alone; its keys"):
        read_checkpoint(save(root))


def test_prefixes_without_end_are_not_followed():
    tensors = flat({"module." * 100_000 + "a": torch.ones(1)})
    assert [name.count("module.") for name in tensors] == [99_992]
