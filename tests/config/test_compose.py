"""Configurations from overrides and Python values."""

from __future__ import annotations

from pathlib import Path

import pytest

from liverspleen.config import compose
from liverspleen.config.renamed import current_names
from liverspleen.errors import InputError

TRAIN = ["cohort=c.csv", "output=o"]
MEASURE = ["labels=l", "output=o"]
TEXTS = [
    "5.10",
    "Müller",
    "R(1), O'Brien",
    "1E5",
    "TRUE",
    "null",
    "1_000",
    "nan",
    "${seed}",
    "a=b",
    '"x"',
    "#1",
    "[x",
    "???",
]


def rejection(verb: str, words: list[str], values: dict[str, object] | None = None) -> list[str]:
    with pytest.raises(InputError) as rejected:
        compose(verb, words, values=values)
    return [str(issue) for issue in rejected.value.issues]


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_used_verbatim(text: str) -> None:
    assert compose("measure", [*MEASURE, f"reader={text}"]).reader == text
    assert compose("measure", MEASURE, values={"reader": text}).reader == text
    config = compose("train", [*TRAIN, f"logger.wandb_group={text}"])
    assert config.logger.wandb_group == text


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("[test1,test2]", ["test1", "test2"]),
        ("test1,test2", ["test1", "test2"]),
        ("[test1, test2]", ["test1", "test2"]),
        ("5.10", ["5.10"]),
        ("['a,b',\"c,d\",e]", ["a,b", "c,d", "e"]),
        ("O'Brien,R(1)", ["O'Brien", "R(1)"]),
        ("", []),
        ("[]", []),
    ],
)
def test_lists_of_text_are_split_at_commas_and_used_verbatim(value: str, found: list[str]) -> None:
    assert compose("measure", [*MEASURE, f"datasets={value}"]).datasets == found


def test_an_empty_value_is_none() -> None:
    config = compose("train", [*TRAIN, "split=", "logger.wandb_group=", "trainer.patience=3", "trainer.patience="])
    assert (config.split, config.logger.wandb_group, config.trainer.patience) == (None, None, None)
    assert rejection("train", ["cohort=", "output=o"])[0].startswith("LS-CFG-002: train needs cohort=...")
    assert rejection("measure", [*MEASURE, "reader="])[0].startswith("LS-CFG-002: measure needs reader=...")


def test_the_last_override_of_a_key_counts() -> None:
    assert compose("train", [*TRAIN, "trainer.patience=", "trainer.patience=4"]).trainer.patience == 4
    assert compose("measure", [*MEASURE, "reader=a", "reader=b"]).reader == "b"


@pytest.mark.parametrize(
    "values",
    [
        {"trainer.steps": 20, "network": "small", "network.rates": (1, 2)},
        {"trainer": {"steps": 20}, "network": "small", "network.rates": [1, 2]},
    ],
)
def test_python_values_are_nested_or_dotted_and_select_choices(values: dict[str, object]) -> None:
    values = {**values, "cohort": Path("a,b.csv"), "output": "o", "split": None}
    config = compose("train", ["trainer.steps=3", "trainer=cpu"], values=values)
    assert (config.trainer.steps, config.trainer.accelerator) == (20, "cpu")
    assert (config.network.encoder, config.network.rates) == ("test_resnet", [1, 2])
    assert (config.cohort, config.output, config.split) == (Path("a,b.csv"), Path("o"), None)


def test_python_values_of_maps_and_lists_are_used_unchanged() -> None:
    values: dict[str, object] = {"label_values": {5: "liver", 1: "spleen"}, "datasets": ["a,b"]}
    config = compose("measure", MEASURE, values=values)
    assert (config.label_values, config.datasets) == ({5: "liver", 1: "spleen"}, ["a,b"])
    search = compose("sweep", [*TRAIN, "trials=1", "search=own"], values={"search.parameters": {"seed": [1]}}).search
    assert search.parameters == {"seed": [1]}


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"trainer": {"stepz": 3}}, "LS-CFG-003: train has no key 'trainer.stepz'; did you mean trainer.steps="),
        ({"trainer": {"steps": "3"}}, "LS-CFG-005: trainer.steps=3 is not a whole number"),
        ({"trainer": {"steps": 0}}, "LS-CFG-006: trainer.steps=0 is below 1"),
        ({"network": "papr"}, "LS-CFG-004: network has no choice 'papr'"),
        ({"trainer": {"_target_": "os.system"}}, "LS-CFG-003: train has no key 'trainer._target_'"),
        ({"seed": None}, "LS-CFG-005: seed=null is not a whole number; use a whole number from 0 to 4294967295"),
    ],
)
def test_invalid_python_values_have_the_same_lines(values: dict[str, object], line: str) -> None:
    (found,) = rejection("train", TRAIN, values)
    assert found.startswith(line)


def test_a_folder_of_choices_may_be_a_python_value(tmp_path: Path) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network/mine.yaml").write_text("defaults:\n  - unet_2d\n  - _self_\nwidth: 5\n")
    assert compose("train", TRAIN, values={"conf": tmp_path, "network": "mine"}).network.width == 5


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["slices.window_lower_hu=400"], "LS-CFG-016: slices.window_lower_hu=400 is not below slices.window_upper"),
        (["slices.count=2"], "LS-CFG-006: slices.count=2 is even"),
        (["loss.dice_weight=0", "loss.ce_weight=0"], "LS-CFG-016: all weights of the loss are 0"),
        (["loss.focal_gamma=0.5"], "LS-CFG-006: loss.focal_gamma=0.5 is between 0 and 1"),
        (["network=unet_3d", "network.width=null"], "LS-CFG-016: network.name=unet_3d needs network.width="),
        (["network.width=4"], "LS-CFG-016: network.width= has no effect on network.name=deeplab"),
    ],
)
def test_contradicting_values_are_one_line(words: list[str], line: str) -> None:
    (found,) = rejection("train", [*TRAIN, *words])
    assert found.startswith(line)


def test_out_of_range_values_and_conflicts_of_other_groups_are_listed_together() -> None:
    lines = rejection("train", [*TRAIN, "slices.count=2", "trainer.batch_size=1", "sede=3"])
    assert [line[:10] for line in lines] == ["LS-CFG-003"]  # the command line is corrected first
    lines = rejection("train", [*TRAIN, "slices.window_lower_hu=400", "trainer.batch_size=1"])
    assert [line[:10] for line in lines] == ["LS-CFG-016", "LS-CFG-006"]


def test_a_configuration_is_frozen() -> None:
    config = compose("train", TRAIN)
    with pytest.raises(AttributeError):
        config.seed = 3


@pytest.mark.parametrize(
    ("verb", "old", "new"),
    [
        ("train", "store=a=b,c", "cache=a=b,c"),
        ("train", "slices.sections=5", "slices.count=5"),
        ("train", "slices.section_distance_mm=5", "slices.distance_mm=5"),
        ("predict", "share=2/8", "shard=2/8"),
        ("export", "licence=MIT", "license=MIT"),
        ("info", "sections=5", "input_slices=5"),
        ("import", "minimum_sections=3", "minimum_slices=3"),
    ],
)
def test_key_of_an_earlier_version_is_used_under_its_present_name_with_a_note(verb: str, old: str, new: str) -> None:
    overrides, notes = current_names(verb, [old, "output=out"])
    assert overrides == [new, "output=out"]
    assert [(note.code, note.severity) for note in notes] == [("LS-CFG-017", "note")]
    assert current_names(verb, overrides) == (overrides, [])


def test_key_of_an_earlier_version_of_another_verb_is_unknown() -> None:
    assert current_names("check", ["store=x"]) == (["store=x"], [])


def test_python_name_of_an_earlier_version_gets_the_present_one_as_hint() -> None:
    with pytest.raises(InputError, match=r"train has no key 'store'; use cache=\.\.\."):
        compose("train", values={"store": "x", "cohort": "c", "output": "o"})
