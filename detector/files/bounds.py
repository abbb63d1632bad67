"""How much of a file is taken before it is refused: one bound per kind, each changeable by the environment."""

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from detector.errors import PipelineError


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that is taken of something.

    Attributes:
        variable: environment variable that sets another number.
        default: the number without it.
        unit: what is counted, in the plural.
    """

    variable: str
    default: int
    unit: str

    @property
    def limit(self) -> int:
        """The number in force.

        Raises:
            PipelineError: the environment variable is no positive whole number.
        """
        text = os.environ.get(self.variable)
        if text is None:
            return self.default
        if not (text.isascii() and text.isdigit() and 0 < len(text) < 19 and int(text) > 0):
            raise PipelineError(
                f"the environment variable {self.variable} is {text!r}, expected a number of {self.unit}"
            )
        return int(text)

    def require(self, count: int, path: Path | str) -> None:
        """Refuse more than the limit of what is in a file.

        Raises:
            OSError: with the file, the count, the limit and the variable that raises it.
        """
        if count > self.limit:
            raise OSError(errno.EFBIG, f"{count:,} {self.unit}, {self.refusal}", str(path))

    @property
    def refusal(self) -> str:
        """What to say after the count that exceeds the limit."""
        return f"at most {self.limit:,} are taken; set {self.variable} if more is meant"


# A YAML file, a summary, a spec, a config, a log: written by people or of a few fields.
SMALL_BYTES = Bound("OMLINE_MAX_SMALL_FILE_BYTES", 16 * 2**20, "bytes")
# A shell script with calls of atc.
SCRIPT_BYTES = Bound("OMLINE_MAX_SCRIPT_BYTES", 2**20, "bytes")
# Manifests, annotations and detections: COCO's training set has 470 MB of annotations.
DATA_BYTES = Bound("OMLINE_MAX_DATA_FILE_BYTES", 2**30, "bytes")
# A manifest of bins has 300 bytes an image and takes ten times its size when read. ais_bench takes 100,000 images.
MANIFEST_BYTES = Bound("OMLINE_MAX_MANIFEST_BYTES", 48 * 2**20, "bytes")
# One row of those: the outline of one object has some kilobytes.
ROW_BYTES = Bound("OMLINE_MAX_ROW_BYTES", 16 * 2**20, "bytes")
# Images that an annotation file lists, of which each is kept: the largest public sets have under two million.
IMAGE_ROWS = Bound("OMLINE_MAX_IMAGES", 2_000_000, "images")
# One encoded image: the largest photographs of phones and scanners have some 100 MB.
IMAGE_BYTES = Bound("OMLINE_MAX_IMAGE_BYTES", 2**28, "bytes")
# One decoded image: 178,956,970 is where Pillow takes a picture for a decompression bomb, 0.5 GB of three bytes each.
IMAGE_PIXELS = Bound("OMLINE_MAX_IMAGE_PIXELS", 178_956_970, "pixels")
# One ONNX file, or what one tensor takes of another file: protobuf's limit.
ONNX_BYTES = Bound("OMLINE_MAX_ONNX_BYTES", 2**31 - 1, "bytes")
# What onnx's own code may take to fold or rewrite a graph, and to infer its shapes, beside a few copies of the graph.
GRAPH_MEMORY = Bound("OMLINE_MAX_GRAPH_MEMORY", 3 * 2**28, "bytes of memory")
INFERENCE_MEMORY = Bound("OMLINE_MAX_INFERENCE_MEMORY", 2**27, "bytes of memory")
GRAPH_SECONDS = Bound("OMLINE_MAX_GRAPH_SECONDS", 120, "seconds")
# What folding may add to a graph: anchors of a large canvas, once per image of a batch of 64, have some 200 MB.
FOLDED_BYTES = Bound("OMLINE_MAX_FOLDED_BYTES", 2**28, "bytes of folded constants")
# The text of a training config inside a checkpoint, mostly some 10 kB; parsing takes up to 600 bytes a character.
CONFIG_CHARACTERS = Bound("OMLINE_MAX_CONFIG_CHARACTERS", 400_000, "characters")
# What the names in it stand for, written out; real configs have some thousand values.
CONFIG_VALUES = Bound("OMLINE_MAX_CONFIG_VALUES", 200_000, "values")
# What one execution is fed: a batch of 64 on the canvas 1344x1344 has 1.4 GB.
INPUT_BYTES = Bound("OMLINE_MAX_INPUT_BYTES", 2**31, "bytes of input per execution")
# What fills a batch for which there are not enough images; with the activations it takes six times as much (measured:
# ResNet-18, onnxruntime). 40 rows of 800x1344 have 0.5 GB, so that batches of 32 always run.
PADDING_BYTES = Bound("OMLINE_MAX_PADDING_BYTES", 2**29, "bytes of padding per execution")
# Nodes of a graph with its functions written out: the largest detectors have some 10,000.
GRAPH_NODES = Bound("OMLINE_MAX_GRAPH_NODES", 40_000, "nodes")
# What a network sees: 2^25 are 0.4 GB of float32 an image, in each of several processes.
CANVAS_PIXELS = Bound("OMLINE_MAX_CANVAS_PIXELS", 2**25, "pixels")
# A spec in YAML has 2 kB; 20,000 classes with their ids have 500, and take 10 s to parse.
YAML_BYTES = Bound("OMLINE_MAX_YAML_BYTES", 2**19, "bytes")
# What a spec holds: 20,000 classes with their category ids are 40,000.
SPEC_VALUES = Bound("OMLINE_MAX_SPEC_VALUES", 100_000, "values")
