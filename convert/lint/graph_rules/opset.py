"""The graph's opset and domains, and functions of its own."""

from collections.abc import Iterator

import onnx

from convert.lint.findings import Problem
from detector.card.sheet import RELEASES


def opset_problems(model: onnx.ModelProto, opset: int | None, cann: str) -> Iterator[Problem]:
    """What a release of atc makes of them; opset None: the file names none."""
    release = RELEASES[cann]
    first, last = release.opset
    if opset is None:
        yield Problem("opset", "fails", "the file names no opset of ai.onnx", "export it again", ("ge",))
    elif not first <= opset <= last:
        yield Problem(
            "opset",
            "fails",
            f"opset {opset}; CANN {cann} takes {first} to {last} ({release.codes}010)",
            f"export with opset {min(max(opset, first), last)}, or use another CANN",
            (release.source,),
        )
    domains = sorted({entry.domain or "ai.onnx" for entry in model.opset_import})
    if len(model.opset_import) > 1 and not release.has_several_domains:
        yield Problem(
            "opset-domains",
            "fails",
            f"the file imports {len(model.opset_import)} opset domains ({', '.join(domains)}); atc before CANN 9.2 "
            "takes one (E16005)",
            "remove the domains that the graph does not need (`python -m convert` does)",
            ("ge",),
        )
    if model.functions:
        names = ", ".join(sorted(function.name for function in model.functions)[:3])
        yield Problem(
            "functions",
            "fails",
            f"the file defines functions of its own ({names}), which atc does not read",
            "run `python -m convert`, or inline them (onnx.inliner)",
            ("ge",),
        )
