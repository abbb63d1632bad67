"""docs/formats.md has the fields that the code has: none is missing, none is made up."""

import ast
import importlib
import json
import re
from pathlib import Path

import onnx
import pydantic
import pytest

from convert.build import convert
from convert.conversion_plan import plan_conversion
from detector.files.lock import exclusive, lock_path
from detector.onnx_files.read_write import METADATA_KEY, write_onnx
from detector.onnx_files.seal import SEAL_KEY
from infer.canvas_runs import RUNS_FORMAT
from infer.contract.summary import Summary, Timings

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
PRODUCT = ("detector", "export", "convert", "preprocess", "infer", "postprocess", "pipeline")


def table(text: str) -> list[str]:
    """The names in the first column of the first table."""
    rows = re.search(r"^\|.*\|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows, text[:80]
    return [name for row in rows[1].splitlines() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def section(heading: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


MODELS = {name: heading for heading, name in re.findall(r"^### (.* \(`([\w.]+)`\))$", PAGE, re.MULTILINE)}


def model_of(name: str) -> type:
    module, _, cls = name.rpartition(".")
    return getattr(importlib.import_module(module), cls)


def fields_of(model: type) -> list[str]:
    if issubclass(model, pydantic.BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return [name for base in reversed(model.__mro__) for name in getattr(base, "__annotations__", {})] or list(
        model.__annotations__
    )


@pytest.mark.parametrize("name", MODELS)
def test_the_fields_of_a_record_are_those_of_the_code(name: str):
    assert sorted(table(section(MODELS[name]))) == sorted(fields_of(model_of(name)))


def literals() -> dict[str, str]:
    """Every version of a format in the product's code -> its file."""
    found = {}
    for package in PRODUCT:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and re.fullmatch(r"omline-[a-z]+-\d+", str(node.value)):
                    found[str(node.value)] = str(path.relative_to(ROOT))
    return found


def test_every_version_is_told():
    told = set(re.findall(r"`(omline-[a-z]+-\d+)`", PAGE))
    assert told == set(literals())
    assert RUNS_FORMAT in told


def test_every_record_has_its_table():
    """Records are the models with a version, and the models that these are made of."""
    documented = {model_of(name) for name in MODELS}
    for model in list(documented):
        if issubclass(model, pydantic.BaseModel):
            used = set(re.findall(r"[\w.]+\.(\w+)", str([f.annotation for f in model.model_fields.values()])))
            parts = {cls.__name__ for cls in subclasses(pydantic.BaseModel) if cls.__module__.split(".")[0] in PRODUCT}
            missing = (used & parts) - {cls.__name__ for cls in documented}
            assert not missing, f"{model.__name__} has {missing}"


def subclasses(cls: type) -> set[type]:
    return {sub for child in cls.__subclasses__() for sub in {child, *subclasses(child)}}


def test_the_keys_of_the_summary():
    text = section("`<dirname>_summary.json`")
    told = re.findall(r"`(\w+)`", text[text.index("Its keys:") : text.index("Of several canvases")])
    timings = Timings(compute=[1.0], to_device=[0.0], to_host=[0.0], batch_sizes=[1])
    assert told == list(Summary(timings, 1).document({}, []))


def test_the_files_beside_a_stand_in(tmp_path: Path, canonical: onnx.ModelProto):
    write_onnx(tmp_path / "tiny.onnx", canonical)
    made = convert(
        plan_conversion(tmp_path / "tiny.onnx", batch_size=2, target="cpu", output=tmp_path / "tiny_bs2")
    ).files
    described = json.loads((tmp_path / "tiny_bs2.om.json").read_text())
    assert {*described, "om_sha256"} == set(table(section("`<name>.om.json`")))
    listed = re.search(r"^\| `<name>\.onnx`.*$", PAGE, re.MULTILINE)
    assert listed
    assert all(f"`{path.name.removeprefix('tiny_bs2')}`" in listed[0].replace("`<name>", "`") for path in made)
    noted = {entry.key for entry in onnx.load(tmp_path / "tiny_bs2.onnx").metadata_props}
    assert noted == {METADATA_KEY, SEAL_KEY} == set(table(section("ONNX")))


def test_the_lock(tmp_path: Path):
    with exclusive(tmp_path / "m.onnx", doing="writing"):
        path = lock_path(tmp_path / "m.onnx")
        assert path.name == ".m.onnx.lock"
        row = re.search(r"^\| `\.<name>\.lock`.*$", PAGE, re.MULTILINE)
        assert row
        assert all(f"`{key}`" in row[0] for key in json.loads(path.read_text()))


def test_what_make_remembers():
    makefile = (ROOT / "Makefile").read_text()
    remembered = re.findall(r"^(\w+)_IS := \$\(\w+\)$", makefile, re.MULTILINE)
    values = [name for name in remembered if name.islower()]
    assert len(values) > 3
    assert all(f"`.{name}`" in PAGE for name in values)
    assert "note   = $(dir $(1)).$(notdir $(1)).made" in makefile
    assert "`.<product>.made`" in PAGE
