"""Start of a training from a trained model: weights, frozen encoder, records, rejected models, resuming."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from test_recipe import stop_at
from tiny import assert_same_result, split_file, train, weights

from liverspleen.api.starting import reject_long_history
from liverspleen.cli.main import main
from liverspleen.data.cache import CachedCase
from liverspleen.data.trained_on import reject_known, salt_of, salted, trained_on
from liverspleen.errors import InputError
from liverspleen.inference.untrusted.model_file import checked_model
from liverspleen.networks.build import build_network
from liverspleen.networks.checkpoint import PACKAGE_KEY
from liverspleen.training.module import SegmentationModule
from liverspleen.training.start import reject_other_organs, start_issues, start_weights

sys.path.append(str(Path(__file__).parents[1] / "inference"))
import packages

Cohorts = Callable[..., Path]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def parent(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> Iterator[tuple[Path, Path, Path]]:
    """A cohort, a split with c0 and c1 for training, and a model trained on it."""
    cohort = box_cohort(origin=["phantom"] * 4)
    split = split_file(cohort, tmp_path / "split.csv", ("p0", "p1"), ("p2", "p3"))
    assert train(cohort, tmp_path / "parent", f"split={split}", steps=2) == 0
    capsys.readouterr()
    return cohort, split, tmp_path / "parent/last.ckpt"


def printed(capsys: Captured) -> list[str]:
    return [line for line in "".join(capsys.readouterr()).splitlines() if "LS-" in line or "start=" in line]


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def description(run: Path) -> dict[str, Any]:
    return torch.load(run / "last.ckpt", weights_only=True)[PACKAGE_KEY]


def initial_weights(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """Return a map that holds the weights with which the next training begins."""
    found: dict[str, torch.Tensor] = {}

    def keep(self: SegmentationModule) -> None:
        found.update({name: value.clone() for name, value in self.state_dict().items()})

    monkeypatch.setattr(SegmentationModule, "on_fit_start", keep)
    return found


def test_all_weights_are_loaded_reported_and_recorded(
    parent: tuple[Path, Path, Path], tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, split, start = parent
    given, initial, run = weights(start.parent), initial_weights(monkeypatch), tmp_path / "run"
    assert train(cohort, run, f"split={split}", f"start={start}", steps=2) == 0
    assert printed(capsys) == [f"train: start={start}: all {len(given)} tensors loaded"]
    assert all(torch.equal(value, given[name]) for name, value in initial.items())
    sha256, entry = checked_model(start).sha256, record(run)["start"]
    assert entry["weights"] == {"loaded": len(given), "adapted": 0, "new": 0, "unused": 0}
    assert entry["model"] == record(run)["inputs"]["start"] == sha256
    (before,) = description(run)["ancestors"]
    assert (before["sha256"], before["origins"], before["weights"]) == (sha256, {"phantom": 2}, entry["weights"])
    assert before["trained_on"] == description(start.parent)["trained_on"]
    assert before["taught_organs"] == ["liver", "spleen"]


def test_another_number_of_slices_and_another_decoder_keep_the_other_weights(
    parent: tuple[Path, Path, Path], tmp_path: Path, capsys: Captured
) -> None:
    cohort, split, start = parent
    changes = ("slices.count=5", "network.pyramid_channels=16")
    assert train(cohort, tmp_path / "run", f"split={split}", f"start={start}", *changes, steps=2) == 0
    entry = record(tmp_path / "run")["start"]
    assert (entry["adapted"], entry["unused"]) == (["encoder.body.conv1.0.weight"], [])
    assert all(name.startswith(("pyramid.", "decoder.", "head.")) for name in entry["new"])
    assert entry["weights"]["loaded"] > entry["weights"]["new"] > 0
    (line,) = printed(capsys)
    assert f"1 adapted (first {entry['adapted'][0]}), {len(entry['new'])} new (first pyramid." in line


@pytest.mark.parametrize("name", ["deeplab", "unet_2d"])
def test_more_input_slices_do_not_change_the_result(name: str) -> None:
    choice = {"name": "unet_2d", "output_stride": 8, "width": 4}
    if name == "deeplab":
        choice = {"encoder": "test_resnet", "pyramid_channels": 8, "skip_channels": 8, "rates": [1]}
    torch.manual_seed(0)
    before, now = (build_network(choice, slices=slices).eval() for slices in (3, 7))
    found = start_weights(now, before.state_dict(), slices=(3, 7))
    now.load_state_dict(found.weights)
    slices = torch.randn(1, 7, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(now(slices), before(slices[:, 2:5]))
    assert found.adapted
    assert not found.new


def frozen(weights: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> tuple[bool, bool]:
    """Return whether the encoder and the rest have equal weights and statistics."""
    equal = {name: torch.equal(value, others[name]) for name, value in weights.items()}
    inside = {name for name in equal if name.startswith("network.encoder.")}
    return all(equal[name] for name in inside), all(equal[name] for name in equal.keys() - inside)


def test_a_frozen_encoder_keeps_weights_and_statistics_and_resumes_without_the_start_model(
    parent: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    cohort, split, start = parent
    given = weights(start.parent)
    recipe = (f"split={split}", f"start={start}", "freeze=encoder", "freeze_steps=2", "scheduler=constant")
    assert train(cohort, tmp_path / "whole", *recipe, "trainer.accumulate=2", steps=4, every=4) == 0
    with monkeypatch.context() as patch:
        stop_at(patch, 1)
        assert train(cohort, tmp_path / "cut", *recipe, "trainer.accumulate=2", steps=4, every=1) == 1
    assert frozen(weights(tmp_path / "cut"), given) == (True, False)
    assert frozen(weights(tmp_path / "whole"), given) == (False, False)
    start.unlink()
    capsys.readouterr()
    assert train(cohort, tmp_path / "cut", *recipe, "trainer.accumulate=2", steps=4, every=4) == 0
    assert printed(capsys) == [f"train: start={start} is not read again: the checkpoint has its weights"]
    assert_equal = weights(tmp_path / "cut"), weights(tmp_path / "whole")
    assert frozen(*assert_equal) == (True, True)
    assert description(tmp_path / "cut") == description(tmp_path / "whole")


@pytest.mark.slow
def test_a_fine_tuning_with_an_average_resumes_exactly(
    parent: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, split, start = parent
    recipe = (f"split={split}", f"start={start}", "freeze=encoder", "freeze_steps=3", "trainer.ema_decay=0.9")
    assert train(cohort, tmp_path / "whole", *recipe, steps=6, every=2) == 0
    for step in (3, 5):
        with monkeypatch.context() as patch:
            stop_at(patch, step)
            assert train(cohort, tmp_path / "cut", *recipe, steps=6, every=2) == 1
    assert train(cohort, tmp_path / "cut", *recipe, steps=6, every=2) == 0
    assert_same_result(tmp_path / "whole", tmp_path / "cut")


def test_resuming_with_another_start_model_is_rejected(
    parent: tuple[Path, Path, Path], tmp_path: Path, capsys: Captured
) -> None:
    cohort, split, start = parent
    assert train(cohort, start.parent, f"split={split}", f"start={start}", steps=4) == 2
    (line,) = printed(capsys)
    sha256 = checked_model(start).sha256
    assert f"LS-TRN-004 file '{start}': the output folder holds another training: start was null" in line
    assert f"now sha256 {sha256}" in line


def case(case_id: str) -> CachedCase:
    return CachedCase(case_id, case_id, Path(), (1, 8, 8), f"voxels of {case_id}")


def test_a_validation_or_test_case_of_any_earlier_training_is_found_without_names() -> None:
    records = [
        {"sha256": str(number) * 64, "trained_on": trained_on([case(one), case("x")], salt=salt_of(one))}
        for number, one in enumerate(["a", "b"])
    ]
    unknown = {"sha256": "9" * 64, "trained_on": None}
    reject_known([case("c")], {"d": "voxels of d"}, [*records, unknown])
    with pytest.raises(InputError) as rejected:
        reject_known([case("b"), case("c")], {"a2": "voxels of a"}, [unknown, *records])
    assert [str(issue) for issue in rejected.value.issues] == [
        "LS-TRN-031 case 'b': the validation case was a training case of model 111111111111, from which start= comes; "
        "put the case on the training side, or use another start=",
        "LS-TRN-031 case 'a2': the test case was a training case of model 000000000000, from which start= comes; "
        "remove the case from the cohort, or use another start=",
    ]
    assert records[0]["trained_on"]["cases"] == sorted(salted(f"voxels of {one}", salt_of("a")) for one in "ax")
    assert not {*records[0]["trained_on"]["cases"]} & {*records[1]["trained_on"]["cases"]}  # each model has its salt


def test_a_leak_is_found_through_a_model_package_whatever_the_case_is_called(
    parent: tuple[Path, Path, Path], tmp_path: Path, capsys: Captured
) -> None:
    cohort, _, start = parent
    package = tmp_path / "parent.zip"
    assert main(["export", f"model={start}", f"output={package}", "license=CC-BY-4.0"]) == 0
    other = cohort.with_name("other.csv")
    other.write_text(cohort.read_text(encoding="utf-8").replace("c1,p1", "new,other"), encoding="utf-8")
    split = split_file(other, tmp_path / "other.csv", ("p0", "p2"), ("other", "p3"))
    capsys.readouterr()
    assert train(other, tmp_path / "run", f"split={split}", f"start={package}", steps=2) == 2
    (line,) = printed(capsys)
    assert line.startswith("LS-TRN-031 case 'new': the validation case was a training case of model ")
    assert not (tmp_path / "run/last.ckpt").exists()
    split = split_file(other, tmp_path / "other.csv", ("p0", "p2", "other"), ("p3",))  # as the hint says
    assert train(other, tmp_path / "run", f"split={split}", f"start={package}", steps=2) == 0

    child = tmp_path / "child"
    assert main(["export", f"model={tmp_path / 'run/last.ckpt'}", f"output={child}"]) == 0
    content = json.loads((child / "model.json").read_text(encoding="utf-8"))
    (before,) = content["model"]["ancestors"]
    assert (before["license"], before["name"], before["sha256"]) == (
        "CC-BY-4.0",
        checked_model(package).package["name"],
        checked_model(package).sha256,
    )
    assert str(tmp_path) not in (child / "model.json").read_text(encoding="utf-8")
    card = (child / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "### Start model 1" in card
    assert f"| SHA-256 | {before['sha256']} |\n| license | CC-BY-4.0 |" in card
    assert f"Start model with SHA-256 {before['sha256']}: license CC-BY-4.0." in (child / "LICENSE").read_text()


SMALL_UNET = [
    "network=unet_2d",
    "network.width=4",
    "network.output_stride=8",
]


def rejection(capsys: Captured, cohort: Path, output: Path, *words: str) -> str:
    """Return the only line of a rejected training."""
    assert main(["train", f"cohort={cohort}", f"output={output}", *words, "trainer.steps=2"]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    return line


def hinted(line: str) -> list[str]:
    """Return the options that the hint of a line gives."""
    return line.rpartition("; use ")[2].split()


def test_another_network_window_or_width_is_one_line_whose_hint_can_be_followed(
    box_cohort: Cohorts, tmp_path: Path, capsys: Captured
) -> None:
    cohort, start = box_cohort(), packages.save(tmp_path / "start.ckpt")
    words = ["experiment=phantom", f"start={start}", "trainer.batch_size=2"]
    line = rejection(capsys, cohort, tmp_path / "run", *words)
    assert line.startswith(
        f"LS-TRN-032 file '{start}': start= is a model with network unet_2d, but this training has deeplab "
        "test_resnet; use network.name=unet_2d "
    )
    words += hinted(line)
    line = rejection(capsys, cohort, tmp_path / "run", *words, "slices=paper")
    assert line == (
        f"LS-TRN-033 file '{start}': start= was trained with the window -150 to 250 HU, clipped, but this training has "
        "-1000 to 400 HU, not clipped; use slices.window_lower_hu=-150 slices.window_upper_hu=250 slices.clip=true"
    )
    words += ["slices=paper", *hinted(line)]
    line = rejection(capsys, cohort, tmp_path / "run", *words, "network.width=8")
    assert line.startswith(f"LS-TRN-032 file '{start}': weights of start= fit only 0 of ")
    assert (
        main(["train", f"cohort={cohort}", f"output={tmp_path / 'run'}", *words, *hinted(line), "trainer.steps=2"]) == 0
    )
    assert "warning: LS-TRN-036" in capsys.readouterr().err  # that model does not record its cases


def test_foreign_and_missing_files_are_one_line(box_cohort: Cohorts, tmp_path: Path, capsys: Captured) -> None:
    cohort, words = box_cohort(), ["experiment=phantom", *SMALL_UNET]
    foreign = tmp_path / "model_best.pth"
    torch.save({"state_dict": {"a": torch.zeros(3)}}, foreign)
    assert rejection(capsys, cohort, tmp_path / "run", *words, f"start={foreign}").startswith("LS-MOD-003 ")
    missing = rejection(capsys, cohort, tmp_path / "run", *words, f"start={tmp_path / 'none.ckpt'}")
    assert missing.startswith("LS-MOD-001 ")


def test_a_model_of_other_organs_is_rejected_and_one_common_organ_is_enough(tmp_path: Path) -> None:
    reject_other_organs(["liver"], ["liver", "spleen"], tmp_path)
    reject_other_organs(["liver", "spleen"], ["spleen"], tmp_path)
    with pytest.raises(InputError) as rejected:
        reject_other_organs(["liver"], ["spleen"], tmp_path)
    assert str(rejected.value) == (
        f"LS-TRN-034 file '{tmp_path}': start= was taught spleen only, but the training cases label liver; "
        "use another start=, or add training cases with labels of the spleen"
    )


def test_another_resolution_is_a_warning(box_cohort: Cohorts, tmp_path: Path) -> None:
    own = packages.description() | {"trained_on": {"salt": "0", "cases": []}}
    assert [*start_issues(own, own, tmp_path)] == []
    (issue,) = start_issues(own, own | {"pixel_mm": 3.0, "slice_distance_mm": 5.0}, tmp_path)
    assert (issue.code, issue.severity) == ("LS-TRN-035", "warning")
    assert "use slices.distance_mm=5 slices.pixel_mm=3" in str(issue.hint)


@pytest.mark.parametrize(
    "changed",
    [
        {"trained_on": {"salt": "zz", "cases": []}},
        {"trained_on": {"salt": "0", "cases": ["c0"]}},
        {"trained_on": ["c0"]},
        {"ancestors": {}},
        {"ancestors": [{"sha256": "1" * 64, "taught_organs": ["kidney"]}]},
        {"ancestors": [{"sha256": "../x", "taught_organs": ["liver"]}]},
        {"ancestors": [{"sha256": "1" * 64, "taught_organs": ["liver"], "weights": {"loaded": "all"}}]},
    ],
)
def test_invalid_records_of_earlier_models_are_rejected(changed: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-MOD-008"):
        checked_model(packages.save(tmp_path / "model.ckpt", **changed))


def test_a_model_is_of_phantoms_only_if_the_models_before_it_are() -> None:
    from liverspleen.inference.description import is_of_phantoms_only

    phantoms, patients = {"origins": {"phantom": 4}}, {"origins": {"": 3}}
    assert is_of_phantoms_only({**phantoms, "ancestors": [phantoms]})
    assert not is_of_phantoms_only({**phantoms, "ancestors": [patients]})
    assert not is_of_phantoms_only({**patients, "ancestors": [phantoms]})


def test_a_package_of_many_training_cases_can_be_read(tmp_path: Path) -> None:
    many = {"salt": "0" * 32, "cases": [f"{number:016x}" for number in range(5000)]}
    start = packages.save(tmp_path / "model.ckpt", trained_on=many)
    packages.package(tmp_path / "model.zip", start)
    assert checked_model(tmp_path / "model.zip").description["trained_on"] == many


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["freeze=encoder"], "LS-CFG-016: freeze=encoder without start= would keep random weights"),
        (["freeze_steps=3"], "LS-CFG-016: freeze_steps=3 without freeze=; add freeze=encoder"),
        (["start=a.ckpt", "network.weights=hub"], "LS-CFG-016: start= and network.weights= both give"),
        (["start=a.ckpt", "freeze=decoder"], "LS-CFG-006: freeze=decoder is not one of the choices; use encoder"),
        (["experiment=finetune"], "LS-CFG-016: freeze=encoder without start= would keep random weights"),
    ],
)
def test_contradictory_options_are_one_line(words: list[str], line: str, capsys: Captured) -> None:
    assert main(["train", "cohort=c.csv", "output=o", *words]) == 2
    (found,) = [one for one in capsys.readouterr().err.splitlines() if "LS-" in one]
    assert found.startswith(line)


@pytest.mark.parametrize("name", ["unet_2d", "unet_3d"])
def test_the_encoder_of_a_unet_is_its_way_down(name: str) -> None:
    network = build_network({"name": name, "output_stride": 8, "width": 4}, slices=3)
    inside = {id(parameter) for parameter in network.encoder.parameters()}
    ups = ["model.2.", "model.1.submodule.2.", "model.1.submodule.1.submodule.2."]  # the levels of MONAI's U-Net
    outside = [one for one, parameter in network.named_parameters() if id(parameter) not in inside]
    assert outside == [one for one, _ in network.named_parameters() if one.removeprefix("body.").startswith(tuple(ups))]
    assert 0 < len(outside) < len(inside)


@pytest.mark.parametrize(("cases", "models", "rejected"), [(20_000, 1, False), (20_001, 1, True), (1, 101, True)])
def test_a_history_that_no_reader_of_models_accepts_is_rejected(cases: int, models: int, rejected: bool) -> None:
    record = {"trained_on": {"salt": "1", "cases": ["0" * 16] * cases}}
    with pytest.raises(InputError, match="LS-TRN-054") if rejected else nullcontext():
        reject_long_history([record] * models, Path("start.zip"))
