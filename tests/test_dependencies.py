"""`pyproject.toml` declares what is imported and nothing else, and nothing that runs with it is GPL, LGPL or AGPL."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUNTIME = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = {
    name: [Requirement(text) for text in texts]
    for name, texts in PROJECT["optional-dependencies"].items()
    if name != "dev"
}
DEV = [Requirement(text) for text in PROJECT["optional-dependencies"]["dev"]]

PYTHON = ("3.11", "3.12", "3.13")

NOT_IMPORTED = {
    "pyjpegls": "pydicom loads it to decode JPEG-LS",
    "pylibjpeg": "pydicom loads it to decode JPEG 2000",
    "pylibjpeg-openjpeg": "pylibjpeg loads it to decode JPEG 2000",
    "onnxscript": "torch.onnx loads it to export a model",
    "wandb": "the W&B logger of Lightning loads it",
}
"""Declared packages that the source does not import, with the reason."""

PEERS = {"batchgeneratorsv2", "blosc2", "deflate", "nnunetv2", "segmentation-models-pytorch", "torchmetrics", "zarr"}
"""What benchmarks and tests compare with or use where it is installed; never required."""

NAMESPACES = {"google.protobuf": "protobuf"}
"""Packages in a namespace that several distributions share."""


def names(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


DECLARED = names([*RUNTIME, *(one for extra in EXTRAS.values() for one in extra)])


def imported(path: Path) -> Iterator[str]:
    """Dotted names of the modules that a file imports, also in functions and through `import_module`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module
            case ast.Call(
                func=ast.Name(id="import_module" | "importorskip")
                | ast.Attribute(attr="import_module" | "importorskip"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


@cache
def providers() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def third_party(folder: str) -> dict[str, str]:
    """Distribution of each third-party module that the files of a folder import, and one of these files."""
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    own = {"liverspleen", *(file.stem for file in files), *(file.parent.name for file in files)}
    found = {}
    for file in files:
        for name in imported(file):
            top = name.split(".")[0]
            if top in sys.stdlib_module_names or top in own:
                continue
            shared = next((found for start, found in NAMESPACES.items() if name.startswith(start)), None)
            provider = shared or providers().get(top, [top])[0]
            found[canonicalize_name(provider)] = str(file.relative_to(ROOT))
    return found


def test_what_the_source_imports_is_declared() -> None:
    undeclared = {name: file for name, file in third_party("src").items() if name not in DECLARED}
    assert undeclared == {}


def test_what_is_declared_is_imported_or_has_a_reason() -> None:
    unused = DECLARED - third_party("src").keys()
    assert unused == NOT_IMPORTED.keys()


@pytest.mark.parametrize("folder", ["tests", "benchmarks", "experiments"])
def test_what_tests_and_studies_import_is_declared(folder: str) -> None:
    known = DECLARED | names(DEV) | PEERS
    undeclared = {name: file for name, file in third_party(folder).items() if name not in known}
    assert undeclared == {}


def test_imports_are_found_wherever_they_are(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import a.b as c\nfrom d.e import f\nfrom . import g\n"
        "def h():\n    import i\n    import_module('j.k')\n    pytest.importorskip('l', reason='m')\n"
    )
    assert sorted(imported(file)) == ["a.b", "d.e", "i", "j.k", "l"]


def pinned() -> set[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}


def test_constraints_pin_what_is_needed_and_nothing_else() -> None:
    """Nothing that a removed dependency needed remains."""
    everything = [*RUNTIME, *(one for extra in EXTRAS.values() for one in extra), *DEV]
    assert names(everything) <= pinned()
    assert pinned() <= needed(everything).keys()


# Licenses

COPYLEFT = re.compile(r"\b[AL]?GPL|GNU\b.*\b(Public|General|Lesser|Affero)", re.IGNORECASE)
EXCEPTION = re.compile(r"GPL-3\.0-(only|or-later) WITH GCC-exception-3\.1|GPL-3\.0-with-GCC-exception")
"""The license of libgfortran, which the wheels of NumPy and SciPy hold; its exception permits any program to use it.

Both wheels also hold libquadmath (LGPL-2.1-or-later), which belongs to the compiler as well, is a file of its own that
can be replaced, and is part of the text of their licenses but not of the licenses that their metadata state. It is
accepted, because the wheels for Linux come with it.
"""

LICENSES = {
    "cuda-toolkit": "LicenseRef-NVIDIA-Proprietary",  # empty package that requires those of CUDA; their metadata
}
"""Licenses of distributions whose metadata state none, with the source."""


def applies(requirement: Requirement, extra: str) -> bool:
    """Whether it is required on this system with any of the versions of Python that are supported."""
    marker = requirement.marker
    versions = ({"extra": extra, "python_version": one, "python_full_version": f"{one}.0"} for one in PYTHON)
    return marker is None or any(marker.evaluate(version) for version in versions)


def needed(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """The installed distributions that the requirements need here, with their own requirements."""
    found: dict[str, Distribution] = {}
    visited: set[tuple[str, str]] = set()
    todo = [(one, "") for one in requirements]
    while todo:
        requirement, extra = todo.pop()
        if not applies(requirement, extra):
            continue
        name = canonicalize_name(requirement.name)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:  # an extra that is not installed
            continue
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in visited:
                visited.add((name, wanted))
                todo.extend((Requirement(text), wanted) for text in found[name].requires or ())
    return found


def license_of(one: Distribution) -> str:
    """What the metadata state: the SPDX expression, else the classifiers, else the field `License` if it is a name.

    A field of many lines is the text of the license and of packaged libraries, and not a name.
    """
    if expression := one.metadata.get("License-Expression"):
        return expression
    classifiers = [line.split(" :: ")[-1] for line in one.metadata.get_all("Classifier", []) if "License ::" in line]
    stated = one.metadata.get("License", "").strip()
    name = stated if len(stated) < 100 and "\n" not in stated else ""
    return "; ".join(classifiers) or name or LICENSES.get(canonicalize_name(one.name), "")


def accepted(text: str) -> bool:
    """Whether a license is stated that is not GPL, LGPL or AGPL; of alternatives one is enough."""
    alternatives = EXCEPTION.sub("permitted", text).split(" OR ")
    return any(one and not COPYLEFT.search(one) for one in alternatives)


def test_no_runtime_dependency_is_gpl_lgpl_or_agpl() -> None:
    found = needed([*RUNTIME, *(one for extra in EXTRAS.values() for one in extra)])
    assert {"numpy", "torch", "certifi", "sqlalchemy"} <= found.keys()
    assert {name: license_of(one) for name, one in found.items() if not accepted(license_of(one))} == {}


@pytest.mark.parametrize(
    ("text", "free"),
    [
        ("MIT", True),
        ("MPL-2.0 AND MIT", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("Python Software Foundation License", True),
        ("GPL-2.0-or-later OR MIT", True),
        ("BSD-3-Clause AND GPL-3.0-with-GCC-exception", True),
        ("BSD-3-Clause AND GPL-3.0-only WITH GCC-exception-3.1", True),
        ("BSD-3-Clause AND LGPL-2.1-or-later", False),
        ("LGPLv3", False),
        ("GNU Lesser General Public License v3 or later (LGPLv3+)", False),
        ("GNU Affero General Public License v3", False),
        ("AGPL-3.0-only", False),
        ("", False),
    ],
)
def test_licenses_are_judged_by_their_names(text: str, free: bool) -> None:
    assert accepted(text) is free
