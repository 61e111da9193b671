"""Config groups and their choices: those of the package, and those of a user's folder (`conf=FOLDER`)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.plain_yaml import parse_yaml
from liverspleen.reading import TEXT_LIMIT_BYTES, read_text

_HEADER = re.compile(r"^\s*#\s*@package\s+(\S*).*$", re.MULTILINE)

CONF = "conf"
"""Key of any verb that gives a user's folder of choices."""


def conf_folder() -> Path:
    """Return the folder of the YAML files: inside an installed package, or next to `src` in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def groups(folder: Path | None = None) -> dict[str, list[str]]:
    """Return the choices of each config group, with those of a user's folder."""
    found = _choices(conf_folder())
    added = _choices(folder) if folder else {}
    return {group: sorted([*names, *added.get(group, ())]) for group, names in found.items()}


def without_conf(overrides: Sequence[str]) -> tuple[list[str], Path | None]:
    """Return the overrides without `conf=FOLDER`, and that folder: the last one if several, None if empty.

    Raises:
        InputError: LS-CFG-011 the folder does not exist or has no choice; LS-CFG-012 a YAML file in it is not a choice;
            LS-CFG-013 the package has a choice of that name; LS-CFG-014 a file has defaults outside the folder;
            LS-CFG-015 a file does not consist of plain keys and values; LS-CFG-024 a value has `${`; LS-CFG-025 a file
            puts its values into another place.
    """
    given = [override.partition("=")[2] for override in overrides if override.startswith(f"{CONF}=")]
    rest = [override for override in overrides if not override.startswith(f"{CONF}=")]
    if not given or not given[-1]:
        return rest, None
    folder = Path(given[-1]).absolute()
    if issues := [*_issues(folder)]:
        raise InputError(issues)
    return rest, folder


def _choices(folder: Path) -> dict[str, list[str]]:
    return {
        group.name: sorted(file.stem for file in group.glob("*.yaml"))
        for group in sorted(folder.iterdir())
        if group.is_dir()
    }


def _issues(folder: Path) -> Iterator[Issue]:
    """Yield the issues of a user's folder: everything in it that would have no effect or an unexpected one."""
    known = groups()
    files = [*_yaml(folder), *(file for group in _folders(folder) for file in _yaml(group))] if folder.is_dir() else []
    if not files:
        message = "the folder does not exist" if not folder.is_dir() else "the folder has no choices"
        yield Issue(
            "LS-CFG-011", f"{CONF}=: {message}", "give a folder with files such as network/mine.yaml", file=folder
        )
    for file in files:
        group = file.parent.name
        if file.parent == folder or group not in known:
            near = difflib.get_close_matches(group, known, 1, 0.5) if file.parent != folder else []
            hint = f"rename the folder to {near[0]}/" if near else f"move it to one of the folders {', '.join(known)}"
            yield Issue("LS-CFG-012", "a YAML file outside the folders of config groups", hint, file=file)
        elif file.suffix != ".yaml" or not re.fullmatch(r"\w[\w-]*", file.stem):
            hint = "use a name of letters, digits, _ and -, with the suffix .yaml"
            yield Issue("LS-CFG-012", "the file name is not valid for a choice", hint, file=file)
        elif file.stem in known[group]:
            message = f"the package already has a choice {file.stem!r} of {group}"
            yield Issue("LS-CFG-013", message, "rename the file", file=file)
        else:
            yield from _content_issues(file)


def _folders(folder: Path) -> list[Path]:
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))


def _yaml(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in {".yaml", ".yml"} and not file.is_dir())


def _content_issues(file: Path) -> Iterator[Issue]:
    """Yield the issues of a file, except those of its keys and values, which the schema checks when it is selected."""
    try:
        content = parse_yaml(text := read_text(file, limit=TEXT_LIMIT_BYTES))
    except InputError as error:
        yield from error.issues
        return
    except (OSError, ValueError) as error:
        yield Issue("LS-CFG-015", f"the file is not YAML with plain values ({error})", "correct the file", file=file)
        return
    if not isinstance(content, dict):
        yield Issue("LS-CFG-015", "the file has no keys with values", "write one key: value per line", file=file)
        return
    yield from _placement_issues(file, text, content)
    for key in _interpolated(content):
        yield interpolation_issue(key, file)


def _placement_issues(file: Path, text: str, content: dict[str, Any]) -> Iterator[Issue]:
    """Yield the issues of what Hydra would read as an instruction: other files, another place of the values."""
    listed = content.get("defaults", [])
    if not isinstance(listed, list) or not all(map(_is_choice, listed)):
        message = "the defaults refer to a file outside the folder, or are not a list of choices"
        yield Issue("LS-CFG-014", message, "give only choices of config groups in defaults", file=file)
    place = "_global_" if file.parent.name == "experiment" else None
    if (header := _HEADER.search(text)) and header[1] != place:
        hint = f"write # @package {place}" if place else "remove the line"
        yield Issue(
            "LS-CFG-025", f"the line {header[0].strip()!r} moves the values out of their group", hint, file=file
        )
    if "hydra" in content:
        yield Issue("LS-CFG-025", "the key hydra is not a key of a verb", "remove the key", file=file)


def _is_choice(entry: object) -> bool:
    """Return whether an entry of `defaults` is a choice of a config group of the package, or `_self_`."""
    if isinstance(entry, dict) and len(entry) == 1:
        ((key, entry),) = entry.items()
        group = re.fullmatch(r"(?:override |optional )*/?(\w+)", str(key))
        if group is None or group[1] not in groups():
            return False
        if entry is None:
            return True
    return isinstance(entry, str) and re.fullmatch(r"\w[\w-]*", entry) is not None


def _interpolated(value: object, name: str = "") -> Iterator[str]:
    """Yield the names of the keys whose name or value has `${`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            inner_name = f"{name}.{key}" if name else str(key)
            yield from [inner_name] if "${" in str(key) else _interpolated(inner, inner_name)
    elif isinstance(value, list):
        yield from dict.fromkeys(found for inner in value for found in _interpolated(inner, name))
    elif isinstance(value, str) and "${" in value:
        yield name


def interpolation_issue(key: str, file: Path | None = None) -> Issue:
    """Return LS-CFG-024: a value refers to the environment or to another key, and could copy a secret to a record."""
    message = f"{key} has ${{...}}, which is not replaced by a variable of the environment or another key"
    return Issue("LS-CFG-024", message, "write the value itself", file=file)
