"""Two spellings of one id: patients, cases and readers that would count as two, though they are probably one."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from liverspleen.errors import Issue, counted

_IGNORED: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")  # invisible, of other categories than Cf
_SEPARATORS: Final = re.compile(r"[\s_\-\u2010-\u2015\u2212]+")
_AFTER_LETTERS: Final = re.compile(r"(?<=[^\W\d_])-(?=\d)|(?<=\d)-(?=[^\W\d_])")
_MOST_LISTED: Final = 5


@dataclass(frozen=True)
class Spellings:
    """Different texts of one id, each with the places where it was found first.

    `equal` says that the texts are equal as Unicode text; otherwise they are only similar.
    """

    places: Mapping[str, str]
    equal: bool

    def __str__(self) -> str:
        write = ascii if self.equal else repr
        return " and ".join(f"{write(text)} ({place})" for text, place in self.places.items())


def unicode_key(text: str) -> str:
    r"""Return a key that is equal for texts that only a computer distinguishes.

    Texts are compared in the Unicode form NFKC (one character or letter and accent, full-width digits), without
    invisible characters, and with one blank in place of each kind and number of blanks.

    >>> unicode_key("Mu\u0308ller\u200b\u00a01") == unicode_key("M\u00fcller 1")
    True
    """
    visible = "".join(c for c in text if not _is_invisible(c))
    return " ".join(unicodedata.normalize("NFKC", visible).split())


def similar_key(text: str) -> str:
    """Return a key that is equal for ids that differ only in case, leading zeros, `.0`, or separators.

    Separators are blanks, `_` and dashes. Between a letter and a digit they may be missing; between two digits they
    count, because 1-12 and 11-2 are two patients.

    >>> [similar_key(text) for text in ("P-007", "p7", "P 07", "7.0", "1-12", "11-2")]
    ['p7', 'p7', 'p7', '7', '1-12', '11-2']
    """
    key = unicode_key(unicode_key(text).casefold())
    key = "".join(str(unicodedata.decimal(c, c)) for c in key)
    key = _AFTER_LETTERS.sub("", _SEPARATORS.sub("-", key).strip("-"))
    key = re.sub(r"^(\d+)[.,]0+$", r"\1", key)
    return re.sub(r"(?<![\d.,])0+(?=\d)", "", key)


def spellings(found: Iterable[tuple[str, str]]) -> list[Spellings]:
    """Return the ids with several spellings, in the order of their first place; `found` has texts with their places.

    >>> [str(one) for one in spellings([("P1", "row 2"), ("p1", "row 3"), ("P2", "row 4"), ("P1", "row 5")])]
    ["'P1' (row 2) and 'p1' (row 3)"]
    """
    first: dict[str, str] = {}
    for text, place in found:
        first.setdefault(text, place)
    equal = [Spellings(group, equal=True) for group in _groups(first, unicode_key)]
    several = [Spellings(group, equal=False) for group in _groups(first, similar_key)]
    return equal + [one for one in several if len({unicode_key(text) for text in one.places}) > 1]


def spellings_by_kind(found: Mapping[str, Iterable[tuple[str, str]]]) -> dict[str, list[Spellings]]:
    """Return `spellings` of each kind of id; texts that an earlier kind has too, are returned once."""
    seen: set[frozenset[str]] = set()
    by_kind = {}
    for kind, places in found.items():
        by_kind[kind] = [one for one in spellings(places) if frozenset(one.places) not in seen]
        seen |= {frozenset(one.places) for one in by_kind[kind]}
    return by_kind


def spellings_between(sources: Mapping[str, Collection[str]]) -> list[Spellings]:
    """Return the ids with several spellings that are not all in one source; `sources` are the ids by name.

    >>> [str(one) for one in spellings_between({"a.csv": ["dla", "P1", "p1"], "b.csv": ["DLA"]})]
    ["'dla' (a.csv) and 'DLA' (b.csv)"]
    """
    found = spellings((text, name) for name, texts in sources.items() for text in sorted(texts))
    whole = [set(texts) for texts in sources.values()]
    return [one for one in found if not any(one.places.keys() <= texts for texts in whole)]


def spelling_issues(kind: str, found: Iterable[Spellings], *, file: Path | None = None) -> Iterator[Issue]:
    """Yield LS-IDN-010 for each id with equal texts, and one warning LS-IDN-011 for all with similar ones.

    `kind` is the noun for the ids, such as `patient_id`.
    """
    similar = []
    for one in found:
        if one.equal:
            message = f"{kind}s {one} are the same text in different Unicode characters"
            yield Issue("LS-IDN-010", message, f"write the {kind} with the same characters everywhere", file=file)
        else:
            similar.append(str(one))
    if similar:
        rest = f", and {len(similar) - _MOST_LISTED} more" if len(similar) > _MOST_LISTED else ""
        message = (
            f"{counted(len(similar), kind)} may have several spellings, which count as different: "
            f"{', '.join(similar[:_MOST_LISTED])}{rest}"
        )
        hint = f"write the {kind} the same everywhere if it is one, or rename one of the two"
        yield Issue("LS-IDN-011", message, hint, file=file, severity="warning")


def _groups(first: Mapping[str, str], key: Callable[[str], str]) -> Iterator[dict[str, str]]:
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for text, place in first.items():
        groups[key(text)][text] = place
    return (group for group in groups.values() if len(group) > 1)


def _is_invisible(character: str) -> bool:
    is_selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return character in _IGNORED or is_selector or unicodedata.category(character) == "Cf"
