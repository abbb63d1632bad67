"""The spec of a small detector as a YAML file."""

from pathlib import Path

YAML = """\
detector: fcos
canvas: [64, 96]
image: {channels: BGR, mean: [1, 2, 3], std: [1, 1, 1]}
classes: [a, b]
"""


def write(folder: Path, text: str, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path
