"""The tables of docs/ that are rendered from detector/card/sheet.toml.

`python -m tests.detector.card.tables` writes them. A table
stands between `<!-- sheet: NAME -->` and the next empty line.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from detector.card.sheet import CHIPS, DOCUMENT, RELEASES, SOURCES, Release, nms_opsets

ROOT = Path(__file__).resolve().parents[3]
PAGES = {
    "docs/npu_host.md": ("versions", "boards"),
    "docs/facts/atc.md": ("precision", "chips", "limits", "opsets"),
}
PLACE = re.compile(r"(?<=<!-- sheet: )(\w+) -->\n(?:\|.*\n)*")


def table(name: str) -> str:
    """One table as Markdown, every line with its end."""
    rows = {
        "versions": _versions,
        "boards": _boards,
        "precision": _precision,
        "chips": _chips,
        "limits": _limits,
        "opsets": _opsets,
    }[name]()
    head, *others = (f"| {' | '.join(cells)} |\n" for cells in rows)
    return "".join([head, "|---" * (head.count(" | ") + 1) + "|\n", *others])


def rendered(page: str) -> str:
    """The text of a page with its tables as the sheet has them."""
    return PLACE.sub(lambda place: f"{place[1]} -->\n{table(place[1])}", page)


def _range(opset: Iterable[int]) -> str:
    first, last = opset
    return f"{first}" if first == last else f"{first} to {last}"


def _versions() -> Iterator[tuple[str, ...]]:
    yield "CANN", "opset with the NMS operator [1]", "driver / firmware [4]", "image [2]", "its Python"
    for name, release in RELEASES.items():
        told = {"covers": name, "note": "", "drivers": "", "images": "none found", "python": "–", **release.host}
        opset = f"{_range(nms_opsets(name))} {told['note']}".strip()
        yield told["covers"], opset, told["drivers"], told["images"], told["python"]


def _opsets() -> Iterator[tuple[str, ...]]:
    yield "CANN", "opsets as a whole", "with BatchMultiClassNMS", "errors of the parser", "source"
    for name, release in RELEASES.items():
        yield name, _range(release.opset), _range(nms_opsets(name)), f"{release.codes}xxx", _source(release)


def _source(release: Release) -> str:
    return f"{SOURCES[release.source]} ({DOCUMENT['sources'][release.source]['read']})".replace("*_", "\\*_")


def _boards() -> Iterator[tuple[str, ...]]:
    yield "board", "chip", "`SOC=`"
    for name, chip in CHIPS.items():
        if chip.boards:
            yield chip.boards, name.removeprefix("Ascend"), f"`{name}`"


def _chips() -> Iterator[tuple[str, ...]]:
    yield "value", "AI cores", "vector cores", "AI CPU", "cube MHz", "memory, bytes"
    for name, chip in CHIPS.items():
        yield name, *map(str, (chip.ai_cores, chip.vector_cores, chip.ai_cpus, chip.mhz, chip.memory))


def _limits() -> Iterator[tuple[str, ...]]:
    yield "limit", "of", "source"
    for entry in DOCUMENT["limits"].values():
        value = entry["value"]
        said = _range(value) if isinstance(value, list) else f"{value:g}"
        yield said, entry["what"], f"{SOURCES[entry['source']]} ({DOCUMENT['sources'][entry['source']]['read']})"


def _precision() -> Iterator[tuple[str, ...]]:
    yield "value", "of", "means"
    options = {1: "`--precision_mode`", 2: "`--precision_mode_v2`"}
    for name, entry in DOCUMENT["precision_modes"].items():
        yield name, ", ".join(options[number] for number in entry["options"]), entry["is"]


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")
