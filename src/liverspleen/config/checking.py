"""Make a configuration from plain values, or list an issue for each value that its key does not allow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Optional

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from liverspleen.config.config_keys import NOUNS, ConfigKey, field_types, group_of, key_name, keys, number
from liverspleen.config.hints import key_issue
from liverspleen.config.key import Schema
from liverspleen.credentials import without_credentials
from liverspleen.errors import InputError, Issue
from liverspleen.shipped import model_path

_SHOWN = 60  # characters of a value
_STRICT = ConfigDict(strict=True, allow_inf_nan=False)
_LENIENT = ConfigDict()  # yes, no, on, off, 1 and 0 are true or false; text is a path
_OUT_OF_RANGE: Final = {
    "greater_than": ("is not above ", "gt"),
    "greater_than_equal": ("is below ", "ge"),
    "less_than": ("is not below ", "lt"),
    "less_than_equal": ("is above ", "le"),
    "finite_number": ("is NaN or inf", ""),
    "literal_error": ("is not one of the choices", ""),
    "string_too_short": ("is empty", ""),
}
"""Text and limit by pydantic error type, for the types that are LS-CFG-006; all others are LS-CFG-005."""


def check(verb: str, schema: type[Schema], values: Mapping[str, Any]) -> Any:
    """Return the configuration of a verb, an instance of its schema.

    Args:
        verb: the verb, for the issues.
        schema: its schema.
        values: nested plain values; a key that is absent has no value.

    Raises:
        InputError: LS-CFG-002 a required key has no value, LS-CFG-003 a key is unknown, LS-CFG-005 a value has a wrong
            type, LS-CFG-006 a value is out of range or not a choice; the issues of `model_path`, and those of
            `conflicts()` of the schemas.
    """
    known = {key.name: key for key in keys(schema)}
    issues = [*_unknown(verb, schema, values, "")]
    config = _built(verb, schema, values, "", known, issues)
    if issues:
        raise InputError(issues)
    return config


def _unknown(verb: str, schema: type[Schema], values: Mapping[str, Any], prefix: str) -> Iterator[Issue]:
    """Yield an issue for each key that the schema does not have."""
    known = field_types(schema)
    for name, value in values.items():
        if name not in known:
            yield key_issue(verb, f"{prefix}{name}")
        elif (group := group_of(known[name])) is not None and isinstance(value, Mapping):
            yield from _unknown(verb, group, value, f"{prefix}{name}.")


def _built(
    verb: str,
    schema: type[Schema],
    values: Mapping[str, Any],
    prefix: str,
    known: Mapping[str, ConfigKey],
    issues: list[Issue],
) -> Any:
    """Return an instance of the schema, or None; its issues and those of its groups are added to `issues`."""
    arguments, before = {}, len(issues)
    for field in fields(schema):  # type: ignore[arg-type]
        own = key_name(field.name)
        name, hint = f"{prefix}{own}", field_types(schema)[own]
        value = values.get(own)
        if (group := group_of(hint)) is not None:
            if isinstance(value, Mapping):
                arguments[field.name] = _built(verb, group, value, f"{name}.", known, issues)
            elif value is not None:
                message = f"{name}={shown(value)} is not a config group"
                issues.append(Issue("LS-CFG-005", message, f"give a choice: {name}=NAME"))
            elif field.default is MISSING:
                issues.append(Issue("LS-CFG-002", f"{verb} needs {name}=...", f"give a choice: {name}=NAME"))
        elif own in values or field.default is field.default_factory is MISSING:
            try:
                arguments[field.name] = _checked(known[name], value)
            except InputError as error:
                issues += error.issues
            except ValidationError as error:
                absent = value is None and (own not in values or known[name].is_verbatim)
                issues.append(_missing(verb, known[name]) if absent else _issue(known[name], value, error))
    if len(issues) > before:
        return None
    config = schema(**arguments)
    issues += config.conflicts()
    return config


def _checked(key: ConfigKey, value: Any) -> Any:
    if isinstance(value, str) and value in key.words:
        return value
    found = _adapter(key).validate_python([*value] if key.is_list and isinstance(value, tuple) else value)
    if not key.key.is_model or found is None:
        return found
    return [*map(model_path, value)] if key.is_list else model_path(value)


@cache
def _adapter(key: ConfigKey) -> TypeAdapter[Any]:
    """Return the check of one key."""
    limits = {name: limit for name in ("ge", "gt", "le", "lt") if (limit := getattr(key.key, name)) is not None}
    element: Any = key.element
    if key.choices:
        element = Literal[key.choices]
    elif limits:
        element = Annotated[element, Field(**limits)]
    elif element is str:
        element = Annotated[str, Field(min_length=1)]
    kind: Any = dict[str, Any] if key.is_map else list.__class_getitem__(element) if key.is_list else element
    config = _LENIENT if key.element in (bool, Path) else _STRICT
    return TypeAdapter(Optional[kind] if key.optional else kind, config=config)  # noqa: UP045


def _missing(verb: str, key: ConfigKey) -> Issue:
    message = f"{verb} needs {key.name}=... ({key.description.rstrip('.')})"
    return Issue("LS-CFG-002", message, f"add {key.name}=... (liverspleen {verb} --help)")


def _issue(key: ConfigKey, value: Any, error: ValidationError) -> Issue:
    """Return the first violation as an issue: key, value, and allowed values."""
    found = error.errors(include_url=False, include_context=False)[0]
    place, kind = found["loc"], found["type"]
    of_list = bool(place) and isinstance(value, list | tuple)
    element = value[int(place[0])] if of_list else value
    message = f"{key.name}={shown(value)}{f': {shown(element)}' if of_list else ''}"
    if kind not in _OUT_OF_RANGE or (kind == "literal_error" and not isinstance(element, key.element)):
        is_text = key.element is str and not key.choices  # text of the command line is verbatim; YAML has types
        hint = "use text; in a YAML file, put it in quotes" if is_text else f"use {key.limits}"
        return Issue("LS-CFG-005", f"{message} is not {_noun(key, of_list)}", hint)
    text, limit = _OUT_OF_RANGE[kind]
    bound = number(getattr(key.key, limit)) if limit else ""
    return Issue("LS-CFG-006", f"{message} {text}{bound}", f"use {key.limits}")


def _noun(key: ConfigKey, of_element: bool) -> str:
    if key.is_map:
        return "a map"
    return f"a list of {NOUNS[key.element][1]}" if key.is_list and not of_element else NOUNS[key.element][0]


def shown(value: object) -> str:
    """Return a value as it is written on the command line, shortened, without passwords.

    >>> shown([1, None]), shown(True), shown(float("nan"))
    ('[1,null]', 'true', 'nan')
    """
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = f"[{','.join(map(shown, value))}]" if isinstance(value, list | tuple) else without_credentials(str(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
