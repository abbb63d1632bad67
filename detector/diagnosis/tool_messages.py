"""What ais_bench with aclruntime says of its options and files (8da7f645)."""

from detector.card.sheet import TOOL_VERSION
from detector.diagnosis.message import GEAR, REBUILD, message

TOOL = (
    message(
        r"load model from file failed|Invalid args\. \S+ of --input is invalid",
        "under --profiler the tool changes its folder and finds no relative path",
        "give --model, --input and --output as absolute paths",
        when=r"--profiler[ =](?:1|true|yes|y)\b",
    ),
    message(
        r"load model from file failed", "the OM is damaged, for another chip, or for a newer CANN", REBUILD, "stage"
    ),
    message(
        r"dym(?:Batch|HW|Dims) parameter is not correct|dynamic_dims parameter is not correct", GEAR, "give one of them"
    ),
    message(
        r"dynamic\w+ parameter is not specified for model conversion|check failed dym gearcount",
        "the OM has no gears of the kind that the option asks for",
        "leave the option out where the OM has one shape, else take the one for its gears: see its .om.json",
    ),
    message(
        r"dymShape paramete[rt] (?:give|set error)",
        "--dymShape does not name the OM's inputs, each once",
        "give NAME:1,2,3;NAME2:... with all of them",
    ),
    message(
        r"dynamic batch om model detected", "the OM has an open batch axis", "give --dymBatch (its gears: the .om.json)"
    ),
    message(r"size is zero", "a fully dynamic OM does not know its output sizes", "give --outputSize"),
    message(
        r"in size:\d+ needsize:\d+ not match|tensorsize: ?\d+ filesize: ?\d+ not match|ndata size:\d+ not match",
        "a file's size is not the model's input",
        "make the bins again with the OM's spec (`python -m preprocess --model X.om`)",
    ),
    message(
        r"fileslist:\d+ intensor:\d+ not match|input dir num:\d+ not equal to model inputs|"
        r"create intensors list filelists|(?:intensors|feeds) size:? ?\d+ (?:need size|not equal)",
        "the model has another number of inputs than --input gives",
        "give one folder (or list of files) for each input of the model, in its order, with commas between them",
    ),
    message(
        r"not find valid file,valid file format|Input args are empty|input fileslist size: 0",
        "there is no .bin and no .npy file in what --input names",
        "give the folder with the bins themselves; of several canvases that of one (`python -m preprocess` makes them)",
    ),
    message(
        r"Parse npy header|Load npy file",
        "a .npy file is damaged, or of a form that ais_bench does not read",
        "make it again with numpy.save: little endian, C order; or take the bins of `python -m preprocess`",
    ),
    message(
        r"path: ?\S* not exist, please check|Invalid input args\.--input:.* not exist|is not a real dir path|"
        r"Invalid args\. \S+ +of --input is invalid|\S+ not file or dir",
        "a file or folder that an option names is not there",
        "correct the path; a relative one counts from the folder of the command",
    ),
    message(
        r"path: ?\S* is not a (?:file|directory)|output path is not a directory|file type not in \[|"
        r"is not a \.config file",
        "a path is a folder where a file is asked for or the reverse, or has another suffix than the option takes",
        "give what the option takes: --model an .om file, --output a folder",
    ),
    message(
        r"out of max limit \d+ byte|is over \d+!|name length out of range|path's length out of range",
        "a file, a folder or a name is larger than ais_bench takes",
        "give smaller ones: the line names the limit",
    ),
    message(
        r"doesn't have (?:read|write) permission",
        "no right to a file or folder",
        "chmod u+r what is read and u+w what is written, or copy it",
    ),
    message(
        r"(?:om|input|output|acl json|aipp config) path:\S+ is illegal\. Please check",
        "ais_bench refuses a path; a line before it says why",
        "read the [ERROR] line before it",
        "stage",
    ),
    message(
        r"dym(?:shape|dims|Shape|Dims)? ?(?:range |string )+.*(?:illegal|not a legal)|of dym\w+ string is illegal|"
        r"format of dynamic \w+ string is illegal|split dims str failed|dym string .* is not a legal string|"
        r"the dymDims parameter is not correct i:",
        "the value of --dymDims or --dymShape is not of the form that ais_bench reads",
        "write NAME:1,3,640,640 with every size of every input, inputs joined by ;",
    ),
    message(
        r"om has \d+ output, but outputSize|custom size (?:list|num) out of range|length of custom size list",
        "--outputSize gives another number of sizes than the model has outputs",
        "give the bytes of every output, with commas between them",
    ),
    message(
        r"outnames \S+ not valid",
        "the model has no output of that name",
        "take the names that atc gave them (node:index:tensor), or leave the option out",
    ),
    message(
        r"--profiler cannot be true at the same time|when dump or profiler, miss output path|"
        r"dump failed, |dump path in acl json file|output path in acl_json is illegal|can't read acl_json_path",
        "the options or the JSON file for dump and profiler are not as ais_bench wants them",
        "see the line; give --output, and one of --dump, --profiler and --acl_json_path only",
    ),
    message(
        r"error: (?:unrecognized arguments|the following arguments are required|ambiguous option|argument \S+: (?:"
        r"expected (?:one|at least one) argument|invalid choice|invalid \w+ value))|"
        r"is not a legal integer|contains special characters other than numbers|Boolean value expected|"
        r"invalid (?:positive int|nonnegative int|loop size) value|number list is (?:contain|over)",
        "the command line has an option or a value that the program does not take",
        "see its --help; ais_bench is the one of docs/npu_host.md, whose later versions have other options",
    ),
    message(
        r"cannot import name '\w+' from '(?:ais_bench|aclruntime)|"
        r"module '(?:ais_bench|aclruntime)\S*' has no attribute",
        "ais_bench and aclruntime are of different versions, or another program has one of the names",
        f"install both wheels of {TOOL_VERSION} again (docs/npu_host.md); PyPI's ais-bench-benchmark is another "
        "program",
    ),
    message(
        r"save out files error|output_batchsize_axis:\d+ +is invalid",
        "an output does not divide by the files of a batch",
        "see --output_batchsize_axis, and whether the bins have the OM's element type and size",
    ),
    message(r"is a soft link", "a path is a symbolic link", "give the real path"),
    message(r"contains illegal char", "a path has a character that ais_bench refuses", "use A-Z a-z 0-9 _ - / . only"),
    message(
        r"group writable|others writable|permission should not be over",
        "a path is too open",
        "chmod 750 what is written, go-w what is read",
    ),
    message(r"isn't path:.*owner", "a path belongs to someone else", "copy it or have it chowned"),
    message(
        r"can't find aclruntime|aclruntime\S*(?: version\S*)? is lower",
        f"ais_bench does not see aclruntime {TOOL_VERSION} (it looks through pkg_resources) and falls back to "
        "--run_mode tensor",
        "install the wheel for this Python, and setuptools<81 where pkg_resources is missing",
        "warning",
    ),
    message(
        r"aipp model without aipp config|can't find (?:aipp )?config file",
        "the OM has dynamic AIPP",
        "give --aipp_config",
    ),
)
