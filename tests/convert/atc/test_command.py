from pathlib import Path

import pytest

from convert.atc.command import atc_command
from convert.atc.rules import check_arguments
from detector.errors import SpecError
from detector.spec import load_spec_from
from detector.spec_files import load_spec


def test_the_command_of_the_published_model():
    spec = load_spec("fcos_r50_caffe_fpn_1x")
    assert atc_command(spec, Path("fcos.onnx"), Path("fcos_bs1"), batch_size=1) == [
        "atc",
        "--framework=5",
        "--model=fcos.onnx",
        "--output=fcos_bs1",
        "--input_format=NCHW",
        "--input_shape=input:1,3,800,1344",
        "--soc_version=Ascend310P3",
        "--out_nodes=labels;dets",
        "--log=error",
    ]


# --- options of the spec ----------------------------------------------------------------------------------------------


def with_atc(**atc):
    document = load_spec("fcos_r50_caffe_fpn_1x").model_dump()
    return load_spec_from({**document, "atc": atc}, where="my.yaml")


def command(batch_size=8, **atc):
    return atc_command(with_atc(**atc), Path("fcos.onnx"), Path("fcos"), batch_size=batch_size)


@pytest.fixture
def files(tmp_path):
    """Files that options name, by key."""
    contents = {
        "keep_dtype": ("keep.cfg", "OpType::Exp\n"),
        "customize_dtypes": ("types.cfg", "OpType::Exp:InputDtype:float32,OutputDtype:float32\n"),
        "modify_mixlist": ("mix.json", '{"black-list": {"to-add": ["Exp"]}}'),
        "op_precision_mode": ("modes.ini", "[ByOpType]\nExp=high_precision\n"),
        "fusion_switch_file": ("fusion.cfg", "ConvBatchnormFusionPass:off\n"),
    }
    for name, text in contents.values():
        (tmp_path / name).write_text(text)
    return {key: str(tmp_path / name) for key, (name, _) in contents.items()}


GOOD = {
    "defaults": {},
    "chip without prefix": {"soc_version": "310P3"},
    "chip in small letters": {"soc_version": "ascend310p1"},
    "batch gears": {"batch_sizes": [1, 4, 8]},
    "image gears": {"image_sizes": [[800, 1344], [1344, 800]]},
    "dimension gears": {"dims": [[1, 800, 1344], [8, 800, 1344], [8, 1344, 800]]},
    "most gears": {"image_sizes": [[800, 1344 + 32 * i] for i in range(100)]},
    "precision": {"precision_mode": "allow_mix_precision_fp16", "modify_mixlist": "modify_mixlist"},
    "newer precision": {"precision_mode_v2": "mixed_float16", "modify_mixlist": "modify_mixlist"},
    "kept types": {"precision_mode": "force_fp16", "keep_dtype": "keep_dtype", "customize_dtypes": "customize_dtypes"},
    "accuracy hunt": {"buffer_optimize": "off_optimize", "status_check": True, "op_debug_level": 3, "log": "debug"},
    "single operators": {"op_precision_mode": "op_precision_mode", "fusion_switch_file": "fusion_switch_file"},
    "host": {"host_env_os": "linux", "host_env_cpu": "aarch64", "op_compiler_cache_mode": "enable"},
    "rest": {"deterministic": True, "disable_reuse_memory": True, "op_compiler_cache_dir": "cache"},
}


@pytest.mark.parametrize("atc", GOOD.values(), ids=GOOD.keys())
def test_a_legal_spec_makes_a_legal_command(files, atc):
    made = command(**{key: files.get(value, value) if isinstance(value, str) else value for key, value in atc.items()})
    assert check_arguments(made) == []


def test_batch_gears_leave_the_batch_open():
    made = command(batch_sizes=[1, 4, 8])
    assert "--input_shape=input:-1,3,800,1344" in made
    assert "--dynamic_batch_size=1,4,8" in made


def test_image_gears_leave_the_sides_open():
    made = command(batch_size=1, image_sizes=[[800, 1344], [1344, 800]])
    assert "--input_shape=input:1,3,-1,-1" in made
    assert "--dynamic_image_size=800,1344;1344,800" in made
    assert "--input_format=NCHW" in made


def test_dimension_gears_are_without_layout():
    made = command(dims=[[1, 800, 1344], [8, 1344, 800]])
    assert "--input_shape=input:-1,3,-1,-1" in made
    assert "--dynamic_dims=1,800,1344;8,1344,800" in made
    assert "--input_format=ND" in made


def test_an_option_is_named_only_if_it_differs_from_the_default():
    assert [word for word in command(status_check=True) if word.startswith("--status")] == ["--status_check=1"]
    assert not [word for word in command() if "precision" in word or "debug_level" in word]


def test_files_are_named_as_where_atc_runs(files):
    spec = with_atc(keep_dtype=files["keep_dtype"])
    made = atc_command(spec, Path("m.onnx"), Path("m"), batch_size=1, files={"keep_dtype": "m.keep_dtype.cfg"})
    assert "--keep_dtype=m.keep_dtype.cfg" in made


# What is wrong: keys of `atc`, the content of a file, and what is said.
PLANTED = {
    "one gear": (
        {"batch_sizes": [8]},
        "",
        r"atc\.batch_sizes: has 1 gears, legal are 2\.\.100; .*give the shape itself",
    ),
    "101 gears": (
        {"image_sizes": [[800, 1344 + i] for i in range(101)]},
        "",
        r"atc\.image_sizes: has 101 gears, legal are 2\.\.100",
    ),
    "gear twice": ({"batch_sizes": [8, 4, 8]}, "", r"atc\.batch_sizes: gear '8' is listed twice; drop one"),
    "size twice": ({"image_sizes": [[800, 1344]] * 2}, "", r"atc\.image_sizes: gear '800,1344' is listed twice"),
    "gear 0": ({"batch_sizes": [0, 8]}, "", r"atc\.batch_sizes\.0: .*greater than or equal to 1, got '0'"),
    "negative side": ({"image_sizes": [[800, 1344], [-1, 800]]}, "", r"atc\.image_sizes\.1\.0: .* got '-1'"),
    "gear of three": (
        {"image_sizes": [[1, 800, 1344], [800, 1344]]},
        "",
        r"atc\.image_sizes\.0: expected 2 values, got 3",
    ),
    "two kinds of gears": (
        {"batch_sizes": [1, 8], "image_sizes": [[800, 1344], [1344, 800]]},
        "",
        r"gears exclude each other, got --dynamic_batch_size, --dynamic_image_size; keep one",
    ),
    "gears and dims": (
        {"image_sizes": [[800, 1344], [1344, 800]], "dims": [[1, 800, 1344], [8, 800, 1344]]},
        "",
        r"atc\.image_sizes: gears exclude each other",
    ),
    "canvas is no gear": (
        {"image_sizes": [[640, 640], [800, 800]]},
        "",
        r"the canvas \[800, 1344\] is none of the gears",
    ),
    "batch is no gear": (
        {"batch_sizes": [1, 4]},
        "",
        r"atc\.batch_sizes: the batch size 8 is not the largest of \[1, 4\]",
    ),
    "both precisions": (
        {"precision_mode": "force_fp16", "precision_mode_v2": "fp16"},
        "",
        r"atc\.precision_mode: got 'force_fp16' and v2 'fp16'; give one of the two",
    ),
    "bfloat16": (
        {"precision_mode": "allow_mix_precision_bf16"},
        "",
        r"atc\.precision_mode: the 310P chips compute neither bfloat16 nor hif8, got 'allow_mix_precision_bf16'",
    ),
    "hif8": ({"precision_mode_v2": "cube_hif8"}, "", r"atc\.precision_mode_v2: the 310P chips .* got 'cube_hif8'"),
    "v2 value in v1": (
        {"precision_mode": "mixed_float16"},
        "",
        r"atc\.precision_mode: .*'force_fp16'.* got 'mixed_float16'",
    ),
    "mixlist without mixing": (
        {"modify_mixlist": "FILE"},
        "{}",
        r"atc\.modify_mixlist: needs mixed precision: --precision_mode_v2=mixed_float16",
    ),
    "mixlist no JSON": ({"modify_mixlist": "FILE"}, "Exp", r"atc\.modify_mixlist: .* is not JSON"),
    "mixlist of other keys": (
        {"modify_mixlist": "FILE"},
        '{"black": {}}',
        r"keys black-list and white-list, got \['black'\]",
    ),
    "keep_dtype without effect": (
        {"precision_mode_v2": "origin", "keep_dtype": "FILE"},
        "Exp_1",
        r"atc\.keep_dtype: has no effect with 'origin', which keeps every type; drop it",
    ),
    "empty file": ({"keep_dtype": "FILE"}, " ", r"atc\.keep_dtype: .* is empty; fill it, or drop the key"),
    "no regular file": (
        {"keep_dtype": "/dev/zero"},
        "",
        r"cannot read /dev/zero: a device, expected a regular file; c",
    ),
    "missing file": ({"keep_dtype": "nowhere.cfg"}, "", r"atc\.keep_dtype: cannot read nowhere\.cfg: No such file"),
    "ini of another name": ({"op_precision_mode": "FILE"}, "Exp=high_precision", r"must be an \.ini file; rename it"),
    "another chip": ({"soc_version": "Ascend310"}, "", r"atc\.soc_version: .*'Ascend310P3'.* got 'Ascend310'"),
    "no chip": ({"soc_version": "Ascend310P"}, "", r"atc\.soc_version: .* got 'Ascend310P'"),
    "half a host": (
        {"host_env_os": "linux"},
        "",
        r"atc\.host_env_os: is given together with --host_env_cpu or not at all",
    ),
    "blank in a folder": (
        {"op_compiler_cache_dir": "my cache"},
        "",
        r"atc\.op_compiler_cache_dir: 'my cache' has characters",
    ),
    "log level": ({"log": "verbose"}, "", r"atc\.log: .*'debug'.* got 'verbose'"),
    "deprecated option": ({"op_select_implmode": "high_precision"}, "", r"unknown key 'atc\.op_select_implmode'"),
    "opset": ({"opset": 19}, "", r"atc\.opset: .* got '19'"),
}


@pytest.mark.parametrize(("atc", "content", "said"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_defect_is_named_with_its_key(tmp_path, atc, content, said):
    name = "mix.json" if "modify_mixlist" in atc else "options.cfg"
    (tmp_path / name).write_text(content)
    options = {key: str(tmp_path / name) if value == "FILE" else value for key, value in atc.items()}
    with pytest.raises(SpecError, match=said):
        command(**options)


def test_a_gear_beyond_what_the_manual_advises_is_refused():
    with pytest.raises(SpecError, match=r"atc\.batch_sizes: batch 4000; the manual advises 1\.\.2048"):
        command(batch_size=4000, batch_sizes=[8, 4000])


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("my model", r"--output: 'my model\.onnx' has characters beyond letters, digits and _ - \. /; rename it"),
        ("fcos.om", r"--output: 'fcos\.om': atc appends \.om itself; leave it out"),
        ("fcos+gn", r"--output: .*'fcos\+gn"),
    ],
)
def test_a_path_that_atc_refuses_is_named(output, said):
    with pytest.raises(SpecError, match=said):
        atc_command(with_atc(), Path(f"{output}.onnx"), Path(output), batch_size=1)
