"""The `train` command on box cohorts of a few slices."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import assert_equal_weights, assert_same_result, train, weights

from liverspleen.cli.main import main


def test_training_writes_checkpoints_metrics_validation_and_run_record(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    assert train(box_cohort(), tmp_path / "run") == 0
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert {"best.ckpt", "last.ckpt", "metrics.csv", "validation.csv"} <= run["outputs"].keys()
    assert run["status"] == "done"
    assert len(run["inputs"]["cohort"]) == 64
    about = torch.load(tmp_path / "run" / "best.ckpt", weights_only=True)["liverspleen"]
    assert about["structures"] == {"background": 0, "liver": 1, "spleen": 2}
    assert about["window"] == {"lower_hu": -150.0, "upper_hu": 250.0, "clip": True}
    assert about["split"] == run["inputs"]["split"]
    header, *rows = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    assert header == "case_id,structure,dss,volume_cm3,reference_cm3"
    assert 0 < run["measured"]["validation_seconds_per_slice"] < 60
    assert len(rows) == 2  # one validation case of four, two organs


def test_same_seed_gives_the_same_weights_with_0_and_2_loader_processes(
    box_cohort: Callable[..., Path], tmp_path: Path
) -> None:
    cohort = box_cohort()
    assert train(cohort, tmp_path / "none") == 0
    assert train(cohort, tmp_path / "two", "trainer.workers=2") == 0
    assert_equal_weights(weights(tmp_path / "none"), weights(tmp_path / "two"))


def test_another_seed_gives_other_weights(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort = box_cohort()
    assert train(cohort, tmp_path / "a", steps=1) == 0
    assert train(cohort, tmp_path / "b", "seed=1", steps=1) == 0
    first, second = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert not torch.equal(first["network.head.weight"], second["network.head.weight"])


def test_interrupted_training_resumes_to_the_uninterrupted_result(
    box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = box_cohort()
    assert train(cohort, tmp_path / "whole", steps=6) == 0

    from liverspleen.training.module import SegmentationModule

    step = SegmentationModule.training_step

    def stop_at_four(self: SegmentationModule, batch: object, index: int) -> torch.Tensor:
        if self.trainer.global_step == 4:
            raise KeyboardInterrupt
        return step(self, batch, index)  # type: ignore[arg-type]

    monkeypatch.setattr(SegmentationModule, "training_step", stop_at_four)
    assert train(cohort, tmp_path / "cut", steps=6) == 1
    monkeypatch.undo()
    assert train(cohort, tmp_path / "cut", steps=6) == 0
    assert_equal_weights(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_finished_training_is_not_repeated(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = box_cohort()
    assert train(cohort, tmp_path / "run", steps=1) == 0
    before = (tmp_path / "run" / "last.ckpt").stat().st_mtime_ns
    assert train(cohort, tmp_path / "run", steps=1) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert (tmp_path / "run" / "last.ckpt").stat().st_mtime_ns == before


def test_output_folder_of_another_training_is_rejected(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = box_cohort()
    assert train(cohort, tmp_path / "run", steps=1) == 0
    assert train(cohort, tmp_path / "run", "optimizer.lr=0.1", steps=1) == 2
    assert "LS-TRN-004" in capsys.readouterr().err


def test_empty_validation_side_keeps_the_last_checkpoint(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    assert train(box_cohort(), tmp_path / "run", "train_fraction=1.0", steps=3) == 0
    assert (tmp_path / "run" / "last.ckpt").exists()
    assert not (tmp_path / "run" / "best.ckpt").exists()


def test_damaged_case_is_one_issue_and_the_others_are_trained(
    box_cohort: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = box_cohort()
    image = cohort.parent / "c1.nii.gz"
    image.write_bytes(image.read_bytes()[:-100])
    assert train(cohort, tmp_path / "run", steps=1) == 2
    issues = [line for line in capsys.readouterr().err.splitlines() if line.startswith("LS-")]
    assert len(issues) == 1
    assert "'c1'" in issues[0]
    assert (tmp_path / "run" / "last.ckpt").exists()


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return [*csv.DictReader(handle)]


def test_validation_dss_and_volumes_are_those_of_the_report(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    """One DSS: what validation logs equals what predict and measure find for the same case and weights."""
    manifest = box_cohort()
    assert train(manifest, tmp_path / "run", "trainer.batch_size=8", steps=100, every=100) == 0
    case_id = rows(tmp_path / "run/validation.csv")[0]["case_id"]
    model, labels = tmp_path / "run" / "last.ckpt", tmp_path / "labels"
    assert main(["predict", f"model={model}", f"input={manifest}", f"output={labels}", "batch_size=3"]) == 0
    assert main(["measure", f"labels={labels}", f"cohort={manifest}", f"output={tmp_path}"]) == 0
    validated = {row["structure"]: (row["dss"], row["volume_cm3"]) for row in rows(tmp_path / "run/validation.csv")}
    measured = {
        row["structure"]: (row["dss"], row["volume_cm3"])
        for row in rows(tmp_path / "measurements.csv")
        if row["case_id"] == case_id and row["reader"] == "dla"
    }
    assert {organ: validated[organ] for organ in ("liver", "spleen")} == measured
    assert all(0 < float(dss) < 1 for dss, _ in measured.values())


def test_filled_cache_gives_the_result_of_an_empty_one(box_cohort: Callable[..., Path], tmp_path: Path) -> None:
    cohort, cache = box_cohort(), f"cache={tmp_path / 'cache'}"
    assert train(cohort, tmp_path / "empty", cache) == 0
    assert train(cohort, tmp_path / "filled", cache) == 0
    assert_same_result(tmp_path / "empty", tmp_path / "filled")
