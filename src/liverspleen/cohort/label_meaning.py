"""Meaning of the voxel values of label maps: an option, or else a file beside the label maps that names the values.

The files are `dataset.json` of nnU-Net and of the Medical Segmentation Decathlon, and `dseg.tsv` of BIDS, which
`liverspleen predict` writes. Their content is not trusted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from liverspleen.errors import InputError, Issue
from liverspleen.organs import LABEL_VALUES, ORGAN_KEYS, OWN_VALUES, Structure, listed, organ
from liverspleen.reading import parse_json, read_text

DATASET: Final = "dataset.json"
TABLE: Final = "dseg.tsv"

_LARGEST = 1 << 31


class UnusableNamesError(ValueError):
    """A file does not name voxel values; the text gives the reason and quotes nothing of the file."""


@dataclass(frozen=True)
class NamedValues:
    """Voxel values as a file names them; `names` are in lower case, and without the background."""

    file: Path
    names: Mapping[int, str]

    @cached_property
    def organs(self) -> Mapping[int, Structure]:
        """The organs among the names, by voxel value."""
        return {value: organ(name) for value, name in self.names.items() if name in ORGAN_KEYS}


@dataclass(frozen=True)
class FolderMeaning:
    """Meaning of the voxel values in a folder of label maps.

    `values` maps voxel values to organs; None: the values of liverspleen. `named` are all values that a file names;
    another value in a label map is unknown. It is empty if no file is used. `asked`: an option gave the values.
    """

    values: Mapping[int, Structure] | None = None
    named: Collection[int] = ()
    asked: bool = False
    issues: tuple[Issue, ...] = ()


def meaning_in(
    folder: Path, asked: Mapping[int, Structure] | None = None, *, key: str = "label_values"
) -> FolderMeaning:
    """Return the meaning of the voxel values of the label maps in a folder.

    The first of these that exists gives it: the values that the option `key` asks for; `dataset.json`, then `dseg.tsv`
    in the folder; `dataset.json` one folder above; the values of liverspleen.

    Issues: LS-LAB-050 (warning) the next source gives other values, LS-LAB-051 (warning) its file cannot be used.

    Raises:
        InputError: LS-LAB-051 the file that gives the meaning cannot be read, or names no organ.
    """
    files = stated_files(folder)
    if asked is not None:
        values = None if asked == LABEL_VALUES[OWN_VALUES] else asked
        return FolderMeaning(values, asked=True, issues=tuple(_option_issues(asked, files[:1], key)))
    if not files:
        return FolderMeaning()
    found = usable_names(files[0], key=key)
    others = (other for other in files[1:] if other.parent == found.file.parent)
    return FolderMeaning(found.organs, (0, *found.names), issues=tuple(_file_issues(found, others, key)))


def stated_files(folder: Path) -> list[Path]:
    """Return the files that name the voxel values of the label maps in a folder, the most specific first."""
    return [file for file in (folder / DATASET, folder / TABLE, folder.parent / DATASET) if file.exists()]


def usable_names(file: Path, *, key: str = "label_values") -> NamedValues:
    """Return the named values of a file that names at least one organ.

    Raises:
        InputError: LS-LAB-051 it does not.
    """
    try:
        found = read_names(file)
    except UnusableNamesError as error:
        raise InputError(_unusable(file, str(error), key)) from None
    if not found.organs:
        raise InputError(_unusable(file, f"has no label named {listed('or')}", key))
    return found


def read_names(file: Path) -> NamedValues:
    """Read a `dataset.json` or `dseg.tsv`.

    Raises:
        UnusableNamesError: it does not name voxel values.
        InputError: as `read_text`.
    """
    try:
        text = read_text(file)
        names = _table_names(text) if file.name == TABLE else label_names(parse_json(text)["labels"])
    except UnusableNamesError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError, csv.Error) as error:
        raise UnusableNamesError(f"cannot be read ({type(error).__name__})") from None
    return NamedValues(file, names)


def label_names(labels: Any) -> dict[int, str]:
    """Return the names by voxel value of the `labels` of a `dataset.json`, without the background.

    Both forms are read: {"1": "liver"} (Decathlon, nnU-Net 1), and {"liver": 1} or {"liver": [1, 2]} (nnU-Net 2). If a
    value has several names, as in regions of nnU-Net, it has that of the organ.

    Raises:
        UnusableNamesError: they do not have this form, or a value belongs to two organs.

    >>> label_names({"background": 0, "liver": [1, 2], "tumour": 2}), label_names({"0": "background", "1": "spleen"})
    ({1: 'liver', 2: 'liver'}, {1: 'spleen'})
    """
    if not isinstance(labels, dict):
        raise UnusableNamesError("labels are not a JSON object")
    return _without_background((name, value) for one, other in labels.items() for name, value in _pairs(one, other))


def _pairs(first: str, second: Any) -> Iterator[tuple[str, int]]:
    if isinstance(second, str) and not second.strip().isdecimal():
        first, second = second, first
    try:
        for value in second if isinstance(second, list) else [second]:
            number = _whole(value) if isinstance(value, str) else value
            if isinstance(value, bool) or int(number) != float(number) or abs(int(number)) > _LARGEST:
                raise ValueError
            yield first, int(number)
    except (TypeError, ValueError, OverflowError):
        raise UnusableNamesError("a label value is not a whole number") from None


def _whole(text: str) -> int:
    """Return a whole number of decimal digits; Python also reads 1_000 as a number."""
    if not re.fullmatch(r"\s*-?[0-9]+\s*", text):
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _table_names(text: str) -> dict[int, str]:
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return _without_background((row["name"], _whole(row["index"])) for row in rows)


def _without_background(named: Iterator[tuple[str, int]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for name, value in named:
        key = name.strip().lower()
        if {found.get(value, key), key} <= {*ORGAN_KEYS} and found.get(value, key) != key:
            raise UnusableNamesError(f"label value {value} is given to two organs")
        if value and found.get(value) not in ORGAN_KEYS:
            found[value] = key
    return found


def contradicts(asked: Mapping[int, Structure], stated: NamedValues) -> bool:
    """Return whether a file gives one of the values another name, or none of those asked for to an organ.

    >>> stated = NamedValues(Path("dataset.json"), {1: "spleen", 2: "liver"})
    >>> contradicts({1: Structure.SPLEEN}, stated), contradicts({1: Structure.LIVER}, stated)
    (False, True)
    """
    agreeing = {structure for value, structure in asked.items() if stated.names.get(value) == structure.key}
    return any(
        stated.names[value] != structure.key if value in stated.names else structure not in agreeing
        for value, structure in asked.items()
    )


def contradiction(asked: Mapping[int, Structure], stated: NamedValues, key: str = "label_values") -> Iterator[Issue]:
    """Yield the warning LS-LAB-050 if an option and a file give different meanings; both are named."""
    if contradicts(asked, stated):
        message = f"{key}= gives {_text(asked)} and is used, but {stated.file.name} gives {_text(stated.organs)}"
        hint = f"remove {key}= if the file is right, else correct the file"
        yield Issue("LS-LAB-050", message, hint, file=stated.file, severity="warning")


def _option_issues(asked: Mapping[int, Structure], files: list[Path], key: str) -> Iterator[Issue]:
    for file in files:
        try:
            yield from contradiction(asked, read_names(file), key)
        except UnusableNamesError as error:
            hint = "correct or remove the file"
            yield Issue(
                "LS-LAB-051", f"file {error}, so it is not compared with {key}=", hint, file=file, severity="warning"
            )


def _file_issues(found: NamedValues, others: Iterator[Path], key: str) -> Iterator[Issue]:
    for other in others:
        stated = usable_names(other, key=key)
        if contradicts(found.organs, stated):
            message = (
                f"file gives {_text(stated.organs)}, but {found.file.name} gives {_text(found.organs)} and is used"
            )
            hint = f"remove the file that is wrong, or give {key}="
            yield Issue("LS-LAB-050", message, hint, file=other, severity="warning")


def _unusable(file: Path, reason: str, key: str) -> Issue:
    hint = f"correct the file, or give {key}= (a preset such as totalsegmentator, or '{{1: liver, 2: spleen}}')"
    message = f"file beside the label maps {reason}, so the meaning of their values is unknown"
    return Issue("LS-LAB-051", message, hint, file=file)


def _text(values: Mapping[int, Structure]) -> str:
    return ", ".join(f"{value} {structure.key}" for value, structure in sorted(values.items())) or "no organ"
