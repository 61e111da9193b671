"""Files of users and overrides: no resolvers, no instructions for Hydra, bounded size, no ambiguous numbers."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from liverspleen.audit.claims import read_claims
from liverspleen.cohort.label_meaning import UnusableNamesError, read_names
from liverspleen.cohort.label_values import label_values
from liverspleen.config import compose
from liverspleen.config.choices import without_conf
from liverspleen.errors import InputError, Issue
from liverspleen.plain_yaml import MAX_DEPTH, MAX_VALUES, parse_yaml
from liverspleen.reading import read_json

TRAIN = ["cohort=c.csv", "output=o"]
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for name, before in zip("bcdefghij", "abcdefghi", strict=True)
)
CHAIN = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 100))
NOT_PLAIN = {
    "x: " + "[" * 3000: "nested more than 20",
    "x: " + "[" * 3000 + "]" * 3000: "nested more than 20",
    "x: " + "{a: " * 3000: "nested more than 20",
    "".join(" " * n + "a:\n" for n in range(300)): "nested more than 20",
    LAUGHS: "more than 20000 values",
    CHAIN: "nested more than 20",
    "x: [" + "1," * MAX_VALUES + "]": "more than 20000 values",
    "a: &a [*a]": "an alias refers to no earlier complete value",
    "a: 1\nb: 2\na: 3": "line 3: the key 'a' is repeated",
    "a: {b: 1, 'b': 2}": "the key 'b' is repeated",
    "a: 1e999": "1e999 is not finite",
    "a: -1.5e+400": "-1.5e+400 is not finite",
    "a: .NaN": ".NaN is not finite",
    "a: [-.inf]": "-.inf is not finite",
    "a: 1:30": "base 60",
    "a: 1_000": "an underscore",
    "a: 010": "octal",
    "010: a": "octal",
    "a: !!python/object/apply:os.system [x]": "a tag",
    "a: !!int '3'": "a tag",
    "a: !!binary aGk=": "a tag",
}


def in_conf(folder: Path, text: str, group: str = "network") -> list[Issue]:
    """Return the issues of a folder with one choice."""
    (folder / group).mkdir(parents=True)
    (folder / group / "mine.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        without_conf([f"conf={folder}"])
    return [*caught.value.issues]


def rejection(*overrides: str, verb: str = "train") -> list[str]:
    with pytest.raises(InputError) as caught:
        compose(verb, overrides)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(("text", "message"), NOT_PLAIN.items(), ids=range(len(NOT_PLAIN)))
def test_yaml_is_bounded_and_unambiguous(tmp_path: Path, text: str, message: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"^line") as caught:
        parse_yaml(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    (issue,) = in_conf(tmp_path, text)
    assert issue.code == "LS-CFG-015"
    (tmp_path / "claims.yaml").write_text(text)
    with pytest.raises(InputError) as rejected:
        read_claims(tmp_path / "claims.yaml", {})
    assert [issue.code for issue in rejected.value.issues] == ["LS-AUD-003"]
    assert time.process_time() - began < 10


def test_plain_yaml_is_read() -> None:
    deep = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert parse_yaml(deep)
    text = "a: &x [0, -0.5, 1.0e-3, 0.10, '010', \"1:30\", 007.nii, yes, null]\nb: *x\n"
    found = [0, -0.5, 1e-3, 0.1, "010", "1:30", "007.nii", True, None]
    assert parse_yaml(text) == {"a": found, "b": found}


@pytest.mark.parametrize("reference", ["${oc.env:MY_SECRET}", "${oc.decode:x}", "${hydra:runtime.cwd}", "a ${seed} b"])
@pytest.mark.parametrize("form", ["name: {}\n", "name: a\nlist: [x, '{}']\n", "name: a\nmap: {{'{}': 1}}\n"])
def test_a_reference_in_a_file_is_rejected_with_its_key(tmp_path: Path, reference: str, form: str) -> None:
    (issue,) = in_conf(tmp_path, form.format(reference))
    assert issue.code == "LS-CFG-024"
    assert issue.file == tmp_path / "network/mine.yaml"
    assert issue.message.startswith(("name has", "list has", "map."))


def test_a_reference_in_the_defaults_of_a_file_is_rejected(tmp_path: Path) -> None:
    issues = in_conf(tmp_path, "# @package _global_\ndefaults:\n  - /network: ${oc.env:MY_SECRET}\n", "experiment")
    assert {issue.code for issue in issues} == {"LS-CFG-014", "LS-CFG-024"}


@pytest.mark.parametrize(
    "override",
    [
        "logger.wandb_project=${oc.env:MY_SECRET}",
        "output=/data/${oc.env:MY_SECRET}/run",
        "seed=${oc.env:MY_SECRET}",
        "seed=${oc.decode:${oc.env:MY_SECRET}}",
        "trainer.steps=${seed}",
        "network={name: '${oc.env:MY_SECRET}'}",
        "logger={wandb_project: ${hydra:job.name}}",
    ],
)
def test_a_reference_on_the_command_line_is_rejected(monkeypatch: pytest.MonkeyPatch, override: str) -> None:
    monkeypatch.setenv("MY_SECRET", "hunter2")
    (line,) = rejection(*TRAIN, override)
    assert line.startswith(f"LS-CFG-024: {override.partition('=')[0]} has ${{...}}")
    assert "hunter2" not in line


def test_verbatim_text_may_have_a_brace() -> None:
    assert compose("train", ["cohort=c.csv", "output=a ${x}"]).output == Path("a ${x}")


@pytest.mark.parametrize(
    ("group", "text", "code"),
    [
        ("network", "# @package logger\nwandb_project: x\n", "LS-CFG-025"),
        ("network", "# @package _global_\nseed: 1\n", "LS-CFG-025"),
        ("network", "# A network.\n#  @package a.b\nname: x\n", "LS-CFG-025"),
        ("experiment", "# @package trainer\nsteps: 1\n", "LS-CFG-025"),
        ("experiment", "# @package _global_\nhydra: {run: {dir: /x}}\n", "LS-CFG-025"),
        ("network", "defaults: nothing\n", "LS-CFG-014"),
        ("network", "defaults: [/../../secret]\n", "LS-CFG-014"),
        ("network", "defaults: [{/loss: ../x}]\n", "LS-CFG-014"),
        ("network", "defaults: [{/loss@_global_: focal}]\n", "LS-CFG-014"),
        ("network", "defaults: [{override hydra/launcher: basic}]\n", "LS-CFG-014"),
        ("network", "defaults: ['file:///etc/x']\n", "LS-CFG-014"),
        ("network", "defaults: [/etc/x]\n", "LS-CFG-014"),
        ("network", "defaults: [{/loss: [focal, tversky]}]\n", "LS-CFG-014"),
    ],
)
def test_an_instruction_for_hydra_is_one_line(tmp_path: Path, group: str, text: str, code: str) -> None:
    (issue,) = in_conf(tmp_path, text, group)
    assert issue.code == code
    assert issue.file == tmp_path / group / "mine.yaml"


@pytest.mark.parametrize("text", ["defaults: []\n", "x: 1\n", "defaults: [_self_]\n", "{}\n"])
def test_a_choice_without_keys_of_its_group_is_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / "network").mkdir()
    (tmp_path / "network/mine.yaml").write_text(text)
    lines = rejection(*TRAIN, f"conf={tmp_path}", "network=mine")
    assert {line[:10] for line in lines} <= {"LS-CFG-002", "LS-CFG-003"}


def test_an_experiment_needs_its_header(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text("seed: 1\n")
    (line,) = rejection(*TRAIN, f"conf={tmp_path}", "experiment=mine")
    assert line.startswith("LS-CFG-003: train has no key 'experiment'")


@pytest.mark.parametrize(
    "override",
    [
        *("hydra.run.dir=x", "hydra/launcher=basic", "hydra.sweeper.x=1", "--config-dir=/etc", "--config-path=/etc"),
        *(
            "-m",
            "--multirun",
            "+seed=1",
            "++seed=1",
            "~network",
            "~network=small",
            "network@x=small",
            "trainer.steps=1,2",
        ),
        *(
            "network={_target_: os.system}",
            "seed=1e999",
            "optimizer.lr=nan",
            "optimizer.lr=true",
            "seed=true",
            "seed=1.7",
        ),
        *("optimizer={lr: 1e999}", "seed=010", "search.parameters=" + "[" * 3000, "optimizer={lr: " + "[" * 3000),
    ],
)
def test_other_syntax_of_hydra_is_one_line(override: str) -> None:
    (line,) = rejection(*TRAIN, "trials=1", override, verb="sweep")
    assert line.startswith("LS-CFG-00")
    assert len(line) < 300


@pytest.mark.parametrize(
    "labels",
    [
        *({"liver": 1.7}, {"liver": True}, {"1.7": "liver"}, {"1_0": "liver"}, {"liver": "1.7"}, {"liver": 1e300}),
        {"liver": [1, 2.5]},
    ],
)
def test_a_label_value_is_a_whole_number(tmp_path: Path, labels: dict[str, object]) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(UnusableNamesError):
        read_names(tmp_path / "dataset.json")


def test_a_label_value_of_an_option_or_table_is_a_whole_number(tmp_path: Path) -> None:
    for value in (1.7, True, "1"):
        with pytest.raises(InputError):
            label_values("label_values", {value: "liver"})
    for text in ("1.7", "1_0", "true"):
        (tmp_path / "dseg.tsv").write_text(f"index\tname\n{text}\tliver\n")
        with pytest.raises(UnusableNamesError):
            read_names(tmp_path / "dseg.tsv")


@pytest.mark.parametrize(
    "text",
    ["[" * 3000 + "]" * 3000, '{"a": 1, "a": 2}', '{"a": 1e999}', '{"a": NaN}', '{"a": -Infinity}', '{"a": "\\ud800"}'],
)
def test_json_is_bounded_and_unambiguous(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=r"."):
        read_json(tmp_path / "x.json")
