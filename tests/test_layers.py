"""Who may import whom: a stage is one process in one environment, and detector is what they agree on."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("export", "convert", "preprocess", "infer", "postprocess")
PACKAGES = ("detector", *STAGES, "pipeline", "benchmarks", "demo")
ALLOWED = {
    "detector": {"detector"},
    **{stage: {"detector", stage} for stage in STAGES},
    "pipeline": {"detector", "pipeline", *STAGES},
}
WITHOUT_TORCH = ("detector", "convert", "preprocess", "infer", "postprocess")
# Functions that import by name; a module given to them counts as imported.
IMPORTERS = {"require", "import_module", "__import__", "importorskip"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of everything a module imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names.add(str(node.module))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            if called in IMPORTERS:
                names.add(str(node.args[0].value))
    return names


def tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_its_layer_allows(package: str):
    found = {str(path.relative_to(ROOT)): tops(path) & set(PACKAGES) - ALLOWED[package] for path in modules(package)}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize("package", WITHOUT_TORCH)
def test_torch_is_for_export_only(package: str):
    heavy = {"torch", "torchvision", "mmdet", "mmcv", "mmengine"}
    assert [str(path) for path in modules(package) if tops(path) & heavy] == []


def test_only_the_infer_stage_and_the_verification_of_an_export_use_onnxruntime():
    users = {package for package in ("detector", *STAGES) for path in modules(package) if "onnxruntime" in tops(path)}
    assert users <= {"infer", "export"}


def test_the_check_sees_nested_and_named_imports(tmp_path: Path):
    module = tmp_path / "m.py"
    module.write_text(
        "def f():\n    import torch.nn\n    from export.network import fcos\n    require('onnxruntime', extra='cpu')\n"
    )
    assert imported(module) == {"torch.nn", "export.network", "onnxruntime"}


@pytest.mark.parametrize("package", ["detector", *STAGES])
def test_every_stage_is_there(package: str):
    assert modules(package)
