"""`claims.yaml`: what the numbers have to do with each other, one relation an entry.

    claims:
      - id: table1.male
        rule: percent
        cells: {percent: table1.male.percent, count: table1.male.count, of: table1.patients}

Beside `id`, `rule` and `cells`, an entry has the settings of its rule, and may have `note` (what a reader must know)
and `severity: note`, where it rests on a reading of the text rather than on arithmetic.
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
from liverspleen.errors import InputError, Issue
from liverspleen.storage import StrPath

_OWN: Final = ("id", "rule", "cells", "severity", "note")

Role = tuple[tuple[tuple[str, PublishedNumber], ...], ...]
"""What stands in a role: samples, each of them names and numbers; numbers that are no sample have the name ''."""


@dataclass(frozen=True)
class Claim:
    """One relation between numbers, ready to be looked at."""

    id: str
    rule: Rule
    roles: Mapping[str, Role]
    settings: Mapping[str, tuple[Fraction, ...]]
    is_reading: bool
    note: str

    @property
    def numbers(self) -> Iterator[PublishedNumber]:
        """The numbers it names."""
        return (number for role in self.roles.values() for sample in role for _, number in sample)

    def relation(self, reading: Reading) -> Relation:
        """The claim with its numbers as intervals."""
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
    """The claims of a file, and an issue LS-AUD-004 for each entry that could not be read."""

    claims: tuple[Claim, ...]
    issues: tuple[Issue, ...] = ()


def read_claims(path: StrPath, numbers: Mapping[str, PublishedNumber]) -> Claims:
    """The claims of a file about `numbers`.

    Raises:
        InputError: LS-AUD-003, it is no such file.
    """
    import yaml

    path = Path(path)
    hint = "give a YAML file that holds `claims:`, a list of entries with id, rule and cells"
    try:
        # Both load plain values only. The parser in C, where PyYAML was built with it: ten times as fast.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(Issue("LS-AUD-003", f"cannot be read: {error}", hint, file=path)) from error
    entries = content.get("claims") if isinstance(content, Mapping) else None
    if not isinstance(entries, list):
        raise InputError(Issue("LS-AUD-003", "holds no list `claims`", hint, file=path))
    claims: dict[str, Claim] = {}
    issues = []
    for position, entry in enumerate(entries, start=1):
        told = entry.get("id") if isinstance(entry, Mapping) else None
        name = told if isinstance(told, str) else f"number {position}"
        try:
            claim = _claim(entry, numbers)
            if claim.id in claims:
                raise ValueError("its id is there twice")
        except ValueError as error:
            issues.append(Issue("LS-AUD-004", f"claim {name}: {error}", "correct the claim", file=path))
        else:
            claims[claim.id] = claim
    return Claims(tuple(claims.values()), tuple(issues))


def _claim(entry: Any, numbers: Mapping[str, PublishedNumber]) -> Claim:
    if not isinstance(entry, Mapping) or not all(isinstance(key, str) for key in entry):
        raise ValueError("it is no map of names")
    name = _text(entry.get("id"), "id")
    rule = RULES[_known(_text(entry.get("rule"), "rule"), RULES, "rule")]
    for key in entry:
        _known(key, [*_OWN, *_names(rule.settings)], "key")
    if entry.get("severity", "note") != "note":
        raise ValueError("severity may only be `note`; the others are those of the rule")
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
        raise ValueError("cells is no map of roles")
    shape_of = dict(zip(_names(shapes), shapes.values(), strict=True))
    for role in cells:
        _known(role, shape_of, "role")
    if missing := [name for name in shapes if not name.endswith("?") and name not in cells]:
        raise ValueError(f"no role {', '.join(missing)}")
    return {role: _role(role, shape_of[role], value, numbers) for role, value in cells.items()}


def _role(role: str, shape: Shape, value: Any, numbers: Mapping[str, PublishedNumber]) -> Role:
    if shape in {"one", "some"}:
        ids = value if isinstance(value, list) and shape == "some" else [value]
        if not ids:
            raise ValueError(f"{role} names no number")
        return (tuple(("", _number(each, role, numbers)) for each in ids),)
    samples = value if shape == "samples" else [value]
    if not isinstance(samples, list) or not samples or not all(isinstance(sample, Mapping) for sample in samples):
        raise ValueError(f"{role} is no {'list of maps' if shape == 'samples' else 'map'} of {', '.join(SAMPLE)}")
    return tuple(
        tuple((_known(key, SAMPLE, "role"), _number(each, role, numbers)) for key, each in sample.items())
        for sample in samples
    )


def _number(name: Any, role: str, numbers: Mapping[str, PublishedNumber]) -> PublishedNumber:
    return numbers[_known(_text(name, role), numbers, "number")]


def _settings(entry: Mapping[str, Any], allowed: Mapping[str, int]) -> dict[str, tuple[Fraction, ...]]:
    found = {}
    for name, (wanted, length) in zip(_names(allowed), allowed.items(), strict=True):
        if name in entry:
            values = entry[name] if isinstance(entry[name], list) else [entry[name]]
            if len(values) != length or any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
                raise ValueError(f"{name} is not {length} number{'s' if length > 1 else ''}")
            found[name] = tuple(Fraction(str(value)) for value in values)
        elif not wanted.endswith("?"):
            raise ValueError(f"no {name}")
    return found


def _names(words: Iterable[str]) -> Sequence[str]:
    return [word.rstrip("?") for word in words]


def _text(value: Any, message: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{message} is of type {type(value).__name__}, not a text; quote it if it looks like a number")
    return value


def _known(word: Any, known: Iterable[str], message: str) -> str:
    known = list(known)
    if not isinstance(word, str) or word not in known:
        near = difflib.get_close_matches(word, known, 1) if isinstance(word, str) else []
        word = word if isinstance(word, str) else type(word).__name__
        raise ValueError(f"there is no {message} {word!r}{f'; did you mean {near[0]}?' if near else ''}")
    return word
