"""What may be chosen: the config groups of the package, and those of a folder of one's own (`conf=FOLDER`)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from liverspleen.errors import InputError, Issue

OWN = "conf"
"""The word that names a folder of one's own, with any verb."""


def conf_folder() -> Path:
    """The folder of the YAML files: inside an installed package, beside `src` in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


def groups(own: Path | None = None) -> dict[str, list[str]]:
    """The config groups and what may be chosen in each, with the choices of a folder of one's own."""
    found = _choices(conf_folder())
    added = _choices(own) if own else {}
    return {group: sorted([*names, *added.get(group, ())]) for group, names in found.items()}


def without_own(words: Sequence[str]) -> tuple[list[str], Path | None]:
    """The words but for `conf=FOLDER`, and that folder: of several the last, None of an empty one.

    Raises:
        InputError: LS-CFG-011 there is no such folder, or no choice in it; LS-CFG-012 a YAML file of it is no choice;
            LS-CFG-013 the package has a choice of that name; LS-CFG-014 a file takes defaults from outside;
            LS-CFG-015 a file holds anything but plain keys and values.
    """
    named = [word.partition("=")[2] for word in words if word.startswith(f"{OWN}=")]
    rest = [word for word in words if not word.startswith(f"{OWN}=")]
    if not named or not named[-1]:
        return rest, None
    folder = Path(named[-1]).absolute()
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
    """What is wrong with a folder of one's own: whatever of it would silently not be what it seems to be."""
    known = groups()
    files = [*_yaml(folder), *(file for group in _folders(folder) for file in _yaml(group))] if folder.is_dir() else []
    if not files:
        message = "there is no such folder" if not folder.is_dir() else "the folder holds no choice"
        yield Issue(
            "LS-CFG-011", f"{OWN}=: {message}", f"give a folder with {OWN}/network/mine.yaml or so", file=folder
        )
    for file in files:
        group = file.parent.name
        if file.parent == folder or group not in known:
            near = difflib.get_close_matches(group, known, 1, 0.5) if file.parent != folder else []
            hint = f"did you mean {near[0]}/?" if near else f"put it into a folder out of {', '.join(known)}"
            yield Issue("LS-CFG-012", "a YAML file that stands in no config group", hint, file=file)
        elif file.suffix != ".yaml" or not re.fullmatch(r"\w[\w-]*", file.stem):
            hint = "name it with letters, digits, _ and -, and .yaml"
            yield Issue("LS-CFG-012", "a choice that no word can name", hint, file=file)
        elif file.stem in known[group]:
            message = f"{group} has a choice {file.stem!r} already, and one name must not mean two things"
            yield Issue("LS-CFG-013", message, "give yours another name", file=file)
        else:
            yield from _content_issues(file)


def _folders(folder: Path) -> list[Path]:
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and not inner.name.startswith("."))


def _yaml(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix in {".yaml", ".yml"} and file.is_file())


def _content_issues(file: Path) -> Iterator[Issue]:
    """What is wrong with the file but for its keys and values, which the schema judges when it is chosen."""
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = str(error).splitlines()[0]
        yield Issue("LS-CFG-015", f"not YAML of plain values ({line})", "correct the file", file=file)
        return
    if not isinstance(content, dict):
        yield Issue("LS-CFG-015", "no keys with values", "write key: value lines", file=file)
        return
    listed = content.get("defaults")
    if isinstance(listed, list) and any(".." in str(entry) for entry in listed):  # an entry may be {group: choice}
        yield Issue("LS-CFG-014", "its defaults lead out of the folder", "name choices only", file=file)
