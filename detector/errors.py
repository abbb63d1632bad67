"""The error tree: one class per thing the user can do about it.

PipelineError                  exit 1
 ├── SpecError                 the model description disagrees with itself, the weights or another artifact
 ├── CheckpointError           the weights file cannot be read or is not this detector
 ├── ArtifactError             a file of the pipeline is missing, truncated or stale; names the command to run
 ├── DataError                 an image or an annotation file is wrong
 ├── ToolError                 atc or ais_bench failed: command, exit code, last lines
 ├── AccuracyError             exit 3: the forward pass or the AP is not what was asked for
 └── MissingEnvironmentError   exit 5: atc, an NPU or an optional package is not here

Messages are one line: what, where, got and expected, next step.
"""


class PipelineError(Exception):
    """An expected failure: printed as one line, never as a traceback."""

    exit_code = 1


class SpecError(PipelineError):
    """The model description disagrees with itself, with the weights or with another artifact."""


class CheckpointError(PipelineError):
    """The weights file cannot be read, or holds another detector."""


class ArtifactError(PipelineError):
    """A file made by an earlier stage is missing, truncated or stale."""


class DataError(PipelineError):
    """An image or an annotation file is missing, damaged or inconsistent."""


class ToolError(PipelineError):
    """An outside program failed or left no product."""


class AccuracyError(PipelineError):
    """A result differs by more than the accuracy asked for."""

    exit_code = 3


class MissingEnvironmentError(PipelineError):
    """A program, device or optional package that the command needs is not on this machine."""

    exit_code = 5
