"""What atc says of a graph without a code, or better than its code does (hicann/ge, public reports)."""

from detector.diagnosis.message import LOWERED, as_code, message
from detector.diagnosis.tables import codes

GRAPH = (
    message(
        r"(?i:dynamic shape is not supported|not support dynamic shape|unknown shape is not supported)",
        "this chip has no kernel for the operator with dynamic shapes",
        "give fixed shapes: --input_shape without -1 and ranges, or gears (atc.batch_sizes, atc.image_sizes, atc.dims)",
    ),
    message(
        r"(?i:(?:unified buffer|\bUB|\bL1|\bL0[ABC]?)(?: buffer)? (?:size )?overflow|exceeds? (?:the )?ub size)",
        "a kernel needs more on-chip memory than the chip has",
        "a smaller shape for that operator: smaller batch or canvas, or split it",
    ),
    message(
        r"PLEASE submit a bug report|LLVM ERROR|clang frontend command failed|\bccec\b.{0,40}(?:crash|fail)",
        "the compiler of kernels (ccec, bisheng) crashed on one operator",
        "the lines around it name the operator: give it another shape or type, or take a CANN of another release",
    ),
    message(
        r"(?i:magic num(?:ber)?\b|model magic|check model (?:len|size|magic))",
        "the file is no OM, or is damaged or cut off",
        "copy the OM again and compare SHA-256; --model must be what atc wrote",
    ),
    message(
        r"dtype is not same|type1:DT_\w+, ?type2:DT_\w+",
        "two inputs of an operator have different element types, int64 and int32 say",
        f"{LOWERED}: there all integers have one type; or cast one of them in the ONNX",
    ),
    message(
        r"dims should be equal except merge axis|"
        r"[Cc]oncat\w*.{0,60}(?:dim|shape)\w*.{0,30}(?:not equal|mismatch|should be)",
        "the inputs of a Concat differ in a size that must be the same",
        "look at that Concat in the ONNX and at --input_shape: the model was exported for another size of image",
    ),
    message(
        r"(?:can ?not|can't|fail(?:ed)? to|not) (?:be )?broadcast",
        "two inputs of an operator have shapes that do not go together",
        "look at its inputs in the ONNX and at --input_shape: the model was exported for another size of image",
    ),
    message(
        r"cannot be (?:converted|reshaped) (?:from|into|to)|"
        r"[Rr]eshape.{0,80}(?:element|size).{0,30}(?:not equal|mismatch)",
        "a Reshape's target does not fit its input: batch or canvas of the export stands in it",
        "give --input_shape the batch and size of the export, or export again with open dimensions",
    ),
    message(
        r"shape of score cannot be negative|fusion pass \[NonMaxSuppression|NonMaxSuppression\w*Fusion",
        "a fusion pass fails on a NonMaxSuppression whose boxes or scores have no fixed shape",
        "export the model without NonMaxSuppression (suppress on the host), or with fixed shapes up to it; `python -m "
        "convert --spec` adopts such a model",
    ),
    message(
        r"compiler process died|TBE compile process died",
        "the process that compiles a kernel died, most often for want of memory",
        "free memory; run with TE_PARALLEL_COMPILER=1; fewer gears, a smaller batch",
    ),
    message(
        r"User specified tensor\[.*\] is not output of graph",
        "--out_nodes names a tensor that is no output of the graph",
        "use the names of the ONNX graph's outputs",
    ),
    message(
        r"external tensor proto\[.*\] must contain location",
        "weights outside of the .onnx are not found",
        "copy the files with the weights beside the .onnx, or save it with its weights inside",
    ),
    message(
        r"\[Parse\]\[Params\] for op \[.*\] fail",
        "the parser refuses an operator's attributes",
        LOWERED,
    ),
    as_code(r"No parser is registered for Op|op type .* is not supported by (?:the )?parser", "E13010"),
    as_code(r"No ONNX parser is registered for optype", "E16002"),
    message(
        r"\"?message\"?: ?\"The type is not supported",
        codes()["E16002"].cause,
        codes()["E13010"].step,
    ),
    as_code(r"No supported Ops kernel and engine are found", "EZ3003"),
    as_code(r"Optype \[.*\] of Ops kernel \[.*\] is unsupported|is not found in this op store", "EZ3002"),
    as_code(r"has a name conflict in the graph", "E13009"),
    as_code(r"fields, but only one is allowed", "E16005"),
    as_code(r"Model has no \[.*\] node", "E16001"),
    as_code(r"IR for Op \[.*\], is not registered", "EZ0501"),
    as_code(r"Opname \[.*\] specified in \[.*\] is not found", "E10016"),
    message(
        r"(?i:soc.?version.{0,80}(?:invalid|not support|unsupported)|(?:invalid|unsupported).{0,40}soc.?version)",
        "--soc_version names a chip that this CANN does not know, or whose ops package is not installed",
        "write the Name of `npu-smi info` after the word Ascend, Ascend310P3 say; install the chip's ops package",
    ),
    message(
        r"protobuf.{0,120}(?:invalid UTF-8|rejected because it was too big|[Ee]rror parsing)|Error parsing message",
        "the model file is damaged, of another kind, or over protobuf's 2 GB",
        "copy the file again and compare its SHA-256; --framework=5 is ONNX; a large model keeps its weights outside",
    ),
    message(
        r"(?i:fails? in InferShape|InferShape\w* (?:for node\S* ?)?\S* ?fail|Call InferShapeAndType|"
        r"Verifying \S+ failed|infer[_ ]?shape\w*.{0,40}fail)",
        "the shapes or types of an operator's inputs do not go together",
        "the line names the operator: look at its inputs in the ONNX and at --input_shape; `python -m convert lint` "
        "names the node; an export with fixed shapes, or opset 11, often helps",
        "stage",
    ),
    message(
        r"(?i:tiling fail|do_?tiling.{0,20}fail|tiling func\w* fail)",
        "no way was found to cut an operator's work for the chip: its shape or values do not fit its kernel",
        "the line names the operator: another shape for it; `python -m convert lint` on the ONNX",
        "stage",
    ),
    message(
        r"unknown command line flag '?([^']*)'?",
        "this atc does not know an option",
        "check its spelling; older releases know no prefixes",
    ),
    message(
        r"flag '.*' is missing its argument", "an option has no value", "write --option=value; quote values with ;"
    ),
)
