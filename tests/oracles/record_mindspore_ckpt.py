"""Write small checkpoints with the genuine MindSpore and record the values that they hold.

    cd tests/oracles && python record_mindspore_ckpt.py

in an environment with mindspore 2.7.0 (CPU build). Leaves in tests/data:

    mindspore_types.ckpt      a parameter of every type that `save_checkpoint` writes and `load_checkpoint` reads,
                              scalars and a text
    mindspore_sliced.ckpt     tensors that were split because they are larger than SLICE_SIZE, which is lowered to 1 KiB
    mindspore_crc.ckpt        crc_check=True
    mindspore_encrypted.ckpt  enc_key=b"0123456789ABCDEF", AES-GCM
    mindspore_ckpt.npz        the values: "types/<parameter>", "sliced/<parameter>", "crc/<parameter>" and
                              "encrypted/<parameter>" (what a reader with the key would find), as `load_checkpoint` read
                              them back; bfloat16 as float32, of equal value

MindSpore writes its files read-only; they are made writable for the sake of version control.
"""

from collections.abc import Mapping

import mindspore
import numpy as np
from mindspore import Tensor, load_checkpoint, save_checkpoint
from mindspore.train import serialization
from records import DATA

KEY = b"0123456789ABCDEF"
NUMBERS = (
    "float16", "float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
)  # fmt: skip


def main() -> None:
    """Write the files."""
    values = {
        **_save(
            "types", _types(), append={"learning_rate": 0.01, "global_step": 7, "finished": True, "note": "größer"}
        ),
        **_save("sliced", _tensors((40, 5, 3, 3)), slice_kib=1),
        **_save("crc", _tensors((4, 3, 3, 3)), crc_check=True),
        **_save("encrypted", _tensors((4, 3, 3, 3)), enc_key=KEY),
    }
    np.savez_compressed(DATA / "mindspore_ckpt.npz", **values, source=np.array([f"mindspore {mindspore.__version__}"]))


def _types() -> dict[str, Tensor]:
    """A parameter of every type; the extreme values of each."""
    parameters = {}
    for name in NUMBERS:
        limits = np.finfo(name) if name.startswith("float") else np.iinfo(name)
        values = np.array([[limits.min, 0, 1], [2, 3, limits.max]], name)
        parameters[name] = Tensor(values)
    parameters["bfloat16"] = Tensor(np.array([[-1.5, 0, 1], [2, 3, 2.0**120]], np.float32), mindspore.bfloat16)
    parameters["bool"] = Tensor(np.array([[True, False, False], [False, True, True]]))
    parameters["scalar"] = Tensor(np.float32(0.375))
    parameters["one"] = Tensor(np.array([0.375], np.float32))
    return parameters


def _tensors(shape: tuple[int, ...]) -> dict[str, Tensor]:
    """Tensors of a layer under names as the detectors have them."""
    random = np.random.RandomState(0)
    return {
        "fcos_body.fpn.prj_5.weight": Tensor(random.standard_normal(shape).astype(np.float32)),
        "fcos_body.fpn.prj_5.bias": Tensor(random.standard_normal(shape[0]).astype(np.float32)),
        "fcos_body.fpn.conv_5.weight": Tensor(random.standard_normal(shape).astype(np.float16)),
    }


def _save(
    name: str,
    parameters: Mapping[str, Tensor],
    *,
    append: Mapping[str, bool | float | str] | None = None,
    slice_kib: int = serialization.SLICE_SIZE,
    crc_check: bool = False,
    enc_key: bytes | None = None,
) -> dict[str, np.ndarray]:
    """Write tests/data/mindspore_<name>.ckpt and read it back."""
    path = DATA / f"mindspore_{name}.ckpt"
    before, serialization.SLICE_SIZE = serialization.SLICE_SIZE, slice_kib
    save_checkpoint(
        [{"name": key, "data": value} for key, value in parameters.items()],
        str(path),
        append_dict=dict(append or {}),
        crc_check=crc_check,
        enc_key=enc_key,
    )
    serialization.SLICE_SIZE = before
    path.chmod(0o644)
    loaded = load_checkpoint(str(path), dec_key=enc_key, crc_check=crc_check)
    return {f"{name}/{key}": _array(value) for key, value in loaded.items()}


def _array(value: Tensor | str) -> np.ndarray:
    """What numpy can hold of it."""
    if isinstance(value, str):
        return np.array(value)
    if value.dtype == mindspore.bfloat16:
        return value.astype(mindspore.float32).asnumpy()
    return value.asnumpy()


if __name__ == "__main__":
    main()
