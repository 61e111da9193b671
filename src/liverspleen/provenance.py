"""`run.json`: command, configuration, versions, inputs and outputs of a run."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

from liverspleen import __version__
from liverspleen.credentials import NOT_SHOWN, may_have_password, without_credentials
from liverspleen.errors import InputError, Issue
from liverspleen.output_folder import occupied, storage_issue
from liverspleen.records import read_runs, write_record
from liverspleen.storage import sha256_of

_PACKAGES = (
    "torch",
    "pytorch-lightning",
    "timm",
    "monai",
    "hydra-core",
    "nibabel",
    "pydicom",
    "highdicom",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
)

_EARLIER_ISSUES = 1000

_TABLES = (".csv", ".tsv")
"""Suffixes of tables, which users may edit."""


def versions() -> dict[str, str]:
    """Return versions of Python, this package and packages that affect results, without importing them."""
    found = {"python": platform.python_version(), "liverspleen": __version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def git_state() -> dict[str, Any] | None:
    """Return the commit of the checkout of this package and whether it has changes; None outside a checkout."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        answers = [
            subprocess.run(
                ["git", "-C", str(checkout), *arguments], capture_output=True, check=True, timeout=10
            ).stdout.decode(errors="replace")
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": answers[0].strip(), "changed": bool(answers[1].strip())}


@dataclass
class Run:
    """Entries that a verb adds to its `run.json`."""

    output: Path
    inputs: dict[str, str] = field(default_factory=dict)
    """name to hash: cohort, split, model, measurements"""
    seeds: dict[str, int] = field(default_factory=dict)
    device: str = "cpu"
    threads: int | None = None
    """of each process of a training"""
    measured: dict[str, float] = field(default_factory=dict)
    """measured times, with the unit in the name, and numbers of patients and cases"""
    decided: dict[str, Any] = field(default_factory=dict)
    """values that the run chose for `auto`, and planned steps, by dotted name of the key; `config` has them too"""
    start: dict[str, Any] = field(default_factory=dict)
    """the start model of a training, and which of its weights were loaded"""
    corrections: list[dict[str, Any]] = field(default_factory=list)
    """case and origin of each label map that comes from a correction folder"""
    outputs: list[Path] = field(default_factory=list)
    issues: list[Any] = field(default_factory=list)


@contextmanager
def recorded(
    verb: str,
    config: Any,
    output: Path,
    *,
    command: Sequence[str] | None = None,
    name: str = "run.json",
    shared: bool = False,
) -> Iterator[Run]:
    """Write `output/run.json` at the end of the block, also after an error (`status`: done, rejected, failed).

    Tables of `config` that were changed after they were written are noted in its issues (see `changed_inputs`).
    Another run with the same folder is rejected, unless both are `shared`; simultaneous runs need different names of
    their records. `command` replaces the command line if that must not be recorded. Records of earlier runs with the
    same folder are kept under `earlier`, oldest first.

    Raises:
        InputError: as `occupied` and `read_runs`, before the block; LS-RUN-008 a file cannot be written, also run.json.
    """
    with occupied(output, shared=shared) as notes:
        read_runs(output / name)
        run = Run(output, issues=[*notes, *changed_inputs(config)])
        started, clock = datetime.now(UTC), perf_counter()

        def write(status: str) -> None:
            about = {
                "verb": verb,
                "status": status,
                "command": [*map(without_credentials, sys.argv)] if command is None else [*command],
                "config": _with_values(_as_json(config), run.decided),
                "started": started.isoformat(timespec="seconds"),
                "seconds": round(perf_counter() - clock, 3),
            }
            earlier = [_shortened(run) for run in read_runs(output / name)]  # also those that other processes added
            write_record(output / name, {**about, **_found(run), "earlier": earlier})

        with _status(run, write):
            yield run


@contextmanager
def _status(run: Run, write: Callable[[str], None]) -> Iterator[None]:
    """Call `write` with the status of the block; an error of the block is raised also if that fails."""
    try:
        yield
    except InputError as error:
        known = set(run.issues)
        run.issues.extend(issue for issue in dict.fromkeys(error.issues) if issue not in known)
        with suppress(OSError, InputError):
            write("rejected")
        raise InputError(run.issues) from error  # with earlier issues, which may be the reason
    except BaseException as error:
        issue = storage_issue(error)
        run.issues.extend([issue] if issue else [])
        with suppress(OSError, InputError):
            write("failed")
        if issue is None:
            raise
        raise InputError(run.issues) from error
    try:
        write("done")
    except OSError as error:
        if (issue := storage_issue(error)) is None:
            raise
        raise InputError([*run.issues, issue]) from error


def _found(run: Run) -> dict[str, Any]:
    """Return what is known at the end of a run."""
    return {
        "versions": versions(),
        "git": git_state(),
        "inputs": run.inputs,
        "seeds": run.seeds,
        "device": run.device,
        "threads": run.threads,
        "decided": run.decided,
        "measured": run.measured,
        **({"start": run.start} if run.start else {}),
        **({"corrections": run.corrections} if run.corrections else {}),
        "platform": platform.platform(),
        "issues": [str(issue) for issue in run.issues],
        "outputs": {
            str(path.relative_to(run.output)): sha256_of(path) for path in sorted(set(run.outputs)) if path.is_file()
        },
    }


def _with_values(config: Any, values: Mapping[str, Any]) -> Any:
    """Return nested values with others, by dotted name.

    >>> _with_values({"slices": {"pixel_mm": "auto", "count": 3}}, {"slices.pixel_mm": 0.8})
    {'slices': {'pixel_mm': 0.8, 'count': 3}}
    """
    for name, value in values.items():
        group, _, rest = name.partition(".")
        config = {**config, group: _with_values(config[group], {rest: value}) if rest else value}
    return config


def _shortened(run: dict[str, Any]) -> dict[str, Any]:
    """Return the record of an earlier run with its first issues: the file grows with each run, and has a limit."""
    issues = run.get("issues")
    if not isinstance(issues, list) or len(issues) <= _EARLIER_ISSUES + 1:  # one more: its last line may be the number
        return run
    return {**run, "issues": [*issues[:_EARLIER_ISSUES], f"{len(issues) - _EARLIER_ISSUES} more issues"]}


def changed_inputs(config: Any) -> Iterator[Issue]:
    """Yield the note LS-FMT-006 for each table of `config` that differs from what a run.json beside it records.

    Tables are the files of the configuration, and `cohort.csv` in its folders. A table may be edited, so this is no
    error. A damaged run.json is LS-FMT-005, as a warning.
    """
    values = asdict(config).values() if is_dataclass(config) and not isinstance(config, type) else ()
    nested = chain.from_iterable(value if isinstance(value, list | tuple) else [value] for value in values)
    paths = {path / "cohort.csv" if path.is_dir() else path for path in nested if isinstance(path, Path)}
    for path in sorted(path for path in paths if path.suffix in _TABLES and path.is_file()):
        yield from _changed(path)


def _changed(table: Path) -> Iterator[Issue]:
    """Yield LS-FMT-006 if the records of runs beside a table have hashes of it, and none of them is its hash."""
    known: set[str] = set()
    for file in (*table.parent.glob("run.json"), *sorted(table.parent.glob("run_*of*.json"))):  # and of shards
        try:
            outputs = [one.get("outputs") for one in read_runs(file)]
        except InputError as error:
            yield from (replace(issue, severity="warning") for issue in error.issues)
            continue
        known |= {str(found[table.name]) for found in outputs if isinstance(found, dict) and table.name in found}
    if known and sha256_of(table) not in known:
        message = "the table was changed after liverspleen wrote it"
        hint = "check that the change is intended"
        yield Issue("LS-FMT-006", message, hint, file=table.name, severity="note")


def _as_json(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return _as_json(asdict(value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON has no NaN or inf
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return NOT_SHOWN if isinstance(value, str) and may_have_password(value) else value
