"""What the studies in experiments/ share: settings as key=value, the check of a folder, and commands with a log."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.storage import write_json


def given_settings(arguments: Sequence[str], keys: Collection[str]) -> dict[str, str]:
    """Return the text of each setting on the command line.

    Raises:
        InputError: LS-EXP-014, with all issues: arguments whose key is not one of `keys`, or that have no value.

    >>> given_settings(["output=o", "seeds=1"], ["output", "seeds"])
    {'output': 'o', 'seeds': '1'}
    """
    hint = f"use {', '.join(f'{key}=' for key in keys)}" if keys else "run it without arguments"
    given, issues = {}, []
    for argument in arguments:
        key, _, given[key] = argument.partition("=")
        if key not in keys:
            issues.append(invalid_setting(f"{argument!r} is not a setting of this study", hint))
        elif not given[key]:
            issues.append(invalid_setting(f"{key}= has no value", f"give {key}=VALUE, or remove it"))
    if issues:
        raise InputError(issues)
    return given


def whole_numbers(given: Mapping[str, str], least: Mapping[str, int]) -> tuple[dict[str, int], list[Issue]]:
    """Return the values of the given settings that have a `least` value, and LS-EXP-014 for each that is not valid.

    >>> whole_numbers({"output": "o", "seeds": "2", "steps": "few"}, {"seeds": 1, "steps": 1})[0]
    {'seeds': 2}
    """
    numbers, issues = {}, []
    for key in [name for name in given if name in least]:
        text = given[key]
        if text.isdecimal() and int(text) >= least[key]:
            numbers[key] = int(text)
        else:
            message = f"{key}={text} is not a whole number of at least {least[key]}"
            issues.append(invalid_setting(message, f"give {key}=NUMBER, or remove it"))
    return numbers, issues


def invalid_setting(message: str, hint: str) -> Issue:
    """Return LS-EXP-014."""
    return Issue("LS-EXP-014", message, hint)


def start_or_resume(folder: Path, decisive: Mapping[str, Any]) -> None:
    """Start a study in a folder, or check that it was started with the same `decisive` settings.

    Raises:
        InputError: LS-EXP-015, the folder contains a study with other settings.
    """
    file, requested = folder / "study.json", json.loads(json.dumps(decisive))
    if not file.exists():
        write_json(file, requested)
        return
    earlier = json.loads(file.read_text(encoding="utf-8"))
    differs = [f"{key}={earlier.get(key)}" for key in requested if earlier.get(key) != requested[key]]
    if differs:
        message = f"the study in this folder was started with {', '.join(differs)}"
        raise InputError(Issue("LS-EXP-015", message, "use these settings, or another output=", file=file))


def run_command(command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None) -> None:
    """Run a command; its output is added to `log`. `environment` is added to that of this process.

    Raises:
        InputError: LS-EXP-030, it failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        variables = {**os.environ, **(environment or {})}
        code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=variables, check=False).returncode
    if code:
        hint = "read the log, correct the reason, then run the same command to resume"
        raise InputError(Issue("LS-EXP-030", f"a command failed with exit code {code}", hint, file=log))
