"""What the manual of atc knows: every option by name, its legal values, and what replaces a deprecated one.

Facts of the ATC manual in source form (hicann/ge, docs/zh/user_guides/atc_tools/CLI_options, 2026-08) and of the parser
(api/atc/cmd_flag_info.cc); values are those of ONNX models on the 310P chips.
"""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from detector.spec.atc import PrecisionMode, PrecisionModeV2

SINGLE_OPERATOR = ("output", "soc_version")
"""The same under `--singleop`."""

OTHER_CHIP = re.compile(r"Ascend(?!310P)\d{3}\w*")
"""Chips outside the 310P family (`Ascend310`, `Ascend310B1`, `Ascend910B4`): their OM does not run on a 310P. Ascend710
was an early name of the family."""

OTHER_ATC = re.compile(r"(Hi|SS|SD|BS|OPTG|Kirin)[0-9]\w*")
"""Chips of other families (`Hi3516CV610`, `SS928V100`), whose atc is another program with options of its own."""

REQUIRED = ("framework", "model", "output", "soc_version")
"""Without one of them atc makes no OM (E10054, E10007)."""

FLAGS = ("help", "raw_ge_options_ignore_unsupported")
"""Options that stand without a value."""

GEARS = ("dynamic_batch_size", "dynamic_image_size", "dynamic_dims")
"""Lists of shapes that one OM serves; mutually exclusive (E10009)."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        kind: "path" is checked for its characters.
        values: legal values; empty: any.
        instead: what to use instead of a deprecated or removed option; None: neither.
        removed: current atc refuses it.
        code: what atc answers to a value that is not legal, where known.
    """

    kind: Literal["text", "path"] = "text"
    values: tuple[str, ...] = ()
    instead: str | None = None
    removed: bool = False
    code: str | None = "E10001"


_TEXT = Option()
_PATH = Option("path")
_SWITCH = Option(values=("0", "1"), code="E10006")
_BOOLEAN = Option(values=("true", "false"), code="E10005")

OPTIONS: dict[str, Option] = {
    # basic
    "mode": Option(values=("0", "1", "3", "5", "6", "7", "30")),
    "framework": Option(values=("0", "1", "3", "5"), code="E10007"),
    "model": _PATH,
    "weight": _PATH,
    "om": _PATH,
    "json": _PATH,
    "output": _PATH,
    "singleop": _PATH,
    "input_format": Option(values=("NCHW", "ND", "NCDHW")),
    "input_shape": _TEXT,
    "input_shape_range": Option(instead="--input_shape with ranges such as 1~10"),
    "dynamic_batch_size": _TEXT,
    "dynamic_image_size": _TEXT,
    "dynamic_dims": _TEXT,
    "soc_version": _TEXT,
    "core_type": Option(values=("AiCore", "VectorCore")),
    "aicore_num": _TEXT,
    "virtual_type": _SWITCH,
    "host_env_os": Option(values=("linux", "minios")),
    "host_env_cpu": Option(values=("x86_64", "aarch64", "arm64", "arm")),
    "output_type": _TEXT,
    "check_report": _PATH,
    "raw_ge_options": _PATH,
    "raw_ge_options_ignore_unsupported": _TEXT,
    # inputs, outputs, inserted operators
    "out_nodes": _TEXT,
    "input_fp16_nodes": _TEXT,
    "insert_op_conf": _PATH,
    "op_name_map": _PATH,
    "is_input_adjust_hw_layout": _TEXT,
    "is_output_adjust_hw_layout": _TEXT,
    "external_weight": Option(values=("0", "1", "2"), code="E10006"),
    # precision
    "precision_mode": Option(values=get_args(PrecisionMode)),
    "precision_mode_v2": Option(values=get_args(PrecisionModeV2)),
    "keep_dtype": _PATH,
    "customize_dtypes": _PATH,
    "modify_mixlist": _PATH,
    "op_precision_mode": _PATH,
    "op_select_implmode": Option(
        values=("high_precision", "high_performance", "high_precision_for_all", "high_performance_for_all"),
        instead="--op_precision_mode",
    ),
    "optypelist_for_implmode": Option(instead="--op_precision_mode"),
    "is_weight_clip": _SWITCH,
    "allow_hf32": _BOOLEAN,
    # tuning
    "enable_small_channel": _SWITCH,
    "fusion_switch_file": _PATH,
    "buffer_optimize": Option(values=("l2_optimize", "l1_optimize", "off_optimize")),
    "disable_reuse_memory": _SWITCH,
    "enable_single_stream": _BOOLEAN,
    "enable_scope_fusion_passes": _TEXT,
    "enable_attr_compression": _BOOLEAN,
    "compression_optimize_conf": _PATH,
    "ac_parallel_enable": _SWITCH,
    "tiling_schedule_optimize": _SWITCH,
    "sparsity": _SWITCH,
    "jit_compile": Option(values=("0", "1", "2")),
    "op_bank_path": _PATH,
    "mdl_bank_path": _PATH,
    "cluster_config": _PATH,
    "hccl_sub_comm_config": _PATH,
    "h2d_overlapped_with_compute": _TEXT,
    "multi_stream_parallel_mode": _TEXT,
    "topo_sorting_mode": _TEXT,
    "oo_level": _TEXT,
    "oo_constant_folding": _BOOLEAN,
    "oo_dead_code_elimination": _BOOLEAN,
    "optimization_switch": _TEXT,
    "static_model_ops_lower_limit": _TEXT,
    "quant_dumpable": _SWITCH,
    "auto_tune_mode": Option(instead="AOE (aoe --job_type=1 or 2)", removed=True),
    "shape_generalized_build_mode": Option(
        values=("shape_generalized", "shape_precise"), instead="a static shape or gears"
    ),
    "save_original_model": Option(instead="nothing"),
    "enable_compress_weight": Option(values=("true", "false"), instead="nothing", code="E10005"),
    "compress_weight_conf": Option("path", instead="nothing"),
    # debugging
    "log": Option(values=("debug", "info", "warning", "error", "null"), code="E10010"),
    "debug_dir": _PATH,
    "op_compiler_cache_mode": Option(values=("enable", "force", "disable")),
    "op_compiler_cache_dir": _PATH,
    "op_debug_level": Option(values=("0", "1", "2", "3", "4")),
    "op_debug_config": _PATH,
    "dump_mode": _SWITCH,
    "display_model_info": _SWITCH,
    "status_check": _SWITCH,
    "deterministic": _SWITCH,
    "deterministic_level": Option(values=("0", "1", "2", "3")),
    "atomic_clean_policy": _SWITCH,
    "export_compile_stat": Option(values=("0", "1", "2")),
    "help": _TEXT,
    # known to the parser (api/atc/atc_flags.cc), in no manual
    "device_id": _TEXT,
    "target": _TEXT,
    "cal_conf": _PATH,
    "input_hint_shape": _TEXT,
    "build_config": _TEXT,
}
