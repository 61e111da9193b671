"""From `key=value` words to the configuration of a verb: Hydra composes, paths stay verbatim."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from liverspleen.cli.choices import conf_folder, groups, without_own
from liverspleen.config import SCHEMAS, keys
from liverspleen.errors import InputError, Issue


def compose_verb(verb: str, overrides: Sequence[str]) -> Any:
    """The validated configuration of `verb`, an instance of its schema.

    Values of path keys are taken as they are, and an empty one is none; those of keys that take several paths are
    divided at commas, unless the whole is a path that exists, and the key may be given again. The word `conf=FOLDER`
    adds the choices of that folder. Every other word is an override in Hydra's grammar.

    Raises:
        InputError: a word is no `key=value`, a key or choice is unknown, a value has the wrong type, a needed key is
            missing, or the folder of choices cannot be used.
    """
    overrides, own = without_own(overrides)
    available = groups(own)
    known = [key.name for key in keys(SCHEMAS[verb])]
    path_keys = {key.name: key.type != "path" for key in keys(SCHEMAS[verb]) if key.is_path}
    maps = {key.name for key in keys(SCHEMAS[verb]) if key.type == "map"}
    paths: dict[str, str | list[str]] = {}
    words: list[str] = []
    issues: list[Issue] = []
    for word in overrides:
        name, _, value = word.partition("=")
        if name in path_keys:
            paths[name] = [*paths.get(name, ()), *_several(value)] if path_keys[name] else value
        elif issue := _word_issue(verb, word, known, available):
            issues.append(issue)
        else:
            words.append(f"++{word}" if name in maps else word)  # a map takes keys that it does not have
    if issues:
        raise InputError(issues)
    return _compose(verb, words, paths, own)


def verbatim(text: str) -> str:
    """Any text as the value of an override, from which it is composed again letter by letter.

    >>> verbatim("a=b, (c)")
    "'a=b, (c)'"
    """
    from hydra.core.override_parser.types import Quote, QuotedString

    return QuotedString(_escaped(text), Quote.single).with_quotes()


@contextmanager
def composing(own: Path | None) -> Iterator[list[str]]:
    """Hydra, ready to compose; gives the overrides that come first, for choices of one's own."""
    from hydra import initialize_config_dir
    from hydra.core.override_parser.types import Quote, QuotedString

    with initialize_config_dir(version_base="1.3", config_dir=str(conf_folder())):
        yield [f"hydra.searchpath=[{QuotedString(f'file://{own}', Quote.single).with_quotes()}]"] if own else []


def _word_issue(verb: str, word: str, known: list[str], available: dict[str, list[str]]) -> Issue | None:
    """What is wrong with the key of an override, told before Hydra sees it."""
    name, equals, choice = word.partition("=")
    if verb == "import" and not (equals and re.fullmatch(r"[\w.]+", name)):
        message = "a word is not of the form key=value"  # it may be a piece of a path, which may name a patient
        return Issue("LS-CFG-001", message, "write key=value, and put what holds spaces in quotes")
    if not equals:
        return Issue("LS-CFG-001", f"{word!r} is not of the form key=value", "write key=value")
    if name in available:
        if choice in available[name] or choice == "null" or choice.startswith(("{", "[")):
            return None
        return Issue("LS-CFG-004", f"{name} has no choice {choice!r}", f"use one of {', '.join(available[name])}")
    if name in known or any(key.startswith(f"{name}.") for key in known):
        return None
    near = difflib.get_close_matches(name, [*known, *available], 1, 0.5)
    hint = f"did you mean {near[0]}=...?" if near else f"see the keys in: liverspleen {verb} --help"
    return Issue("LS-CFG-003", f"{verb} has no key {name!r}", hint)


def _compose(verb: str, words: list[str], paths: dict[str, str | list[str]], own: Path | None) -> Any:
    from hydra import compose
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    schema = SCHEMAS[verb]
    hint = f"see the keys and their types in: liverspleen {verb} --help"
    try:
        with composing(own) as first:
            composed = compose(config_name=verb, overrides=[*first, *words])
        for name, value in paths.items():
            escaped = _escaped(value) if isinstance(value, str) else [_escaped(part) for part in value]
            OmegaConf.update(composed, name, escaped or None)
        config = OmegaConf.merge(OmegaConf.structured(schema), composed)
        missing = sorted(OmegaConf.missing_keys(config))
        if missing:
            raise InputError(_missing(verb, name) for name in missing)
        return OmegaConf.to_object(config)
    except (HydraException, OmegaConfBaseException, ValueError) as error:
        for word in words:
            if word.startswith("storage=") and not _readable(word):  # its password must not be told
                message = "storage= is no value as it stands: it holds signs that have a meaning in an override"
                raise InputError(Issue("LS-CFG-005", message, "write it in quotes: 'storage=\"URL\"'")) from None
        raise InputError(Issue("LS-CFG-005", _first_line(error.__cause__ or error), hint)) from error
    except YAMLError as error:  # its lines say what and where
        raise InputError(Issue("LS-CFG-005", " ".join(str(error).split()), hint)) from error
    except RecursionError as error:
        raise InputError(Issue("LS-CFG-005", "the defaults of a choice lead back to itself", hint)) from error


def _readable(word: str) -> bool:
    """Whether an override has one value."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return not OverridesParser.create().parse_override(word).is_sweep_override()
    except HydraException:
        return False


def _several(value: str) -> list[str]:
    """The paths of a key that takes several."""
    try:
        if value and Path(value).exists():
            return [value]
    except OSError:  # too long for one name: several
        pass
    bare = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return [part for part in bare.split(",") if part]


def _escaped(value: str) -> str:
    """Text that OmegaConf gives back verbatim, even where it looks like an interpolation."""
    return re.sub(r"(\\*)\$\{", lambda match: match.group(1) * 2 + r"\${", value)


def _missing(verb: str, name: str) -> Issue:
    meaning = next(key.meaning for key in keys(SCHEMAS[verb]) if key.name == name)
    return Issue("LS-CFG-002", f"{verb} needs {name}=... ({meaning})", f"add {name}=... (liverspleen {verb} --help)")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    where = [line.removeprefix("full_key:").strip() for line in lines if line.startswith("full_key:")]
    return f"{where[0]}: {lines[0]}" if where and where[0] else (lines[0] if lines else type(error).__name__)
