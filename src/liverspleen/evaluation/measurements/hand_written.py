"""Cells of tables that people write: words for missing values, decimal commas, spellings of words, units of volumes."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from liverspleen.cohort.vocabulary import Vocabulary
from liverspleen.delimited import CLEAR_NUMBERS, MISSING_WORDS, has_decimal_commas
from liverspleen.errors import InputError, Issue, counted
from liverspleen.evaluation.measurements.validation import NUMBERS
from liverspleen.organs import ORGAN_KEYS, ORGANS

if TYPE_CHECKING:
    import pandas

_WORDS: Final = ("dataset", "condition", "site", "structure")
_MAY_BE_MISSING: Final = (
    *("patient_id", "dataset", "condition", "site", "structure", "volume_status", "reference", "surface", "hu_status"),
    *NUMBERS,
)
"""Columns in which a word such as `NA` is no value; a case or a reader may be named so."""

_LISTED: Final = 5
_FACTOR: Final = 1000.0  # between cm³ and mm³, and between cm³ and litres

Columns = dict[str, list[str]]


def tidied(
    columns: Columns, path: Path, *, delimiter: str, vocabulary: Vocabulary | None
) -> tuple[Columns, list[Issue]]:
    """Return the columns as a program would have written them, with a note on what was changed.

    Words are compared with those of the vocabulary only if one is given.

    Raises:
        InputError: LS-MEA-024 numbers have a comma whose meaning is not clear.
    """
    vocabulary_words = {**_vocabulary_words(vocabulary), "reference": tuple({*columns.get("reader", ())})}
    tidy, issues, words = dict(columns), list[Issue](), Counter[str]()
    for name in filter(columns.__contains__, _MAY_BE_MISSING):
        missing = {cell for cell in {*columns[name]} if cell.strip() in MISSING_WORDS}
        if missing := {cell for cell in missing if cell.strip() not in vocabulary_words.get(name, ())}:
            words.update(cell.strip() for cell in columns[name] if cell in missing)
            tidy[name] = ["" if cell in missing else cell for cell in columns[name]]
    if words:
        message = f"{counted(sum(words.values()), 'cell')} with {', '.join(map(repr, words))} count as empty"
        issues.append(_note("LS-MEA-022", message, "leave missing cells empty", path))
    issues += _with_points(tidy, path, delimiter)
    for name in _WORDS:
        if name in tidy:
            issues += _with_one_spelling(tidy, name, vocabulary_words.get(name, ()), path)
            if vocabulary is not None and name != "structure":
                issues += _unknown(tidy[name], name, vocabulary_words[name], path)
    return tidy, issues


def unit_notes(table: pandas.DataFrame, path: Path) -> Iterator[Issue]:
    """Yield notes on volumes that look as if they were in mm³ or in litres.

    A volume is too large if a thousandth of it is a plausible volume of the organ and it is not. Volumes of a reader
    are too small if this holds for a thousand times their median; a single small volume can be a failure of the reader.
    """
    for organ in ORGANS:
        low, high = organ.facts.plausible_cm3
        of_organ = table[(table["structure"] == organ.key) & (table["volume_cm3"] > 0)]
        large = of_organ[(of_organ["volume_cm3"] > high) & (of_organ["volume_cm3"] / _FACTOR >= low)]
        for reader, rows in large.groupby("reader", sort=True):
            yield _unit_note(organ.key, str(reader), rows["volume_cm3"].tolist(), "large", "mm³", path)
        for reader, rows in of_organ.groupby("reader", sort=True):
            volumes = rows["volume_cm3"].tolist()
            if low <= statistics.median(volumes) * _FACTOR <= high and statistics.median(volumes) < low:
                yield _unit_note(organ.key, str(reader), volumes, "small", "litres", path)


def _unit_note(organ: str, reader: str, volumes: Sequence[float], size: str, unit: str, path: Path) -> Issue:
    message = (
        f"{counted(len(volumes), f'{organ} volume')} of reader {reader!r} may be 1000 times too {size}, median "
        f"{statistics.median(volumes):.4g} cm³"
    )
    return _note("LS-MEA-027", message, f"check the unit: column 'volume_cm3' is in cm³ (mL), not in {unit}", path)


def _vocabulary_words(vocabulary: Vocabulary | None) -> Mapping[str, tuple[str, ...]]:
    known = vocabulary or Vocabulary()
    return {
        "dataset": known.datasets,
        "condition": known.conditions,
        "site": known.sites,
        "structure": ORGAN_KEYS,
    }


def _with_points(columns: Columns, path: Path, delimiter: str) -> Iterator[Issue]:
    """Write numbers with decimal points, and yield a note if they had commas."""
    names = [name for name in NUMBERS if name in columns]
    try:
        commas = has_decimal_commas((cell for name in names for cell in columns[name]), delimiter)
    except ValueError as error:
        raise InputError(Issue("LS-MEA-024", str(error), CLEAR_NUMBERS, file=path)) from error
    if commas:
        for name in names:
            columns[name] = [cell.replace(",", ".") for cell in columns[name]]
        yield _note("LS-MEA-023", "numbers have decimal commas", "nothing needs to be done if they do", path)


def _with_one_spelling(columns: Columns, name: str, words: Sequence[str], path: Path) -> Iterator[Issue]:
    """Write words that differ only in case or spaces in one way, and yield a note with their spellings.

    It is the spelling of the vocabulary, or the most frequent one.
    """
    known = {_key(word): word for word in words}
    counts = Counter(cell for cell in columns[name] if cell)
    for cell, _ in counts.most_common():
        known.setdefault(_key(cell), cell.strip())
    if changed := [cell for cell in counts if known[_key(cell)] != cell]:
        columns[name] = [known[_key(cell)] if cell else cell for cell in columns[name]]
        shown = ", ".join(f"{cell!r} as {known[_key(cell)]!r}" for cell in changed[:_LISTED])
        more = f", and {len(changed) - _LISTED} more" if len(changed) > _LISTED else ""
        message = f"column {name!r}: {shown}{more} ({counted(sum(counts[cell] for cell in changed), 'row')})"
        yield _note("LS-MEA-025", message, "write each word in one way", path)


def _unknown(cells: Sequence[str], name: str, words: Sequence[str], path: Path) -> Iterator[Issue]:
    """Yield a warning about words that are not in the vocabulary; they are used as they are."""
    if unknown := {cell: count for cell, count in Counter(cells).items() if cell and cell not in words}:
        shown = ", ".join(f"{cell!r} ({counted(count, 'row')})" for cell, count in [*unknown.items()][:_LISTED])
        more = f", and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        message = f"column {name!r} has {counted(len(unknown), 'word')} outside of the vocabulary: {shown}{more}"
        key = f"vocabulary.{name}s="
        hint = f"correct the cells, or add the words to {key}"
        yield Issue("LS-MEA-026", message, hint, file=path, severity="warning")


def _key(word: str) -> str:
    return " ".join(word.split()).casefold()


def _note(code: str, message: str, hint: str, path: Path) -> Issue:
    return Issue(code, message, hint, file=path, severity="note")
