"""The commands that the genuine ais_bench was run with, and the path traps laid for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

OUT = ["--output", "out", "--output_dirname", "res"]


def case(model: str, *rest: str) -> list[str]:
    """Arguments for one of the models of conftest.py."""
    return ["--model", f"{model}.om", *rest]


CASES: dict[str, list[str]] = {
    **{
        f"batch{batch} {bins}": case(f"b{batch}", "--input", bins, *OUT)
        for batch in (1, 4, 8)
        for bins in ("five", "many")
    },
    "dynamic batch 4": case("dyn", "--input", "five", "--dymBatch", "4", *OUT),
    "dynamic batch 1": case("dyn", "--input", "five", "--dymBatch", "1", *OUT),
    "dynamic shape": case("dyn", "--input", "five", "--dymShape", "x:2,3,2", *OUT),
    "dynamic dims": case("dyn", "--input", "five", "--dymDims", "x:3,3,2", *OUT),
    "dynamic image size": case("hw", "--input", "images", "--dymHW", "3,4", *OUT),
    "auto shape": case("hw", "--input", "images", "--auto_set_dymshape_mode", "1", *OUT),
    "npy format": case("b4", "--input", "five", "--outfmt", "NPY", *OUT),
    "txt format": case("b4", "--input", "five", "--outfmt", "TXT", *OUT),
    "npy input": case("b4", "--input", "npys", *OUT),
    "spellings": case("b1", "--input", "spelt", *OUT),
    "dots": case("b1", "--input", "dots", *OUT),
    "two inputs": case("two", "--input", "five,shifts", *OUT),
    "two inputs as files": case("two", "--input", "five/img10.bin,five/img2.bin,shifts/s1.bin,shifts/s0.bin", *OUT),
    "file list keeps order": case("b1", "--input", "five/img9.bin,five/img1.bin", *OUT),
    "same file twice": case("b4", "--input", "five/img9.bin,five/img9.bin", *OUT),
    "pure inference": case("b4", *OUT),
    "pure inference two inputs": case("two", *OUT),
    "pure inference unsaved": case("b4", "--loop", "3"),
    "unsaved": case("b4", "--input", "five"),
    "halves unsaved": case("b1", "--input", "halves"),
    "loop": case("b4", "--input", "five", "--loop", "3", *OUT),
    "no warmup": case("b4", "--input", "five", "--warmup_count", "0", *OUT),
    "warmups": case("b4", "--input", "five", "--warmup_count", "3", *OUT),
    "batchsize given": case("b4", "--input", "five", "--batchsize", "8", *OUT),
    "all summary": case("b4", "--input", "five", "--display_all_summary", "yes", *OUT),
    "axis 1": case("axis1", "--input", "five", "--output_batchsize_axis", "1", *OUT),
    "axis 1 txt": case("axis1", "--input", "five", "--output_batchsize_axis", "1", "--outfmt", "TXT", *OUT),
    "axis 1 npy": case("axis1", "--input", "five", "--output_batchsize_axis", "1", "--outfmt", "NPY", *OUT),
    "run mode tensor": case("b4", "--input", "five", "--run_mode", "tensor", *OUT),
    "run mode files": case("b4", "--input", "five", "--run_mode", "files", *OUT),
    "run mode full": case("b4", "--input", "five", "--run_mode", "full", *OUT),
    "prefixes": ["--mod", "b4.om", "--inp", "five", "--output", "out", "--output_d", "res", "--outf", "NPY"],
    "short options": ["-m", "b4.om", "-i", "five", "-o", "out", "-l", "2", "-d", "0"],
    "equals sign": ["--model=b4.om", "--input=five", "--output=out", "--output_dirname=res"],
    "time stamp": case("b1", "--input", "five", "--output", "out"),
    "nested dirname": case("b1", "--input", "five", "--output", "out", "--output_dirname", "a/b"),
    "trailing slash": case("b1", "--input", "five/", "--output", "out/", "--output_dirname", "res"),
    "threads without pipeline": case("b4", "--input", "five", "--threads", "2", *OUT),
    "device 3": case("b4", "--input", "five", "--device", "3", *OUT),
    "outputSize": case("dyn", "--input", "five", "--dymShape", "x:1,3,2", "--outputSize", "48,24,12,6", *OUT),
    "profiler_rename off": case("b4", "--input", "five", "--profiler_rename", "false", *OUT),
    # errors
    "axis 0 of turned output": case("axis1", "--input", "five", *OUT),
    "scalar output": case("total", "--input", "five", *OUT),
    "dynamic without option": case("dyn", "--input", "five", *OUT),
    "dymBatch on static": case("b4", "--input", "five", "--dymBatch", "4", *OUT),
    "dymHW on static": case("b4", "--input", "five", "--dymHW", "3,4", *OUT),
    "dymDims on static": case("b4", "--input", "five", "--dymDims", "x:4,3,2", *OUT),
    "dymShape of one input": case("two", "--input", "five,shifts", "--dymShape", "a:2,3,2", *OUT),
    "dymShape names one twice": case("dyn", "--input", "five", "--dymShape", "x:2,3,2;x:2,3,2", *OUT),
    "auto dims on static": case("b1", "--input", "npys", "--auto_set_dymdims_mode", "1", *OUT),
    "dymHW malformed": case("hw", "--input", "images", "--dymHW", "3", *OUT),
    "dymShape malformed": case("dyn", "--input", "five", "--dymShape", "x=2", *OUT),
    "dymShape illegal": case("dyn", "--input", "five", "--dymShape", "x:2 3", *OUT),
    "empty folder": case("b1", "--input", "none", *OUT),
    "odd size": case("b4", "--input", "odd", *OUT),
    "empty file": case("b4", "--input", "blank", *OUT),
    "bigger than input": case("b1", "--input", "doubles", *OUT),
    "late bad file batch1": case("b1", "--input", "late", *OUT),
    "late bad file batch4": case("b4", "--input", "late", *OUT),
    "halves saved": case("b1", "--input", "halves", *OUT),
    "missing folder": case("b4", "--input", "nowhere", *OUT),
    "missing model": case("b99", "--input", "five", *OUT),
    "model suffix": ["--model", "five/img1.bin", "--input", "five", *OUT],
    "no model": ["--input", "five", *OUT],
    "one folder for two inputs": case("two", "--input", "five", *OUT),
    "two folders for one input": case("b4", "--input", "five,many", *OUT),
    "trailing comma": case("b4", "--input", "five,", *OUT),
    "odd file list": case("two", "--input", "five/img1.bin,five/img2.bin,shifts/s0.bin", *OUT),
    "too few files": case("two", "--input", "five/img1.bin", *OUT),
    "folder among files": case("two", "--input", "five/img1.bin,shifts", *OUT),
    "file among folders": case("two", "--input", "five,shifts/s0.bin", *OUT),
    "second folder short": case("two", "--input", "five,few", *OUT),
    "empty input text": case("b4", "--input", "", *OUT),
    "lower case outfmt": case("b4", "--outfmt", "bin"),
    "bare switch": case("b4", "--debug"),
    "bad switch": case("b4", "--debug", "maybe"),
    "ambiguous prefix": case("b4", "--out", "out"),
    "unknown option": case("b4", "--bogus", "1"),
    "loop 0": case("b4", "--loop", "0"),
    "loop too big": case("b4", "--loop", "100001"),
    "negative warmup": case("b4", "--warmup_count", "-1"),
    "warmup over": case("b4", "--warmup_count", "10001"),
    "batchsize over": case("b4", "--batchsize", "4097"),
    "batchsize 0": case("b4", "--batchsize", "0"),
    "dymBatch over": case("dyn", "--dymBatch", "4097"),
    "axis over": case("b4", "--output_batchsize_axis", "9"),
    "threads over": case("b4", "--threads", "65"),
    "device over": case("b4", "--device", "256"),
    "device word": case("b4", "--device", "npu"),
    "device hole": case("b4", "--device", "0,"),
    "outputSize letters": case("b4", "--outputSize", "1k"),
    "outputSize zero": case("b4", "--outputSize", "0"),
    "dirname alone": case("b4", "--output_dirname", "res"),
    "dirname absolute": case("b4", "--output", "out", "--output_dirname", "/tmp/res"),
    "output is a file": case("b4", "--output", "b4.om"),
    "profiler and dump": case("b4", "--output", "out", "--profiler", "1", "--dump", "1"),
    "profiler without output": case("b4", "--profiler", "1"),
    "files mode npy": case("b4", "--input", "npys", "--run_mode", "files", *OUT),
    "files mode pure": case("b4", "--run_mode", "files", *OUT),
    "auto shape of bins": case("hw", "--input", "five", "--auto_set_dymshape_mode", "1", *OUT),
    "gear batch 1": case("gears_batch", "--input", "landscape", "--dymBatch", "1", *OUT),
    "gear batch 2": case("gears_batch", "--input", "landscape", "--dymBatch", "2", *OUT),
    "gear batch 4": case("gears_batch", "--input", "landscape", "--dymBatch", "4", *OUT),
    "gear landscape": case("gears_image", "--input", "landscape", "--dymHW", "64,96", *OUT),
    "gear portrait": case("gears_image", "--input", "portrait", "--dymHW", "96,64", *OUT),
    "gear dims": case("gears_dims", "--input", "portrait", "--dymDims", "input:2,3,96,64", *OUT),
    "no gear batch 3": case("gears_batch", "--input", "landscape", "--dymBatch", "3", *OUT),
    "no gear square": case("gears_image", "--input", "landscape", "--dymHW", "96,96", *OUT),
    "no gear dims": case("gears_dims", "--input", "portrait", "--dymDims", "input:4,3,96,64", *OUT),
    "batch gear of image gears": case("gears_image", "--input", "landscape", "--dymBatch", "1", *OUT),
    "image gear of batch gears": case("gears_batch", "--input", "landscape", "--dymHW", "64,96", *OUT),
}


# What a trap does to the world before the tool starts; the arguments then name what it touched.
Trap = tuple[Callable[[Path], object], list[str]]
RUN = case("b1", "--input", "five", *OUT)


def there(world: Path, path: str) -> Path:
    """Something of the world; its models are .om for the genuine tool and .onnx for our runner."""
    found = world / path
    return found if found.exists() or found.suffix != ".om" else found.with_suffix(".onnx")


def mode(path: str, bits: int) -> Callable[[Path], object]:
    """Set the permissions of something that is there."""
    return lambda world: there(world, path).chmod(bits)


def folder(path: str, bits: int) -> Callable[[Path], object]:
    """Make a folder of those permissions, whatever the umask."""

    def make(world: Path) -> None:
        (world / path).mkdir(parents=True)
        (world / path).chmod(bits)

    return make


def link(path: str, target: str) -> Callable[[Path], object]:
    """Make a symbolic link to something in the world."""

    def make(world: Path) -> None:
        aim = there(world, target)
        name = path.replace(".om", aim.suffix) if path.endswith(".om") else path
        (world / name).symlink_to(aim)

    return make


def copy(source: str, target: str) -> Callable[[Path], object]:
    """Copy a folder of the world."""
    return lambda world: shutil.copytree(world / source, world / target)


def write(path: str, bits: int) -> Callable[[Path], object]:
    """Write a small file of those permissions."""

    def make(world: Path) -> None:
        (world / path).write_text("x")
        (world / path).chmod(bits)

    return make


TRAPS: dict[str, Trap] = {
    "none": (lambda world: None, RUN),
    "bin group writable": (mode("five/img9.bin", 0o664), RUN),
    "bin others writable": (mode("five/img9.bin", 0o646), RUN),
    "bin 0755": (mode("five/img9.bin", 0o755), RUN),
    "bin unreadable": (mode("five/img9.bin", 0o000), RUN),
    "listed bin group writable": (mode("five/img9.bin", 0o664), case("b1", "--input", "five/img9.bin", *OUT)),
    "other file group writable": (write("five/notes.txt", 0o664), RUN),
    "other file closed": (write("five/notes.txt", 0o644), RUN),
    "folder among bins group writable": (folder("five/old", 0o775), RUN),
    "folder among bins": (folder("five/old", 0o755), RUN),
    "input folder group writable": (mode("five", 0o775), RUN),
    "input folder others writable": (mode("five", 0o757), RUN),
    "model group writable": (mode("b1.om", 0o664), RUN),
    "model 0600": (mode("b1.om", 0o600), RUN),
    "output 0755": (folder("out", 0o755), RUN),
    "output 0750": (folder("out", 0o750), RUN),
    "output 0700": (folder("out", 0o700), RUN),
    "output 0770": (folder("out", 0o770), RUN),
    "output 0751": (folder("out", 0o751), RUN),
    "output is the working directory": (
        lambda world: None,
        case("b1", "--input", "five", "--output", ".", "--output_dirname", "res"),
    ),
    "dirname in the working directory 0755": (folder("res", 0o755), RUN),
    "dirname in the working directory 0750": (folder("res", 0o750), RUN),
    "dirname in the working directory is a file": (write("res", 0o640), RUN),
    "nested dirname in the working directory": (
        folder("a/b", 0o755),
        case("b1", "--input", "five", "--output", "out", "--output_dirname", "a/b"),
    ),
    "result folder 0755": (lambda world: (folder("out", 0o750)(world), folder("out/res", 0o755)(world)), RUN),
    "result folder 0775": (lambda world: (folder("out", 0o750)(world), folder("out/res", 0o775)(world)), RUN),
    "output is a plain file": (write("out", 0o640), RUN),
    "output below a 0755 folder": (
        folder("runs", 0o755),
        case("b1", "--input", "five", "--output", "runs/today", "--output_dirname", "res"),
    ),
    "model is a link": (link("l.om", "b1.om"), case("l", "--input", "five", *OUT)),
    "input folder is a link": (link("linked", "five"), case("b1", "--input", "linked", *OUT)),
    "input folder is a link with a slash": (link("linked", "five"), case("b1", "--input", "linked/", *OUT)),
    "listed bin is a link": (link("l.bin", "five/img1.bin"), case("b1", "--input", "l.bin", *OUT)),
    "bin in a folder is a link": (link("five/l.bin", "many/000000000000.bin"), RUN),
    "dangling link among bins": (link("five/l.bin", "nowhere"), RUN),
    "link above the input folder": (link("here", "."), case("b1", "--input", "here/five", *OUT)),
    "output is a link": (
        lambda world: (folder("real", 0o750)(world), link("out", "real")(world)),
        RUN,
    ),
    "blank in the input's name": (copy("five", "my bins"), case("b1", "--input", "my bins", *OUT)),
    "Chinese in the input's name": (copy("five", "图"), case("b1", "--input", "图", *OUT)),
    "plus in the output's name": (
        lambda world: None,
        case("b1", "--input", "five", "--output", "out+1", "--output_dirname", "res"),
    ),
    "blank in the result's name": (
        lambda world: None,
        case("b1", "--input", "five", "--output", "out", "--output_dirname", "my res"),
    ),
    "long result name": (
        lambda world: None,
        case("b1", "--input", "five", "--output", "out", "--output_dirname", "r" * 256),
    ),
    "acl.json group writable": (write("acl.json", 0o664), case("b1", "--acl_json_path", "acl.json", *OUT)),
    "aipp config group writable": (write("aipp.config", 0o664), case("b1", "--aipp_config", "aipp.config", *OUT)),
}
