"""Exported names of a package that are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_exports(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package; `modules` gives the module of each name.

    >>> getattr_, dir_ = lazy_exports("liverspleen.imaging", {"Geometry": "geometry"})
    >>> getattr_("Geometry").__name__, "Geometry" in dir_()
    ('Geometry', True)
    """

    def exported(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return exported, lambda: sorted({*vars(sys.modules[package]), *modules})
