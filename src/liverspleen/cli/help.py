"""Text of `liverspleen VERB --help` and `liverspleen VERB --cfg job`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from liverspleen.cli.verbs import description
from liverspleen.config import SCHEMAS, ConfigKey, groups, keys
from liverspleen.config.checking import shown
from liverspleen.config.composition import MISSING, Draft, draft
from liverspleen.config.config_keys import field_types, group_of
from liverspleen.config.hints import groups_of
from liverspleen.sweep.database import without_password

_NAME_WIDTH = 36
_URL = "storage"
"""Key whose value may hold a password, which is hidden."""
_SYNTAX = """\
keys, written key=value. Text and paths are used as written; `key=` means no value; other values use the syntax of
Hydra, for example [1,2]."""
_GROUPS = """\
GROUP=CHOICE sets all keys of a config group; the choice in use is shown as selected.
conf=FOLDER adds your own choices, in FOLDER/GROUP/NAME.yaml."""


def verb_help(verb: str, overrides: Sequence[str] = ()) -> str:
    """Return purpose, examples, inputs, outputs and exit codes of a verb, and its keys by group with their values.

    Raises:
        InputError: as `compose`, except for values that are missing or out of range.
    """
    composed = draft(verb, overrides)
    return f"liverspleen {verb}: {description(verb)}\n\n" + "\n".join(_blocks(verb, composed))


def composed_yaml(verb: str, overrides: Sequence[str]) -> str:
    """Return the configuration with the overrides as YAML; a missing required value is `???`.

    Raises:
        InputError: as `verb_help`.
    """
    import yaml

    values = draft(verb, overrides).nested(keys(SCHEMAS[verb]))
    if isinstance(values.get(_URL), str):
        values[_URL] = without_password(values[_URL])
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return str(text).rstrip()


def _blocks(verb: str, composed: Draft) -> Iterator[str]:
    """Yield the lines of the keys of the verb itself, then a block for each group."""
    known = list(keys(SCHEMAS[verb]))
    yield _SYNTAX
    if groups_of(verb):
        yield _GROUPS
    yield from (_line(key, composed) for key in known if "." not in key.name)
    available = groups(composed.folder)
    for name in groups_of(verb):
        schema = group_of(field_types(SCHEMAS[verb]).get(name))
        title = (schema.__doc__ or "").strip() if schema else "A recipe that sets choices and values of several groups."
        yield f"\n{name}: {title}"
        yield f"  {name}={'|'.join(available[name])}  (selected: {composed.choices.get(name) or 'none'})"
        yield from (_line(key, composed) for key in known if key.name.startswith(f"{name}."))


def _line(key: ConfigKey, composed: Draft) -> str:
    value = composed.value(key)
    if key.name == _URL and isinstance(value, str):
        value = without_password(value)
    text = "" if value is None else "(required)" if value is MISSING else shown(value)
    return f"  {f'{key.name}={text}':<{_NAME_WIDTH}} {key.limits}. {key.description}"
