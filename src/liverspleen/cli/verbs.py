"""The verbs and their purposes; a purpose is the first line of the module of the verb."""

from __future__ import annotations

import ast
import importlib
import keyword
from pathlib import Path
from types import ModuleType
from typing import Final

from liverspleen.config import SCHEMAS


def module_of(verb: str) -> ModuleType:
    """Import and return the module of a verb."""
    return importlib.import_module(f"{__package__}.{_name(verb)}")


def _name(verb: str) -> str:
    """Return the module name; it ends in `_` if the verb is a keyword of Python."""
    return f"{verb}{'_' * keyword.iskeyword(verb)}"


def description(verb: str) -> str:
    """Return the docstring of the module of a verb; it is parsed, because importing the module is slower."""
    return ast.get_docstring(ast.parse(_file(verb).read_bytes())) or ""


def _file(verb: str) -> Path:
    return Path(__file__).with_name(f"{_name(verb)}.py")


def _purpose(verb: str) -> str:
    with _file(verb).open(encoding="utf-8") as handle:
        return handle.readline().strip().strip('"').rstrip(".")


VERBS: Final = {verb: _purpose(verb) for verb in SCHEMAS}
"""Verb to purpose."""
