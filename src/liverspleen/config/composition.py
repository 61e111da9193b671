"""Compose the configuration of a verb from overrides and Python values with Hydra, and check it with the schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from liverspleen.config.checking import check
from liverspleen.config.choices import CONF, conf_folder, groups, interpolation_issue, without_conf
from liverspleen.config.config_keys import ConfigKey, keys
from liverspleen.config.hints import groups_of, key_issue
from liverspleen.config.key import conflict
from liverspleen.config.texts import elements, paths
from liverspleen.config.verbs import SCHEMAS
from liverspleen.credentials import may_have_password, repeatable
from liverspleen.errors import InputError, Issue

_RESOLVER: Final = re.compile(r"\$\{\s*[\w.]+\s*:")
"""Reference to the environment or a function; text is used verbatim, but such a text is never meant."""
_MOST_BRACKETS: Final = 200
_STEPS, _MINUTES = "trainer.steps", "trainer.minutes"
_LONGEST: Final = 10_000  # characters of a value in the syntax of Hydra

MISSING: Final = "???"
"""Placeholder of a required value, in the YAML files and in the output of `--cfg job`."""


def compose(verb: str, overrides: Sequence[str] = (), *, values: Mapping[str, object] | None = None) -> Any:
    """Return the checked configuration of a verb, an instance of its schema.

    Args:
        verb: such as `train`.
        overrides: `key=value` as on the command line. Texts, paths, choices and lists of them are used verbatim, and
            an empty one means no value; lists are split at commas. `conf=FOLDER` adds the choices of that folder. All
            other values use the syntax of Hydra.
        values: Python values, used unchanged, which take precedence over the overrides: `{"trainer.steps": 20}`,
            `{"trainer": {"steps": 20}}`, and `{"network": "small"}` for a choice.

    Raises:
        InputError: LS-CFG-001 an override is not `key=value`, LS-CFG-002 a required key is missing, LS-CFG-003 a key is
            unknown, LS-CFG-004 a choice is unknown, LS-CFG-005 a value has a wrong type, LS-CFG-006 it is out of range,
            LS-CFG-016 keys contradict each other, LS-CFG-011 to LS-CFG-015 the folder of choices cannot be used.

    >>> config = compose("train", ["cohort=c.csv", "output=run", "network=small"], values={"trainer": {"steps": 20}})
    >>> config.network.encoder, config.trainer.steps, config.output
    ('test_resnet', 20, PosixPath('run'))
    """
    found = draft(verb, overrides, values=values)
    config = check(verb, SCHEMAS[verb], found.values)
    if found.conflicts:
        raise InputError(found.conflicts)
    return config


@dataclass(frozen=True)
class Draft:
    """Unchecked configuration: nested plain values without missing ones, choices, and the user's folder (`conf=`).

    `conflicts` are issues of overrides that are allowed one by one but not together.
    """

    values: dict[str, Any]
    choices: dict[str, str | None]
    folder: Path | None
    conflicts: Sequence[Issue] = ()

    def value(self, key: ConfigKey) -> Any:
        """Return the value of a key, or `MISSING` if a required key has none."""
        found: Any = self.values
        for part in key.name.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return MISSING if found is None and not key.optional else found

    def nested(self, known: Iterable[ConfigKey]) -> dict[str, Any]:
        """Return the values of the keys, nested, with `MISSING` for missing ones."""
        found: dict[str, Any] = {}
        for key in known:
            _set(found, key.name, self.value(key))
        return found


def draft(verb: str, overrides: Sequence[str] = (), *, values: Mapping[str, object] | None = None) -> Draft:
    """Return the composed but unchecked configuration; arguments and issues as in `compose`."""
    python = dict(values or {})
    if CONF in python:
        overrides = [*overrides, f"{CONF}={python.pop(CONF)}"]
    rest, folder = without_conf(overrides)
    request = _Request(verb, groups(folder))
    request.add_overrides(rest)
    request.add_values(python)
    if request.issues:
        raise InputError(request.issues)
    composed, choices = _hydra(verb, request.for_hydra, folder)
    for name, value in request.given.items():
        _set(composed, name, value)
    if request.gives(_STEPS) and not request.gives(_MINUTES):
        _set(composed, _MINUTES, None)  # of a choice: the command line takes precedence
    return Draft(composed, choices, folder, [*request.conflicts()])


@dataclass
class _Request:
    """Sorted overrides and values: `for_hydra` are overrides for Hydra, `given` are values that are set unchanged."""

    verb: str
    available: dict[str, list[str]]
    for_hydra: list[str] = field(default_factory=list)
    given: dict[str, Any] = field(default_factory=dict)
    issues: list[Issue] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = {key.name: key for key in keys(SCHEMAS[self.verb])}
        self.groups = groups_of(self.verb)

    def add_overrides(self, overrides: Sequence[str]) -> None:
        """Add the `key=value` of a command line; `key = value` and `--key value` are one issue each."""
        rest = [*overrides]
        while rest:
            override = rest.pop(0)
            name = override.lstrip("-")
            if name in self.known or name in self.groups:
                message = f"{override!r} is not of the form key=value"
                self.issues.append(Issue("LS-CFG-001", message, f"write {name}=VALUE, without spaces around ="))
                rest = rest[1:] if rest[:1] == ["="] else rest
                rest = rest[1:] if rest and "=" not in rest[0] else rest
            else:
                self._add(override)

    def _add(self, override: str) -> None:
        name, equals, value = override.partition("=")
        key = self.known.get(name)
        if not equals or (self.verb == "import" and not re.fullmatch(r"[\w.]+", name)):
            self.issues.append(self._form_issue(override))
        elif name in self.groups and not value.startswith(("{", "[")):
            self._choose(name, value)
        elif key is None and name not in self.groups and not any(one.startswith(f"{name}.") for one in self.known):
            self.issues.append(key_issue(self.verb, name))
        elif issue := _value_issue(name, value, is_verbatim=key is not None and key.is_verbatim):
            self.issues.append(issue)
        elif key is None:
            self.for_hydra.append(override)
        elif key.is_verbatim:
            self.given[name] = self._verbatim(key, value)
        elif not value and key.optional:
            self.given[name] = None
        else:
            self.given.pop(name, None)
            self.for_hydra.append(f"++{override}")  # a map accepts keys that it does not have

    def add_values(self, values: Mapping[str, object], prefix: str = "") -> None:
        """Add Python values, nested or with dotted names."""
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

    def gives(self, name: str) -> bool:
        """Return whether the last value of a key is not empty; False if only a choice has a value."""
        if name in self.given:
            return self.given[name] is not None
        group, _, key = name.rpartition(".")
        in_map = re.compile(rf"{group}={{.*\b{key}\s*:")
        return any(
            in_map.match(one) or (one.startswith(f"++{name}=") and not one.endswith("=null")) for one in self.for_hydra
        )

    def conflicts(self) -> Iterator[Issue]:
        """Yield an issue if both the steps and the minutes of a training are given."""
        if self.gives(_STEPS) and self.gives(_MINUTES):
            message = f"{_STEPS}= and {_MINUTES}= are both given, and each determines the length"
            yield conflict(message, "remove one of them")

    def _choose(self, group: str, choice: str) -> None:
        if choice in self.available[group] or choice == "null":
            self.for_hydra.append(f"{group}={choice}")
            return
        hint = f"use one of {', '.join(self.available[group])}"
        self.issues.append(Issue("LS-CFG-004", f"{group} has no choice {repeatable(choice)!r}", hint))

    def _verbatim(self, key: ConfigKey, value: str) -> Any:
        if not key.is_list:
            return value or None
        if key.is_path:
            return [*self.given.get(key.name, ()), *paths(value)]
        return elements(value)

    def _form_issue(self, override: str) -> Issue:
        if self.verb == "import":  # the argument may be a part of a path, and a path may contain a patient's name
            message = "an argument is not of the form key=value"
            return Issue("LS-CFG-001", message, "write key=value, and quote arguments that contain spaces")
        return Issue("LS-CFG-001", f"{repeatable(override)!r} is not of the form key=value", "write key=value")


def _value_issue(name: str, value: str, *, is_verbatim: bool) -> Issue | None:
    """Return the issue of a value that refers to the environment or another key, or that is nested too deeply."""
    if _RESOLVER.search(value) or ("${" in value and not is_verbatim):
        return interpolation_issue(name)
    if not is_verbatim and (sum(map(value.count, "[{(")) > _MOST_BRACKETS or len(value) > _LONGEST):
        message = f"{name}= has more than {_MOST_BRACKETS} brackets or {_LONGEST} characters"
        return Issue("LS-CFG-005", message, f"write the value into a file of {CONF}=, or shorten it")
    return None


def _hydra(verb: str, overrides: Sequence[str], folder: Path | None) -> tuple[dict[str, Any], dict[str, str | None]]:
    """Return what Hydra composes, as plain values, and the choice of each group."""
    from hydra import compose as hydra_compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    hint = f"see the keys and their types in: liverspleen {verb} --help"
    try:
        with _composing(folder) as first:
            composed = hydra_compose(config_name=verb, overrides=[*first, *overrides], return_hydra_config=True)
        choices = OmegaConf.to_container(composed.hydra.runtime.choices)
        with open_dict(composed):
            del composed["hydra"]
        values = OmegaConf.to_container(composed)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        if any(map(may_have_password, overrides)):  # an error repeats parts of an override
            raise InputError(Issue("LS-CFG-005", "an override does not follow the syntax of Hydra", hint)) from None
        raise InputError(Issue("LS-CFG-005", _first_line(error.__cause__ or error), hint)) from error
    except YAMLError as error:  # the error and its place are in several lines
        raise InputError(Issue("LS-CFG-005", " ".join(str(error).split()), hint)) from error
    except RecursionError as error:
        raise InputError(Issue("LS-CFG-005", "the defaults of a choice include the choice itself", hint)) from error
    assert isinstance(values, dict)
    assert isinstance(choices, dict)
    return _present(values), {str(name): choice for name, choice in choices.items()}


@contextmanager
def _composing(folder: Path | None) -> Iterator[list[str]]:
    """Initialize Hydra, and yield the overrides that a user's folder of choices needs."""
    from hydra import initialize_config_dir
    from hydra.core.override_parser.types import Quote, QuotedString

    with initialize_config_dir(version_base="1.3", config_dir=str(conf_folder())):
        yield [f"hydra.searchpath=[{QuotedString(f'file://{folder}', Quote.single).with_quotes()}]"] if folder else []


def _present(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the values without missing ones."""
    present = {name: value for name, value in values.items() if not (isinstance(value, str) and value == MISSING)}
    return {name: _present(value) if isinstance(value, Mapping) else value for name, value in present.items()}


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
