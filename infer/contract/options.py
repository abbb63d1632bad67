"""The command line of ais_bench: names, defaults and the rules between options (docs/facts/ais_bench.md, section 1)."""

from collections.abc import Sequence
from dataclasses import dataclass

from detector.cli import Parser, given
from detector.errors import MissingEnvironmentError, PipelineError
from infer.contract.option_values import (
    boolean,
    byte_sizes,
    devices,
    dynamic_string,
    input_paths,
    integer,
    model_file,
    output_path,
)

USAGE = (
    "python -m infer --model M.om|M.onnx [--input BINS] [--output DIR --output_dirname NAME] [option ...]   (-h: all)"
)
DESCRIPTION = """\
Run a model over a folder of .bin or .npy files, with the options, files and last lines of ais_bench.

A .om runs the real ais_bench (python3 -m ais_bench) with these options and, if you give none, a gear of its .om.json;
paths that ais_bench would refuse are named before it starts (for a .onnx with --strict_paths 1).
A .onnx runs here, on the CPU, and writes what ais_bench would write:
<output>/<output_dirname>/<stem>_<i>.bin, <output>/<output_dirname>_summary.json. Its times are those of this CPU.
With a manifest or spec, <output>/<output_dirname>_origin.json records which bins and model gave the results.
Options marked [card] ask for the Ascend card and are refused for a .onnx.

`python -m infer doctor` says what this machine can run and lacks; `python -m infer explain X` what a result's speed
figures, a return code or a log mean."""

# Limits that ais_bench checks after parsing, with exit code 1 (ais_bench/infer/utils.py, IntArgsMax).
CEILINGS = {"threads": 64, "warmup_count": 10_000, "batchsize": 4096, "dym_batch": 4096, "output_batchsize_axis": 8}
SIZE_COUNT_MAX = 256
SIZE_MAX = 16 * 1024**3


@dataclass(slots=True)
class Options:
    """One field per option of ais_bench, and `strict_paths` and `fresh`, which are ours.

    Argparse fills in what the user gave. Paths stay text as given: the result folder's summary repeats them.
    """

    model: str = ""
    input: str | None = None
    output: str | None = None
    output_dirname: str | None = None
    outfmt: str = "BIN"
    loop: int = 1
    debug: bool = False
    device: tuple[int, ...] = (0,)
    dym_batch: int = 0
    dym_hw: str | None = None
    dym_dims: str | None = None
    dym_shape: str | None = None
    output_size: str | None = None
    auto_set_dymshape_mode: bool = False
    auto_set_dymdims_mode: bool = False
    batchsize: int | None = None
    pure_data_type: str = "zero"
    profiler: bool = False
    dump: bool = False
    acl_json_path: str | None = None
    output_batchsize_axis: int = 0
    run_mode: str = "array"
    display_all_summary: bool = False
    warmup_count: int = 1
    dym_shape_range: str | None = None
    aipp_config: str | None = None
    energy_consumption: bool = False
    npu_id: tuple[int, ...] = (0,)
    backend: str | None = None
    perf: bool = False
    pipeline: bool = False
    profiler_rename: bool = True
    dump_npy: bool = False
    divide_input: bool = False
    threads: int = 1
    strict_paths: bool = False
    fresh: bool = False

    @property
    def auto_shape(self) -> bool:
        """The shape of each run is that of its .npy files."""
        return self.auto_set_dymshape_mode or self.auto_set_dymdims_mode

    @property
    def output_sizes(self) -> tuple[int, ...]:
        """--outputSize as numbers of bytes; empty when not given."""
        return tuple(map(int, self.output_size.split(","))) if self.output_size else ()


# Options that ask for the card when they differ from their default.
CARD_OPTIONS = (
    *("profiler", "dump", "dump_npy", "acl_json_path", "aipp_config", "dym_shape_range", "pipeline", "divide_input"),
    *("energy_consumption", "npu_id", "backend", "perf"),
)
SPELLINGS = {"dym_batch": "dymBatch", "dym_shape_range": "dymShape_range", "output_size": "outputSize"}


def parse(argv: Sequence[str]) -> Options:
    """Read a command line as ais_bench does; unambiguous prefixes of option names are accepted.

    Raises:
        SystemExit: code 2, a value that no run can use.
        PipelineError: options that contradict each other (exit 1, as in ais_bench).
    """
    options = _parser().parse_args(argv, namespace=Options())
    _check_rules(options)
    return options


def refuse_card_options(options: Options) -> None:
    """Refuse what only the card can do, before anything runs.

    Raises:
        MissingEnvironmentError: names the first such option.
    """
    default = Options()
    asked = [name for name in CARD_OPTIONS if getattr(options, name) != getattr(default, name)]
    if len(options.device) > 1:
        asked.append("device")
    if asked:
        name, value = SPELLINGS.get(asked[0], asked[0]), getattr(options, asked[0])
        shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
        raise MissingEnvironmentError(
            f"--{name} {shown} needs an Ascend card, {options.model} runs on the CPU: leave it out or give a .om"
        )


def _check_rules(options: Options) -> None:
    for name, ceiling in CEILINGS.items():
        value = getattr(options, name)
        if value is not None and value > ceiling:
            raise PipelineError(f"--{SPELLINGS.get(name, name)}: {value} is over {ceiling}")
    if options.profiler and options.dump:
        raise PipelineError("error bad parameters --profiler and --dump: give one of them")
    if options.output_dirname and options.output_dirname.startswith("/"):
        raise PipelineError("--output_dirname do not support abs path! Give the folder's parent with --output")
    if (options.profiler or options.dump) and options.output is None:
        raise PipelineError("miss output parameter! --profiler and --dump write below --output")
    if options.output is None and options.output_dirname is not None:
        raise PipelineError("error bad parameters --output_dirname: it names a folder below --output, which is missing")
    _check_sizes(options)


def _check_sizes(options: Options) -> None:
    entries = options.output_size.split(",") if options.output_size else []
    if len(entries) > SIZE_COUNT_MAX or not all(entry and 1 <= int(entry) <= SIZE_MAX for entry in entries):
        raise PipelineError(
            f"--outputSize {options.output_size}: expected at most {SIZE_COUNT_MAX} sizes of 1 to {SIZE_MAX} bytes"
        )


def _parser() -> Parser:
    parser = Parser(prog="python -m infer", usage=USAGE, description=DESCRIPTION, allow_abbrev=True)
    _add_data_options(parser)
    _add_run_options(parser)
    _add_card_options(parser)
    return parser


def _add_data_options(parser: Parser) -> None:
    add = parser.add_argument
    add("--model", "-m", type=model_file, required=True, help=".om for the Ascend card, .onnx for the CPU")
    add("--input", "-i", type=input_paths, help="folders, one per model input, or files; none: pure inference")
    add("--output", "-o", type=output_path, help="parent folder of the results; none: nothing is written")
    add("--output_dirname", type=given, help="name of the result folder below --output; default: date and time")
    add("--outfmt", choices=["NPY", "BIN", "TXT"], help="format of the results (default BIN)")
    add("--output_batchsize_axis", type=integer(0), help="axis along which outputs are split (default 0)")
    add("--pure_data_type", choices=["zero", "random"], help="content of pure inference (default zero)")
    switch, text = boolean, dynamic_string
    add("--dymBatch", dest="dym_batch", type=integer(1), help="size of a dynamic batch axis")
    add("--dymHW", dest="dym_hw", type=text, help="dynamic image size: h,w")
    add("--dymDims", dest="dym_dims", type=text, help="dynamic dims: name:d,d,..;name2:..")
    add("--dymShape", dest="dym_shape", type=text, help="dynamic shape: name:d,d,..;name2:..")
    add("--outputSize", dest="output_size", type=byte_sizes, help="bytes allowed per output, for dynamic shapes")
    add("--auto_set_dymshape_mode", type=switch, metavar="BOOL", help="take each run's shape from its .npy files")
    add("--auto_set_dymdims_mode", type=switch, metavar="BOOL", help="the same for dims")


def _add_run_options(parser: Parser) -> None:
    add = parser.add_argument
    add("--batchsize", type=integer(1), help="only for the throughput figure; default: the model's")
    add("--loop", "-l", type=integer(1, 100_000), help="executions per run (default 1)")
    add("--warmup_count", type=integer(0), help="executions before the measured ones (default 1)")
    add("--run_mode", choices=["array", "files", "tensor", "full"], help="how data is fed (default array)")
    add("--device", "-d", type=devices, help="device id; a list needs the card (default 0)")
    add("--display_all_summary", type=boolean, metavar="BOOL", help="also print copy times")
    add("--debug", type=boolean, metavar="BOOL", help="also print the model's inputs and outputs")
    strict = "refuse the paths and permissions that ais_bench would refuse, for a .onnx too (default false)"
    add("--strict_paths", type=boolean, metavar="BOOL", help=strict)
    fresh = "remove the results of earlier runs from the result folder first; ais_bench lets them lie (default false)"
    add("--fresh", type=boolean, metavar="BOOL", help=fresh)


def _add_card_options(parser: Parser) -> None:
    add, switch = parser.add_argument, boolean
    add("--profiler", type=switch, metavar="BOOL", help="[card] profile")
    add("--profiler_rename", type=switch, metavar="BOOL", help="rename profiles (default true)")
    add("--dump", type=switch, metavar="BOOL", help="[card] dump intermediate tensors")
    add("--dump_npy", type=switch, metavar="BOOL", help="[card] dump as .npy")
    add("--acl_json_path", help="[card] acl.json for profiling or dumps")
    add("--aipp_config", help="[card] parameters of dynamic AIPP")
    add("--dymShape_range", dest="dym_shape_range", help="[card] sweep over shapes")
    add("--energy_consumption", type=switch, metavar="BOOL", help="[card] measure energy")
    add("--npu_id", type=devices, help="[card] NPU whose energy is measured (default 0)")
    add("--backend", choices=["trtexec"], help="[card] with --perf")
    add("--perf", type=switch, metavar="BOOL", help="[card] run the other back end")
    add("--pipeline", type=switch, metavar="BOOL", help="[card] overlap copies and computing")
    add("--threads", type=integer(1), help="computing threads of --pipeline (default 1)")
    add("--divide_input", type=switch, metavar="BOOL", help="[card] share the input among devices")
