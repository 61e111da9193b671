"""Table of hints that tests follow: each entry provokes an issue, then changes a file or an option as its hint says."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from liverspleen.errors import InputError, Issue
from liverspleen.evaluation.measurements.notes import Note

Call = Callable[[], Any]
"""Returns issues, or an object with `issues`, or raises InputError."""
Entry = Callable[[Path], Generator[Call, Issue, None]]


@dataclass(frozen=True)
class Followed:
    """An entry: the text that the hint of the issue contains, and the function that follows it."""

    code: str
    hint: str
    entry: Entry


HINTS: list[Followed] = []


def hint(code: str, text: str) -> Callable[[Entry], Entry]:
    """Register a function that yields a call with this issue, then follows the hint, which contains `text`.

    The function gets an empty folder, and the issue as the value of `yield`. If the hint changes an option, a second
    `yield` gives the call with it; otherwise the first call is repeated.
    """

    def add(entry: Entry) -> Entry:
        HINTS.append(Followed(code, text, entry))
        return entry

    return add


def issues_of(call: Call) -> list[Issue]:
    """Return all issues of a call, whether it returns or raises them."""
    try:
        result = call()
    except InputError as error:
        return [*error.issues]
    found: Iterable[Any] = result if isinstance(result, list | tuple) else getattr(result, "issues", ())
    notes = [note.issue for note in getattr(result, "notes", ()) if isinstance(note, Note)]
    return [issue for issue in found if isinstance(issue, Issue)] + notes


def follow(followed: Followed, folder: Path) -> tuple[Issue, list[Issue]]:
    """Return the issue, and the issues after its hint was followed."""
    steps = followed.entry(folder)
    call = next(steps)
    before = issues_of(call)
    matching = [issue for issue in before if issue.code == followed.code]
    assert matching, f"the entry does not provoke {followed.code}, but {[str(issue) for issue in before]}"
    try:
        call = steps.send(matching[0])
    except StopIteration:
        return matching[0], issues_of(call)
    after = issues_of(call)
    assert next(steps, None) is None, "an entry yields at most two calls"
    return matching[0], after
