"""What is a family's own is in its file: nothing else branches on which family a detector is of."""

import ast
import inspect
from pathlib import Path
from typing import get_args

import pytest

from detector.spec import FamilyName
from export.checkpoints import DIALECTS
from export.families import FAMILIES

ROOT = Path(__file__).resolve().parents[3]
STAGES = ("detector", "export", "convert", "preprocess", "infer", "postprocess", "pipeline", "demo", "benchmarks")
# The list of names, dialects and their tables, and figures that were published of two detectors.
TABLES = {
    "detector/spec/wishes.py",
    "export/checkpoints/dialects/mmdet/heads.py",
    "convert/cost/forecast.py",
    *(str(Path(inspect.getfile(dialect)).relative_to(ROOT)) for dialect in DIALECTS),
}
WORDS = {*get_args(FamilyName), *(family.title for family in FAMILIES)}
KINDS = {kind.__name__ for family in FAMILIES for kind in (family.network, family.head)}


def mentions(text: str) -> list[str]:
    """Names of families as values, and their classes, in a module."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in WORDS:
            found.append(f"{node.lineno}: {node.value}")
        elif isinstance(node, ast.Name) and node.id in KINDS:
            found.append(f"{node.lineno}: {node.id}")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("export.families."):
            found += [f"{node.lineno}: {node.module}"] if node.module != "export.families.family" else []
    return found


def test_a_family_is_known_by_its_file_and_the_tables_alone():
    files = {str(path.relative_to(ROOT)): path for stage in STAGES for path in sorted((ROOT / stage).rglob("*.py"))}
    others = {name: path for name, path in files.items() if name not in TABLES and "export/families/" not in name}
    found = {name: mentions(path.read_text(encoding="utf-8")) for name, path in others.items()}
    found.pop("demo/train.py")  # a config of mmdetection, which names its detector
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "branch",
    ["spec.detector == 'fcos'", "isinstance(network, RetinaNetwork)", "from export.families.atss import FAMILY"],
)
def test_the_check_sees_a_branch(branch: str):
    assert len(mentions(branch)) == 1


def test_each_is_called_as_its_file():
    assert [family.name for family in FAMILIES] == list(get_args(FamilyName))
    assert len({family.network for family in FAMILIES}) == len({family.title for family in FAMILIES}) == len(FAMILIES)
    for family in FAMILIES:
        assert Path(inspect.getfile(family.network)).stem == family.name
