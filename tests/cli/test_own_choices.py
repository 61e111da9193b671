"""`conf=FOLDER`: user-defined config files in addition to those of the package."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.config import compose, conf_folder, groups
from liverspleen.errors import InputError

TRAIN = ["cohort=c.csv", "output=o"]
NETWORK = "# Network: mine.\ndefaults:\n  - unet_2d\n  - _self_\nwidth: 5\n"


def own(folder: Path, **texts: str) -> Path:
    """A folder with one file a group; `network__mine` is network/mine.yaml."""
    for name, text in texts.items():
        file = folder.joinpath(*name.split("__")).with_suffix(".yaml")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def rejection(verb: str, *words: str) -> list[str]:
    with pytest.raises(InputError) as rejected:
        compose(verb, words)
    return [str(issue) for issue in rejected.value.issues]


@pytest.mark.parametrize("name", ["mine", "a 'b', ${c}=[é]#", 'say "so"', "back\\", "a\\'b", "x\\\\'"])
def test_user_defined_choice_extends_those_of_the_package(tmp_path: Path, name: str) -> None:
    folder = own(tmp_path / name, network__mine=NETWORK)
    config = compose("train", [*TRAIN, f"conf={folder}", "network=mine"])
    assert (config.network.name, config.network.width, config.network.output_stride) == ("unet_2d", 5, 16)
    assert compose("train", [*TRAIN, f"conf={folder}"]).network.name == "deeplab"


def test_user_defined_experiment_selects_both_kinds_of_choices(tmp_path: Path) -> None:
    recipe = "# @package _global_\n# Experiment: mine.\ndefaults:\n  - override /network: mine\n"
    recipe += "  - override /loss: focal\noptimizer:\n  lr: 0.25\n"
    folder = own(tmp_path, network__mine=NETWORK, experiment__ours=recipe)
    config = compose("train", [*TRAIN, "experiment=ours", f"conf={folder}"])
    assert (config.network.width, config.loss.focal_weight, config.optimizer.lr) == (5, 1, 0.25)


def test_user_defined_vocabulary_of_a_cohort(tmp_path: Path) -> None:
    words = "# Words: of a study of transplants.\ndatasets: [development]\nconditions: [donor, recipient]\nsites: [a]\n"
    folder = own(tmp_path, vocabulary__transplants=words)
    config = compose("check", ["cohort=c.csv", "vocabulary=transplants", f"conf={folder}"])
    assert config.vocabulary.conditions == ["donor", "recipient"]


def test_choices_are_listed_in_help_and_in_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = own(tmp_path, network__mine=NETWORK)
    assert main(["train", f"conf={folder}", "--help"]) == 0
    assert "  network=figure2|mine|paper|small|unet_2d|unet_3d  (selected: paper)\n" in capsys.readouterr().out
    assert main(["train", "--help"]) == 0
    assert "|mine|" not in capsys.readouterr().out
    (printed,) = rejection("train", *TRAIN, f"conf={folder}", "network=mime")
    assert printed.startswith("LS-CFG-004: network has no choice 'mime'; use one of figure2, mine, paper")
    (printed,) = rejection("train", *TRAIN, "network=mine")
    assert printed.startswith("LS-CFG-004")
    assert main(["--help"]) == 0
    assert "conf=FOLDER" in capsys.readouterr().out


def test_last_folder_counts_and_an_empty_one_is_none(tmp_path: Path) -> None:
    folder, other = own(tmp_path / "a", network__mine=NETWORK), own(tmp_path / "b", network__other=NETWORK)
    assert compose("train", [*TRAIN, f"conf={folder}", f"conf={other}", "network=other"]).network.width == 5
    assert rejection("train", *TRAIN, f"conf={folder}", "conf=", "network=mine")[0].startswith("LS-CFG-004")


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        ("name: unet_2d\nwidth: 4\noutput_stride: 8\n_target_: os.system\n", "LS-CFG-003", "_target_"),
        ("name: unet_2d\nwidth: 4\noutput_stride: 8\nwidht: 4\n", "LS-CFG-003", "did you mean network.width="),
        ("name: unet_2d\nwidth: 4\noutput_stride: deep\n", "LS-CFG-005", "output_stride"),
        (
            "name: 5.10\noutput_stride: 8\n",
            "LS-CFG-005",
            "network.name=5.1 is not text; use text; in a YAML file, put it in quotes",
        ),
    ],
)
def test_values_are_data_under_the_schema(tmp_path: Path, text: str, code: str, key: str) -> None:
    folder = own(tmp_path, network__mine=text)
    (printed,) = rejection("train", *TRAIN, f"conf={folder}", "network=mine")
    assert printed.startswith(code)
    assert key in printed


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "network__paper",
            NETWORK,
            "LS-CFG-013 file '{}': the package already has a choice 'paper' of network; rename the file",
        ),
        (
            "networks__mine",
            NETWORK,
            "LS-CFG-012 file '{}': a YAML file outside the folders of config groups; rename the folder to ne",
        ),
        ("train", NETWORK, "LS-CFG-012 file '{}': a YAML file outside the folders of config groups; move it to"),
        ("network__my net", NETWORK, "LS-CFG-012 file '{}': the file name is not valid for a choice"),
        (
            "network__mine",
            "defaults:\n  - ../../secret\nname: x\n",
            "LS-CFG-014 file '{}': the defaults refer to a file outside",
        ),
        (
            "experiment__mine",
            "# @package _global_\ndefaults:\n  - override /network: ../../secret\n",
            "LS-CFG-014 file '{}': the defaults refer to a file outside",
        ),
    ],
)
def test_misleading_files_are_rejected(tmp_path: Path, name: str, text: str, message: str) -> None:
    folder = own(tmp_path, **{name: text}, loss__good="dice_weight: 1.0\n")
    (printed,) = rejection("train", *TRAIN, f"conf={folder}")
    assert printed.startswith(message.format(folder.joinpath(*name.split("__")).with_suffix(".yaml")))


@pytest.mark.parametrize(
    "text", ["name: !!python/object/apply:os.system ['true']\n", "- a\n", "", "a: [\n", "seed: 1\nname: \x00\n"]
)
def test_file_that_is_not_keys_and_plain_values_is_rejected(tmp_path: Path, text: str) -> None:
    folder = own(tmp_path, network__mine=text)
    (printed,) = rejection("train", *TRAIN, f"conf={folder}")
    assert printed.startswith(f"LS-CFG-015 file '{folder / 'network' / 'mine.yaml'}'")


@pytest.mark.parametrize("text", ["defaults:\n  - mine\n", "a.b: 1\n", "1: 2\n"])
def test_file_that_cannot_be_composed_is_rejected_when_it_is_selected(tmp_path: Path, text: str) -> None:
    folder = own(tmp_path, network__mine=text)
    printed = rejection("train", *TRAIN, f"conf={folder}", "network=mine")
    assert {line[:10] for line in printed} <= {"LS-CFG-002", "LS-CFG-003", "LS-CFG-005"}


def test_missing_or_empty_folder_is_rejected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("no choice")
    assert rejection("train", *TRAIN, f"conf={tmp_path}")[0].startswith("LS-CFG-011")
    assert main(["train", "--help", f"conf={tmp_path / 'none'}"]) == 2
    assert "LS-CFG-011" in capsys.readouterr().err


def test_all_issues_are_reported_at_once(tmp_path: Path) -> None:
    folder = own(tmp_path, network__paper=NETWORK, losses__mine="", loss__mine="dice_weight: 1.0\n")
    assert [printed[:10] for printed in rejection("train", *TRAIN, f"conf={folder}")] == ["LS-CFG-012", "LS-CFG-013"]


def test_choices_of_the_package_are_the_same_without_a_folder() -> None:
    assert groups()["loss"] == sorted(file.stem for file in (conf_folder() / "loss").glob("*.yaml"))


def test_relative_folder_is_recorded(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own(tmp_path / "mine", vocabulary__ours="datasets: [development]\nconditions: [cld]\nsites: [internal]\n")
    monkeypatch.chdir(tmp_path)
    words = ["split", f"cohort={box_cohort()}", "output=split", "conf=mine", "vocabulary=ours"]
    monkeypatch.setattr("sys.argv", ["liverspleen", *words])
    assert main(words) == 0
    record = json.loads((tmp_path / "split" / "run.json").read_text())
    assert "conf=mine" in record["command"]
    assert record["config"]["vocabulary"]["conditions"] == ["cld"]
