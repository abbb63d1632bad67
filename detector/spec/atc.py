"""AtcSpec: options of the converter to Ascend's offline models."""

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from detector.spec.strict_model import StrictModel

Count = Annotated[int, Field(ge=1)]
# Legal on 310P; atc knows more, for chips that compute bfloat16 or hif8.
PrecisionMode = Literal[
    "force_fp16", "force_fp32", "cube_fp16in_fp32out", "allow_fp32_to_fp16", "must_keep_origin_dtype",
    "allow_mix_precision", "allow_mix_precision_fp16",
]  # fmt: skip
PrecisionModeV2 = Literal["fp16", "origin", "cube_fp16in_fp32out", "mixed_float16"]


FILE_OPTIONS = (
    "keep_dtype", "customize_dtypes", "modify_mixlist", "op_precision_mode", "insert_op_conf", "fusion_switch_file",
)  # fmt: skip
"""Options that name a file."""


class AtcSpec(StrictModel):
    """Options of the converter (atc); `convert` checks them against each other, see `convert/atc/rules.py`.

    One OM serves one shape, or a list of them ("gears"): at most one of `batch_sizes`, `image_sizes` and `dims`. A file
    is named as on the machine where `convert` runs; it is copied beside the files for the NPU host.

    Attributes:
        soc_version: chip name as atc spells it; `310P3` is taken for `Ascend310P3`.
        log: atc's log level.
        opset: of the ONNX that atc reads; 11 is what every CANN release from 5.0.4 on takes, and AOE; 17 and 18 from
            CANN 7.0 on, and under nms "host" only: the card's NMS has a parser up to 16.
        nms: where boxes are suppressed: "device": by the card's operator, in float16; "host": by postprocess, the OM
            ends at boxes and scores; "refine": by the card's operator, a later node recovers the float32 boxes of
            what it picked.
        candidates: set by convert under nms "host": rows that the OM puts out per image.
        batch_sizes: gears: images per run.
        image_sizes: gears: (height, width) in pixels; the canvas is one of them.
        dims: gears: (images per run, height, width).
        precision_mode: how float32 operators are computed; None: atc's default, force_fp16. Never with the next one.
        precision_mode_v2: the same in the newer spelling; default fp16.
        keep_dtype: file with the operators that keep their element type, one name or `OpType::<type>` a line.
        customize_dtypes: file with the element types of single operators.
        modify_mixlist: JSON file of the operators that mixed precision may or may not lower.
        op_precision_mode: ini file with the precision of single operators.
        insert_op_conf: AIPP file of a command made by hand; `convert` refuses it, because bins and stand-in would not
            follow: for `image.dtype` uint8 it renders the file from the spec.
        enable_small_channel: the first convolution's special path; profitable with static AIPP only.
        fusion_switch_file: file with the fusion passes to switch off.
        buffer_optimize: None: atc's default, l2_optimize; off when hunting accuracy bugs.
        disable_reuse_memory: every tensor gets memory of its own.
        op_debug_level: other than 0 leaves `kernel_meta/`; those fit for production.
        op_compiler_cache_mode: whether compiled operators are kept; default disable.
        op_compiler_cache_dir: folder of that cache; default `$HOME/atc_data`.
        deterministic: equal results in every run, slower.
        status_check: the OM detects overflow.
        host_env_os: of the machine that runs the OM, if it is not this one; with the next one.
        host_env_cpu: processor of that machine.
    """

    soc_version: Literal["Ascend310P1", "Ascend310P3", "Ascend310P5", "Ascend310P7"] = "Ascend310P3"
    log: Literal["debug", "info", "warning", "error", "null"] = "error"
    opset: Literal[11, 13, 16, 17, 18] = 11
    nms: Literal["device", "host", "refine"] = "device"
    candidates: Count | None = None
    batch_sizes: tuple[Count, ...] | None = None
    image_sizes: tuple[tuple[Count, Count], ...] | None = None
    dims: tuple[tuple[Count, Count, Count], ...] | None = None
    precision_mode: PrecisionMode | None = None
    precision_mode_v2: PrecisionModeV2 | None = None
    keep_dtype: str | None = None
    customize_dtypes: str | None = None
    modify_mixlist: str | None = None
    op_precision_mode: str | None = None
    insert_op_conf: str | None = None
    enable_small_channel: bool = False
    fusion_switch_file: str | None = None
    buffer_optimize: Literal["l2_optimize", "off_optimize"] | None = None
    disable_reuse_memory: bool = False
    op_debug_level: Literal[0, 3, 4] = 0
    op_compiler_cache_mode: Literal["enable", "force", "disable"] | None = None
    op_compiler_cache_dir: str | None = None
    deterministic: bool = False
    status_check: bool = False
    host_env_os: Literal["linux"] | None = None
    host_env_cpu: Literal["x86_64", "aarch64"] | None = None

    @pydantic.field_validator("soc_version", mode="before")
    @classmethod
    def _spell_chip(cls, value: Any) -> Any:
        return normalized_chip(value) if isinstance(value, str) else value

    @pydantic.field_validator("precision_mode", "precision_mode_v2", mode="before")
    @classmethod
    def _chip_has_the_type(cls, value: Any) -> Any:
        if isinstance(value, str) and any(name in value for name in ("bf16", "bfloat16", "hif8")):
            raise ValueError(f"the 310P chips compute neither bfloat16 nor hif8, got {value!r}; take a float16 mode")
        return value


def normalized_chip(name: str) -> str:
    """The chip's name as atc spells it: `npu-smi info` prints it without the prefix (`310P3`)."""
    bare = name[len("ascend") :] if name.lower().startswith("ascend") else name
    return f"Ascend{bare.upper()}"
