"""The architecture: imports go down only, each dependency is imported in one place, light modules stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "liverspleen"
GROUND = {
    "organs",
    "errors",
    "display",
    "formats",
    "changed_keys",
    "storage",
    "records",
    "processes",
    "lazy",
    "locks",
    "zip_archive",
    "reading",
    "spreadsheet",
    "credentials",
    "plain_yaml",
    "environment",
    "output_folder",
    "pages",
    "shipped",
    "__init__",
}
BELOW: dict[str, set[str]] = {
    "organs": set(),
    "errors": set(),
    "formats": {"errors"},
    "changed_keys": set(),
    "storage": set(),
    "pages": {"errors"},
    "shipped": {"errors"},
    "records": {"errors", "formats", "reading", "storage"},
    "lazy": set(),
    "locks": set(),
    "display": set(),
    "processes": {"display", "errors"},
    "zip_archive": set(),
    "reading": {"errors", "plain_yaml", "spreadsheet"},
    "spreadsheet": set(),
    "credentials": set(),
    "plain_yaml": set(),
    "config": {"credentials", "errors", "organs", "plain_yaml", "reading", "shipped"},
    "codes": {"errors"},
    "environment": set(),
    "output_folder": {"errors", "locks"},
    "provenance": {"credentials", "errors", "output_folder", "records", "storage"},
    "imaging": GROUND,
    "cohort": GROUND | {"imaging"},
    "phantom": GROUND | {"imaging", "cohort"},
    "evaluation": GROUND | {"imaging", "cohort"},
    "audit": GROUND | {"evaluation"},
    "networks": GROUND,
    "data": GROUND | {"imaging", "cohort"},
    "training": GROUND | {"data", "networks", "evaluation", "imaging", "cohort"},
    "inference": GROUND | {"data", "networks", "evaluation", "imaging", "cohort"},
    "correction": GROUND | {"inference", "evaluation", "imaging", "cohort"},
    "sweep": GROUND | {"evaluation"},
    "assemble": GROUND | {"config", "training", "inference", "data", "networks", "cohort"},
    "api": GROUND
    | {
        "provenance",
        "config",
        "assemble",
        "training",
        "inference",
        "correction",
        "sweep",
        "data",
        "evaluation",
        "cohort",
        "imaging",
        "phantom",
    },
}
"""What each package or module may import of this project, besides itself; `cli` may import everything."""

INSIDE_EVALUATION: dict[str, set[str]] = {
    "statistics": set(),
    "metrics": {"statistics"},
    "measurements": {"statistics", "metrics"},
    "reporting": {"statistics", "metrics", "measurements"},
}
"""What each package of `evaluation` may import of the others; `statistics` imports nothing else of the project."""

DOORS: dict[str, set[str]] = {
    "nibabel": {"imaging"},
    "pydicom": {"imaging"},
    "PIL": {"imaging"},
    "filelock": {"locks"},
    "highdicom": {"imaging"},
    "timm": {"networks"},
    "monai": {"data", "training", "networks"},
    "pytorch_lightning": {"data", "training", "assemble"},
    "lightning": set(),
    "hydra": {"config"},
    "omegaconf": {"config"},
    "torch": {"data", "networks", "training", "inference", "assemble", "api"},
    "wandb": set(),
    "tensorboardX": {"training"},
    "mlflow": {"training"},
    "optuna": {"sweep"},
    "sqlalchemy": {"sweep"},
    "submitit": {"sweep"},
    "onnx": {"inference"},
    "onnxruntime": {"inference"},
}
"""Who may import a dependency."""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        yield part, path


def imported(path: Path) -> Iterator[str]:
    """Dotted names a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def violations(part: str, names: Iterator[str]) -> list[str]:
    """Names that code in `part` must not import."""
    found = []
    for name in names:
        top, _, rest = name.partition(".")
        if top == "liverspleen":
            target = rest.split(".")[0] if rest else "__init__"
            target = target if target in {*BELOW, "cli"} else "__init__"
            allowed = {*BELOW.get(part, {*BELOW, "cli"}), part, "__init__"}
            if part not in {"cli", "__main__"} and target not in allowed:
                found.append(name)
        elif top in DOORS and part not in DOORS[top]:
            found.append(name)
    return found


@pytest.mark.parametrize(("part", "path"), [pytest.param(*m, id=str(m[1].relative_to(SOURCE))) for m in modules()])
def test_imports_go_down_only_and_dependencies_are_imported_in_one_place(part: str, path: Path) -> None:
    assert violations(part, imported(path)) == []


def violations_inside_evaluation(package: str, names: Iterator[str]) -> list[str]:
    """Names that a package of `evaluation` must not import."""
    found = []
    for name in names:
        parts = name.split(".")
        if parts[0] != "liverspleen":
            continue
        inside = parts[1:2] == ["evaluation"]
        other = parts[2] if inside and len(parts) > 2 else ""
        if (inside and other not in {package, *INSIDE_EVALUATION[package]}) or (package == "statistics" and not inside):
            found.append(name)
    return found


@pytest.mark.parametrize("package", INSIDE_EVALUATION)
def test_packages_of_evaluation_import_only_those_before_them(package: str) -> None:
    files = sorted((SOURCE / "evaluation" / package).rglob("*.py"))
    assert files
    broken = {str(file): violations_inside_evaluation(package, imported(file)) for file in files}
    assert {file: names for file, names in broken.items() if names} == {}


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("statistics", "liverspleen.errors.Issue"),
        ("statistics", "liverspleen.evaluation.metrics.overlap"),
        ("metrics", "liverspleen.evaluation.measurements.table"),
        ("measurements", "liverspleen.evaluation.reporting.cells"),
        ("measurements", "liverspleen.evaluation.measure_folder"),
    ],
)
def test_a_broken_order_inside_evaluation_is_found(package: str, name: str) -> None:
    assert violations_inside_evaluation(package, iter([name])) == [name]


def test_evaluation_has_few_entries() -> None:
    entries = [entry for entry in (SOURCE / "evaluation").iterdir() if entry.name != "__pycache__"]
    assert len(entries) <= 12


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("evaluation", "torch"),
        ("evaluation", "liverspleen.training.module.SegmentationModule"),
        ("cohort", "nibabel"),
        ("imaging", "liverspleen.cohort.Case"),
        ("data", "liverspleen.networks.deeplab"),
        ("training", "lightning.pytorch"),
        ("networks", "liverspleen.config.NetworkConfig"),
        ("organs", "liverspleen.errors.Issue"),
        ("errors", "liverspleen.codes.read_areas"),
    ],
)
def test_a_broken_rule_is_found(part: str, name: str) -> None:
    assert violations(part, iter([name])) == [name]


HEAVY = {"torch", "pytorch_lightning", "monai", "timm"}


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh Python has loaded after the statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.splitlines()[-1].split())


def test_evaluation_loads_no_torch_and_no_plotting() -> None:
    assert not loaded_by("import liverspleen.evaluation") & {
        *HEAVY,
        "hydra",
        "matplotlib",
        "statsmodels",
        "nibabel",
        "pydicom",
    }


def test_help_and_info_load_no_torch() -> None:
    commands = [["--help"], ["info"], ["train", "--help"], ["predict", "--help"], ["measure", "--help"]]
    assert not loaded_by(f"from liverspleen.cli.main import main; [main(words) for words in {commands!r}]") & HEAVY


def test_a_cohort_that_cannot_be_read_stops_train_before_torch_is_loaded(tmp_path: Path) -> None:
    command = ["train", f"cohort={tmp_path / 'none.csv'}", f"output={tmp_path / 'run'}"]
    assert not loaded_by(f"from liverspleen.cli.main import main; assert main({command!r}) == 2") & HEAVY


def test_verbs_that_need_no_network_load_no_torch() -> None:
    verbs = "check, export, import_, split, prepare, measure, report, compare, change, plan, audit"
    assert not loaded_by(f"from liverspleen.cli import {verbs}") & HEAVY
