"""Find the modules that raise a code, from the syntax trees of the sources."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

_CODE = re.compile(r"(LS-[A-Z]{3}-\d{3})(:.*)?", re.DOTALL)


def modules_by_code(modules: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    r"""Return, by code, the sorted modules that raise it; `modules` are sources by dotted name.

    A module raises a code if it contains its text, or uses a constant with that text, also an imported one. The
    definition of a constant, a comparison, a set and a docstring do not count.

    >>> raising = "from a import LOST\nraise E(LOST)"
    >>> modules_by_code({"a": "LOST = 'LS-IMG-001'", "b": raising, "c": "x == 'LS-IMG-002'"})
    {'LS-IMG-001': ('b',)}
    """
    trees = {name: ast.parse(text) for name, text in modules.items()}
    constants = {(name, key): code for name, tree in trees.items() for key, code in _constants(tree)}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for name, tree in trees.items():
        known = {key: code for (owner, key), code in constants.items() if owner == name} | _imported(tree, constants)
        for code in _raised(tree, known):
            found[code].add(name)
    return {code: tuple(sorted(names)) for code, names in sorted(found.items())}


def sources(root: Path, prefix: str = "") -> dict[str, str]:
    """Return the Python files below `root` by dotted name, relative to `root` and after `prefix`."""
    files = sorted(file for file in root.rglob("*.py"))
    return {prefix + ".".join(file.relative_to(root).with_suffix("").parts): file.read_text("utf-8") for file in files}


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield names and codes of the constants of a module, single ones or `FIRST, SECOND = "…", "…"`."""
    for node in tree.body:
        for target, value in _assigned(node):
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant) and (code := _code(value)):
                yield target.id, code


def _assigned(node: ast.stmt) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(node, ast.AnnAssign) and node.value is not None:
        yield node.target, node.value
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                yield from zip(target.elts, node.value.elts, strict=True)
            else:
                yield target, node.value


def _imported(tree: ast.Module, constants: Mapping[tuple[str, str], str]) -> dict[str, str]:
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = (node.module or "").removeprefix("liverspleen.")
            for alias in node.names:
                if code := constants.get((module, alias.name)):
                    found[alias.asname or alias.name] = code
    return found


def _raised(tree: ast.Module, constants: Mapping[str, str]) -> Iterator[str]:
    definitions = {value for node in tree.body for _, value in _assigned(node)}
    for node in _walk(tree):
        if isinstance(node, ast.Constant) and node not in definitions and (code := _code(node)):
            yield code
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in constants:
            yield constants[node.id]


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes except those that do not raise a code: comparisons, sets, and statements that are only text."""
    for child in ast.iter_child_nodes(node):
        alone = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
        if not alone and not isinstance(child, ast.Compare | ast.Set):
            yield child
            yield from _walk(child)


def _code(constant: ast.Constant) -> str | None:
    """Return the code if the text is a code, or begins with a code and a colon."""
    match = _CODE.fullmatch(constant.value) if isinstance(constant.value, str) else None
    return match[1] if match else None
