"""Every numeric key of every verb: values out of range are one line with key, value and range."""

from __future__ import annotations

import pytest

from liverspleen.config import SCHEMAS, ConfigKey, compose, keys
from liverspleen.config.checking import check
from liverspleen.config.composition import draft
from liverspleen.config.config_keys import field_types, group_of
from liverspleen.errors import InputError

NUMERIC = [
    pytest.param(verb, key, id=f"{verb}-{key.name}")
    for verb, schema in SCHEMAS.items()
    for key in keys(schema)
    if key.element in (int, float) and not key.choices
]
WILD = [float("nan"), float("inf"), float("-inf"), -1, -1.0, 0, 1e30, 10**30, -(10**30), "x", True]


@pytest.fixture(scope="module")
def drafts() -> dict[str, dict]:
    """The defaults of each verb, with what it needs."""
    network = {"info": ["network=small"]}
    return {verb: draft(verb, network.get(verb, [])).values for verb in SCHEMAS}


def rejected(verb: str, values: dict, key: ConfigKey, value: object) -> list[str]:
    """The lines about a key, if it has this value."""
    group, _, name = key.name.rpartition(".")
    changed = {**values, group: {**values[group], name: value}} if group else {**values, name: value}
    try:
        check(verb, SCHEMAS[verb], changed)
    except InputError as error:
        return [str(issue) for issue in error.issues if f": {key.name}=" in str(issue)]
    return []


def in_range(key: ConfigKey, value: object) -> bool:
    """Whether a number is in the range that the schema states; independent of what checks it."""
    if isinstance(value, bool | str) or (key.element is int and isinstance(value, float)):
        return False
    limit = key.key
    return bool(
        value == value
        and (limit.ge is None or value >= limit.ge)
        and (limit.gt is None or value > limit.gt)
        and (limit.le is None or value <= limit.le)
        and (limit.lt is None or value < limit.lt)
    )


@pytest.mark.parametrize(("verb", "key"), NUMERIC)
def test_values_out_of_range_are_one_line_with_key_value_and_range(
    verb: str, key: ConfigKey, drafts: dict[str, dict]
) -> None:
    for number in WILD:
        value = [number] if key.is_list else number
        lines = rejected(verb, drafts[verb], key, value)
        wrong_type = isinstance(number, bool | str) or (key.element is int and isinstance(number, float))
        if in_range(key, number):
            assert [line for line in lines if line[:10] in ("LS-CFG-005", "LS-CFG-006")] == []
            continue
        (line,) = lines
        assert line.startswith(f"LS-CFG-00{5 if wrong_type else 6}: {key.name}=")
        assert line.endswith(f"; use {key.limits}")
        assert "\n" not in line


CHOICES = [
    pytest.param(verb, key, id=f"{verb}-{key.name}")
    for verb, schema in SCHEMAS.items()
    for key in keys(schema)
    if key.element in (int, float) and key.choices
]


@pytest.mark.parametrize(("verb", "key"), CHOICES)
def test_a_number_that_is_none_of_the_choices_is_one_line(verb: str, key: ConfigKey, drafts: dict[str, dict]) -> None:
    for number in WILD:
        (line,) = rejected(verb, drafts[verb], key, number)
        assert line.startswith(("LS-CFG-005: ", "LS-CFG-006: "))
        assert line.endswith(f"; use {key.limits}")


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-100000000", "1e30", "1" + 30 * "0"])
def test_the_command_line_lists_every_numeric_key_of_train_that_is_out_of_range(text: str) -> None:
    numeric = [key for key in keys(SCHEMAS["train"]) if key.element in (int, float) and not key.choices]
    assert (
        len(numeric) == 73
    )  # 6 of the verb, slices 5, augmentation 28, network 5, loss 9, optimizer 3, scheduler 4, trainer 12, logger 1
    words = [f"{key.name}={f'[{text}]' if key.is_list else text}" for key in numeric]
    with pytest.raises(InputError) as error:
        compose("train", ["cohort=none.csv", "output=none", *words])
    lines = [str(issue) for issue in error.value.issues]
    named = [line.split(": ")[1].partition("=")[0] for line in lines]
    assert named == [key.name for key in numeric]
    assert all(line.startswith(("LS-CFG-005: ", "LS-CFG-006: ")) for line in lines)


@pytest.mark.parametrize(("verb", "key"), NUMERIC)
def test_every_numeric_key_has_both_limits(verb: str, key: ConfigKey) -> None:
    limit = key.key
    lower, upper = limit.ge if limit.gt is None else limit.gt, limit.le if limit.lt is None else limit.lt
    assert lower is not None
    assert upper is not None
    assert lower < upper


@pytest.mark.parametrize("verb", list(SCHEMAS))
def test_every_group_is_described_and_every_default_is_allowed(verb: str, drafts: dict[str, dict]) -> None:
    for hint in field_types(SCHEMAS[verb]).values():
        if group := group_of(hint):
            assert (group.__doc__ or "").endswith(".")
    try:
        check(verb, SCHEMAS[verb], drafts[verb])
    except InputError as error:  # only what a user must give
        codes = {issue.code for issue in error.issues}
        assert codes <= {"LS-CFG-002", "LS-CFG-016", "LS-CHG-001"}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (-3, "LS-CFG-006: trainer.steps=-3 is below 1; use a whole number from 1 to 1000000000"),
        (2.5, "LS-CFG-005: trainer.steps=2.5 is not a whole number; use a whole number from 1 to 1000000000"),
        (float("nan"), "LS-CFG-005: trainer.steps=nan is not a whole number; use a whole number from 1 to 1000000000"),
        (10**10, "LS-CFG-006: trainer.steps=10000000000 is above 1000000000; use a whole number from 1 to 1000000000"),
    ],
)
def test_lines_read_as_sentences(value: object, line: str, drafts: dict[str, dict]) -> None:
    key = next(key for key in keys(SCHEMAS["train"]) if key.name == "trainer.steps")
    assert rejected("train", drafts["train"], key, value) == [line]


def test_choices_of_the_schema_are_those_of_the_code_that_uses_them() -> None:
    from liverspleen.cohort.exporting import EXPORTS
    from liverspleen.cohort.layouts import LAYOUTS
    from liverspleen.sweep.results import OBJECTIVES
    from liverspleen.sweep.study import PRUNERS, SAMPLERS

    choices = {(verb, key.name): key.choices for verb, schema in SCHEMAS.items() for key in keys(schema)}
    assert choices["import", "source"] == LAYOUTS
    assert choices["export", "layout"] == EXPORTS
    assert choices["sweep", "search.sampler"] == SAMPLERS
    assert choices["sweep", "search.pruner"] == PRUNERS
    assert choices["sweep", "objectives"] == tuple(OBJECTIVES)
    assert choices["change", "structure"] == ("liver", "spleen", "ratio")
