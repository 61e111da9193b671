"""Overrides and Python values to the configuration of a verb: Hydra composes files and choices, the schema checks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from liverspleen.config.checking import check
from liverspleen.config.choices import OWN, conf_folder, groups, without_own
from liverspleen.config.config_keys import ConfigKey, keys
from liverspleen.config.hints import groups_of, key_issue
from liverspleen.config.texts import elements, paths
from liverspleen.config.verbs import SCHEMAS
from liverspleen.errors import InputError, Issue

MISSING: Final = "???"
"""Stands for a value that must be given, in files and in what `--cfg job` prints."""


def compose(verb: str, overrides: Sequence[str] = (), *, values: Mapping[str, object] | None = None) -> Any:
    """The checked configuration of a verb, an instance of its schema.

    Args:
        verb: such as `train`.
        overrides: `key=value` as on the command line. Texts, paths, choices and lists of them are taken as they stand,
            and an empty one is none; lists are split at commas. `conf=FOLDER` adds the choices of that folder. Every
            other value is in Hydra's grammar.
        values: Python values, taken as they are, that count more than the overrides: `{"trainer.steps": 20}`,
            `{"trainer": {"steps": 20}}`, and `{"network": "small"}` for a choice.

    Raises:
        InputError: LS-CFG-001 an override is no `key=value`, LS-CFG-002 a needed key is missing, LS-CFG-003 a key is
            unknown, LS-CFG-004 a choice is unknown, LS-CFG-005 a value has a wrong type, LS-CFG-006 it is out of range,
            LS-CFG-016 keys contradict each other, LS-CFG-011 to LS-CFG-015 the folder of choices cannot be used.

    >>> config = compose("train", ["cohort=c.csv", "output=run", "network=small"], values={"trainer": {"steps": 20}})
    >>> config.network.encoder, config.trainer.steps, config.output
    ('test_resnet', 20, PosixPath('run'))
    """
    return check(verb, SCHEMAS[verb], draft(verb, overrides, values=values).values)


@dataclass(frozen=True)
class Draft:
    """What overrides and files say, unchecked: nested plain values without those that are missing, and the choices."""

    values: dict[str, Any]
    choices: dict[str, str | None]
    own: Path | None

    def value(self, key: ConfigKey) -> Any:
        """The value of a key; `MISSING` if it has none and needs one."""
        found: Any = self.values
        for part in key.name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return MISSING if found is None and not key.optional else found

    def nested(self, known: Iterable[ConfigKey]) -> dict[str, Any]:
        """The values of those keys, nested, with `MISSING` where one is missing."""
        found: dict[str, Any] = {}
        for key in known:
            _set(found, key.name, self.value(key))
        return found


def draft(verb: str, overrides: Sequence[str] = (), *, values: Mapping[str, object] | None = None) -> Draft:
    """The composed but unchecked configuration; arguments and issues as `compose`."""
    python = dict(values or {})
    if OWN in python:
        overrides = [*overrides, f"{OWN}={python.pop(OWN)}"]
    rest, own = without_own(overrides)
    request = _Request(verb, groups(own))
    request.add_overrides(rest)
    request.add_values(python)
    if request.issues:
        raise InputError(request.issues)
    composed, choices = _hydra(verb, request.words, own)
    for name, value in request.given.items():
        _set(composed, name, value)
    return Draft(composed, choices, own)


@dataclass
class _Request:
    """Sorts overrides and values: `words` are for Hydra, `given` are set as they are, `issues` are wrong."""

    verb: str
    available: dict[str, list[str]]
    words: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = {key.name: key for key in keys(SCHEMAS[self.verb])}
        self.groups = groups_of(self.verb)

    def add_overrides(self, overrides: Sequence[str]) -> None:
        """The `key=value` of a command line; `key = value` and `--key value` are one issue each."""
        words = [*overrides]
        while words:
            word = words.pop(0)
            name = word.lstrip("-")
            if name in self.known or name in self.groups:
                message = f"{word!r} is not of the form key=value"
                self.issues.append(Issue("LS-CFG-001", message, f"write {name}=VALUE, without spaces around ="))
                words = words[1:] if words[:1] == ["="] else words
                words = words[1:] if words and "=" not in words[0] else words
            else:
                self._add(word)

    def _add(self, override: str) -> None:
        name, equals, value = override.partition("=")
        if not equals or (self.verb == "import" and not re.fullmatch(r"[\w.]+", name)):
            self.issues.append(self._word_issue(override))
        elif name in self.groups and not value.startswith(("{", "[")):
            self._choose(name, value)
        elif (key := self.known.get(name)) is None:
            known = name in self.groups or any(other.startswith(f"{name}.") for other in self.known)
            self.words.append(override) if known else self.issues.append(key_issue(self.verb, name))
        elif key.is_verbatim:
            self.given[name] = self._verbatim(key, value)
        elif not value and key.optional:
            self.given[name] = None
        else:
            self.given.pop(name, None)
            self.words.append(f"++{override}")  # a map takes keys that it does not have

    def add_values(self, values: Mapping[str, object], prefix: str = "") -> None:
        """Python values, nested or dotted."""
        for part, value in values.items():
            name = f"{prefix}{part}"
            if name in self.known:
                self.given[name] = value
            elif name in self.groups and (value is None or isinstance(value, str)):
                self._choose(name, value or "null")
            elif isinstance(value, Mapping) and any(other.startswith(f"{name}.") for other in self.known):
                self.add_values(value, f"{name}.")
            else:
                self.issues.append(key_issue(self.verb, name))

    def _choose(self, group: str, choice: str) -> None:
        if choice in self.available[group] or choice == "null":
            self.words.append(f"{group}={choice}")
            return
        hint = f"use one of {', '.join(self.available[group])}"
        self.issues.append(Issue("LS-CFG-004", f"{group} has no choice {choice!r}", hint))

    def _verbatim(self, key: ConfigKey, value: str) -> Any:
        if not key.is_list:
            return value or None
        if key.is_path:
            return [*self.given.get(key.name, ()), *paths(value)]
        return elements(value)

    def _word_issue(self, word: str) -> Issue:
        if self.verb == "import":  # the word may be a piece of a path, and a path may name a patient
            message = "an argument is not of the form key=value"
            return Issue("LS-CFG-001", message, "write key=value, and put what holds spaces in quotes")
        return Issue("LS-CFG-001", f"{word!r} is not of the form key=value", "write key=value")


def _hydra(verb: str, words: Sequence[str], own: Path | None) -> tuple[dict[str, Any], dict[str, str | None]]:
    """What Hydra composes, as plain values, and which choice of each group it took."""
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    hint = f"see the keys and their types in: liverspleen {verb} --help"
    try:
        with _composing(own) as first:
            composed = hydra_compose(config_name=verb, overrides=[*first, *words], return_hydra_config=True)
        choices = OmegaConf.to_container(composed.hydra.runtime.choices)
        with open_dict(composed):
            del composed["hydra"]
        values = OmegaConf.to_container(composed, resolve=True)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        raise InputError(Issue("LS-CFG-005", _first_line(error.__cause__ or error), hint)) from error
    except YAMLError as error:  # its lines say what and where
        raise InputError(Issue("LS-CFG-005", " ".join(str(error).split()), hint)) from error
    except RecursionError as error:
        raise InputError(Issue("LS-CFG-005", "the defaults of a choice lead back to itself", hint)) from error
    assert isinstance(values, dict)
    assert isinstance(choices, dict)
    return _present(values), {str(name): choice for name, choice in choices.items()}


@contextmanager
def _composing(own: Path | None) -> Iterator[list[str]]:
    """Hydra, ready to compose; gives the overrides that come first, for a user's own folder of choices."""
    from hydra import initialize_config_dir
    from hydra.core.override_parser.types import Quote, QuotedString

    with initialize_config_dir(version_base="1.3", config_dir=str(conf_folder())):
        yield [f"hydra.searchpath=[{QuotedString(f'file://{own}', Quote.single).with_quotes()}]"] if own else []


def _present(values: Mapping[Any, Any]) -> dict[str, Any]:
    """The values without those that are missing."""
    kept = {name: value for name, value in values.items() if not (isinstance(value, str) and value == MISSING)}
    return {name: _present(value) if isinstance(value, Mapping) else value for name, value in kept.items()}


def _set(values: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for part in parents:
        if not isinstance(values.get(part), dict):
            values[part] = {}
        values = values[part]
    values[last] = value


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    where = [line.removeprefix("full_key:").strip() for line in lines if line.startswith("full_key:")]
    return f"{where[0]}: {lines[0]}" if where and where[0] else (lines[0] if lines else type(error).__name__)
