"""The atc command as a value, the script for the NPU host, and the run that trusts nothing but its product."""

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from detector import tools
from detector.errors import ArtifactError, ToolError
from detector.spec import DetectorSpec

ONNX_FRAMEWORK = 5
SUCCESS = "ATC run success"  # printed on stdout by atc, see its main_impl.cc
ATC_HINT = "source /usr/local/Ascend/ascend-toolkit/set_env.sh (CANN 8.5 and later: /usr/local/Ascend/cann/set_env.sh)"


def atc_command(
    spec: DetectorSpec, onnx_file: Path, output: Path, *, batch_size: int, soc_version: str | None = None
) -> list[str]:
    """The command that converts a lowered static graph.

    Args:
        spec: of the model; its outputs' names give the order of the OM's outputs.
        onnx_file: lowered graph.
        output: product without suffix, as atc wants it.
        batch_size: frozen into the graph.
        soc_version: chip; None takes the spec's.
    """
    shape = ",".join(str(side) for side in (batch_size, *spec.input.shape))
    return [
        "atc",
        f"--framework={ONNX_FRAMEWORK}",
        f"--model={onnx_file}",
        f"--output={output}",
        "--input_format=NCHW",
        f"--input_shape={spec.input.name}:{shape}",
        f"--soc_version={soc_version or spec.atc.soc_version}",
        # Always spelled --out_nodes: older parsers know no prefixes. Graph output names, not generated node numbers.
        f"--out_nodes={';'.join(tensor.name for tensor in spec.outputs)}",
        f"--log={spec.atc.log}",
    ]


def atc_script(command: Sequence[str], output: Path) -> str:
    """A script that runs the command in its own folder on a host with CANN, and checks the product as `run_atc` does.

    Args:
        command: of `atc_command`, with file names relative to the script.
        output: the product without suffix, relative to the script.
    """
    om = shlex.quote(f"{output}.om")
    log = shlex.quote(f"{output}.atc.log")
    return f"""#!/bin/sh
# Builds {output}.om on a host with CANN (no NPU needed); copy it there together with the .atc.onnx beside it.
cd "$(dirname "$0")" || exit 1
if ! command -v atc >/dev/null; then
    echo "error: atc not found; {ATC_HINT}" >&2
    exit 5
fi
rm -f {om}
{shlex.join(command)} >{log} 2>&1
code=$?
cat {log}
# CANN releases that compile host code append the platform to the name.
for made in {shlex.quote(str(output))}_linux_*.om; do
    if [ -e "$made" ]; then mv "$made" {om}; fi
done
if [ "$code" -ne 0 ] || ! grep -q "{SUCCESS}" {log} || [ ! -s {om} ]; then
    echo "error: atc exited with $code and left no valid {output}.om; whole log in {output}.atc.log" >&2
    exit 1
fi
echo "{output}.om is ready"
"""


def run_atc(command: Sequence[str], output: Path, *, run: Callable[..., tools.Finished] = tools.run) -> Path:
    """Run atc and return the OM it left.

    Success means all three: exit code 0, the success line, and a file under one of the two names atc may write.

    Args:
        command: of `atc_command`.
        output: product without suffix.
        run: the subprocess call; tests pass their own.

    Raises:
        ToolError: atc failed; its last lines are in the message, all of them in `<output>.atc.log`.
        ArtifactError: it reported success and left no file.
    """
    om = Path(f"{output}.om")
    for stale in _products(output):
        stale.unlink()
    log = Path(f"{output}.atc.log")
    finished = run(command, log=log)
    if not any(SUCCESS in line for line in finished.lines):
        raise ToolError(f"{shlex.join(command)} exited with 0 but never said {SUCCESS!r}; whole log in {log}")
    products = _products(output)
    if len(products) != 1 or not products[0].stat().st_size:
        raise ArtifactError(f"atc reported success but left no {om}; whole log in {log}")
    if products[0] != om:
        os.replace(products[0], om)
    return om


def _products(output: Path) -> list[Path]:
    plain = Path(f"{output}.om")
    return [path for path in (plain, *sorted(output.parent.glob(f"{output.name}_linux_*.om"))) if path.exists()]
