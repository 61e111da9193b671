"""Reader of `claims.yaml`: the relations between the numbers, one per entry.

    claims:
      - id: table1.male
        rule: percent
        cells: {percent: table1.male.percent, count: table1.male.count, of: table1.patients}

An entry also has the settings of its rule. Optional are `note` (a remark for the reader) and `severity: note`, if the
relation depends on an interpretation of the text instead of arithmetic.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from liverspleen.audit.printed import Reading
from liverspleen.audit.published import PublishedNumber
from liverspleen.audit.rule import SAMPLE, Relation, Rule, Sample, Shape, Stated
from liverspleen.audit.rules import RULES
from liverspleen.errors import InputError, Issue, counted
from liverspleen.reading import read_yaml
from liverspleen.storage import StrPath

_COMMON_KEYS: Final = ("id", "rule", "cells", "severity", "note")

Role = tuple[tuple[tuple[str, PublishedNumber], ...], ...]
"""The samples of a role, each with names and numbers. Numbers outside a sample have the name ''."""


@dataclass(frozen=True)
class Claim:
    """One relation between numbers, ready to be checked."""

    id: str
    rule: Rule
    roles: Mapping[str, Role]
    settings: Mapping[str, tuple[Fraction, ...]]
    is_reading: bool
    note: str

    @property
    def numbers(self) -> Iterator[PublishedNumber]:
        """All numbers of the claim."""
        return (number for role in self.roles.values() for sample in role for _, number in sample)

    def relation(self, reading: Reading) -> Relation:
        """Return the claim with its numbers as intervals."""
        shapes = {name.rstrip("?"): shape for name, shape in self.rule.roles.items()}
        stated = {
            name: [[(key, Stated(number, number.values(reading))) for key, number in sample] for sample in role]
            for name, role in self.roles.items()
        }
        return Relation(
            self.id,
            one={name: role[0][0][1] for name, role in stated.items() if shapes[name] == "one"},
            some={name: tuple(s for _, s in role[0]) for name, role in stated.items() if shapes[name] == "some"},
            samples={
                name: tuple(Sample(dict(sample)) for sample in role)
                for name, role in stated.items()
                if shapes[name] in {"sample", "samples"}
            },
            settings=self.settings,
        )


@dataclass(frozen=True)
class Claims:
    """The claims of a file, and an issue LS-AUD-004 for each entry that is not valid."""

    claims: tuple[Claim, ...]
    issues: tuple[Issue, ...] = ()


def read_claims(path: StrPath, numbers: Mapping[str, PublishedNumber]) -> Claims:
    """Read the claims about `numbers` from a file.

    Raises:
        InputError: LS-AUD-003, the file cannot be read or has no list `claims`.
    """
    path = Path(path)
    hint = "give a YAML file with `claims:`, a list of entries with id, rule and cells"
    try:
        content = read_yaml(path)
    except (OSError, ValueError) as error:
        raise InputError(Issue("LS-AUD-003", f"cannot be read: {error}", hint, file=path)) from error
    entries = content.get("claims") if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        raise InputError(Issue("LS-AUD-003", "has no list `claims`", hint, file=path))
    claims: dict[str, Claim] = {}
    issues = []
    for position, entry in enumerate(entries, start=1):
        stated_id = entry.get("id") if isinstance(entry, Mapping) else None
        name = stated_id if isinstance(stated_id, str) else f"number {position}"
        try:
            claim = _claim(entry, numbers)
            if claim.id in claims:
                raise ValueError("its id is used twice")
        except ValueError as error:
            issues.append(Issue("LS-AUD-004", f"claim {name}: {error}", "correct the claim", file=path))
        else:
            claims[claim.id] = claim
    return Claims(tuple(claims.values()), tuple(issues))


def _claim(entry: Any, numbers: Mapping[str, PublishedNumber]) -> Claim:
    if not isinstance(entry, Mapping) or not all(isinstance(key, str) for key in entry):
        raise ValueError("the entry is not a mapping with text keys")
    name = _text(entry.get("id"), "id")
    rule = RULES[_known_name(_text(entry.get("rule"), "rule"), RULES, "rule")]
    for key in entry:
        _known_name(key, [*_COMMON_KEYS, *_without_marks(rule.settings)], "key")
    if entry.get("severity", "note") != "note":
        raise ValueError("severity can only be `note`; other severities come from the rule")
    return Claim(
        id=name,
        rule=rule,
        roles=_roles(entry.get("cells"), rule.roles, numbers),
        settings=_settings(entry, rule.settings),
        is_reading="severity" in entry,
        note=_text(entry["note"], "note") if "note" in entry else "",
    )


def _roles(cells: Any, shapes: Mapping[str, Shape], numbers: Mapping[str, PublishedNumber]) -> dict[str, Role]:
    if not isinstance(cells, Mapping):
        raise ValueError("cells is not a mapping of roles")
    shape_of = dict(zip(_without_marks(shapes), shapes.values(), strict=True))
    for role in cells:
        _known_name(role, shape_of, "role")
    if missing := [name for name in shapes if not name.endswith("?") and name not in cells]:
        raise ValueError(f"role {', '.join(missing)} is missing")
    return {role: _role(role, shape_of[role], value, numbers) for role, value in cells.items()}


def _role(role: str, shape: Shape, value: Any, numbers: Mapping[str, PublishedNumber]) -> Role:
    if shape in {"one", "some"}:
        ids = value if isinstance(value, list) and shape == "some" else [value]
        if not ids:
            raise ValueError(f"{role} lists no number")
        return (tuple(("", _number(each, role, numbers)) for each in ids),)
    samples = value if shape == "samples" else [value]
    if not isinstance(samples, list) or not samples or not all(isinstance(sample, Mapping) for sample in samples):
        raise ValueError(
            f"{role} is not a {'list of mappings' if shape == 'samples' else 'mapping'} of {', '.join(SAMPLE)}"
        )
    return tuple(
        tuple((_known_name(key, SAMPLE, "role"), _number(each, role, numbers)) for key, each in sample.items())
        for sample in samples
    )


def _number(name: Any, role: str, numbers: Mapping[str, PublishedNumber]) -> PublishedNumber:
    return numbers[_known_name(_text(name, role), numbers, "number")]


def _settings(entry: Mapping[str, Any], allowed: Mapping[str, int]) -> dict[str, tuple[Fraction, ...]]:
    found = {}
    for name, (marked_name, length) in zip(_without_marks(allowed), allowed.items(), strict=True):
        if name in entry:
            values = entry[name] if isinstance(entry[name], list) else [entry[name]]
            if len(values) != length or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
                raise ValueError(f"{name} is not {counted(length, 'number')}")
            found[name] = tuple(Fraction(str(value)) for value in values)
        elif not marked_name.endswith("?"):
            raise ValueError(f"{name} is missing")
    return found


def _without_marks(names: Iterable[str]) -> Sequence[str]:
    """Return the names without the `?` of optional ones."""
    return [name.rstrip("?") for name in names]


def _text(value: Any, noun: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{noun} has type {type(value).__name__}, expected text; quote text that looks like a number")
    return value


def _known_name(name: Any, known: Iterable[str], noun: str) -> str:
    known = list(known)
    if not isinstance(name, str) or name not in known:
        near = difflib.get_close_matches(name, known, 1) if isinstance(name, str) else []
        name = name if isinstance(name, str) else type(name).__name__
        raise ValueError(f"there is no {noun} {name!r}{f'; did you mean {near[0]}?' if near else ''}")
    return name
