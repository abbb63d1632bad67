import pytest

from infer.card_command import ais_bench_command
from infer.contract.options import Options, parse

BASE = ["python3", "-m", "ais_bench", "--model", "m.om"]


def command(**given: object) -> list[str]:
    return ais_bench_command(Options(model="m.om", **given))  # type: ignore[arg-type]


def test_a_static_om_needs_no_more_than_its_name():
    assert command() == BASE


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"dym_batch": 4}, "--dymBatch 4"),
        ({"dym_hw": "800,1344"}, "--dymHW 800,1344"),
        ({"dym_dims": "input:4,3,800,1344"}, "--dymDims input:4,3,800,1344"),
        (
            {"dym_shape": "input:4,3,9,9", "output_size": "100,200"},
            "--dymShape input:4,3,9,9 --outputSize 100,200",
        ),
        ({"dym_shape_range": "input:1~4,3,64,64"}, "--dymShape_range input:1~4,3,64,64"),
        ({"device": (0, 1, 3), "divide_input": True}, "--device 0,1,3 --divide_input 1"),
        ({"loop": 20, "warmup_count": 0, "outfmt": "NPY"}, "--outfmt NPY --loop 20 --warmup_count 0"),
        ({"profiler_rename": False, "batchsize": 8}, "--batchsize 8 --profiler_rename 0"),
        ({"input": "a,b", "output": "out", "output_dirname": "r"}, "--input a,b --output out --output_dirname r"),
        (
            {"auto_set_dymshape_mode": True, "display_all_summary": True},
            "--auto_set_dymshape_mode 1 --display_all_summary 1",
        ),
    ],
)
def test_what_differs_from_the_default_is_spelled_out(given: dict[str, object], expected: str):
    assert command(**given)[5:] == expected.split()
    assert command(**given)[:5] == BASE


def test_what_is_ours_is_not_passed_on():
    assert command(strict_paths=True, fresh=True) == BASE


def test_every_option_survives_the_way_there_and_back(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """What the builder writes, the parser reads as the same options: no name or value is lost."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.om").touch()
    (tmp_path / "bins").mkdir()
    line = (
        "--model m.om --input bins --output out --output_dirname r --outfmt TXT --loop 3 --debug 1 --device 0,2 "
        "--dymBatch 4 --dymHW 3,4 --dymDims x:1 --dymShape x:2 --outputSize 8,9 --auto_set_dymshape_mode 1 "
        "--auto_set_dymdims_mode 1 --batchsize 4 --pure_data_type random --dump 1 --acl_json_path a.json "
        "--output_batchsize_axis 1 --run_mode full --display_all_summary 1 --warmup_count 2 --dymShape_range x:1~2 "
        "--aipp_config a.config --energy_consumption 1 --npu_id 1,2 --backend trtexec --perf 1 --pipeline 1 "
        "--profiler_rename 0 --dump_npy 1 --divide_input 1 --threads 2"
    )
    options = parse(line.split())
    assert ais_bench_command(options)[3:] == line.split()
    assert parse(["--mod", "m.om", "--profiler", "yes", "--output=o"]) == parse(
        ais_bench_command(parse(["-m", "m.om", "--profiler", "t", "-o", "o"]))[3:]
    )
