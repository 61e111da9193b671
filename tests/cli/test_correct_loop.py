"""The loop of the page on correction: predict, correct, import, confirm, train again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from correcting import (
    correct,
    write_seg_nrrd,
)
from predicting import TINY, exam, predict, rows

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import write_cohort
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure


def darker(seed: int) -> tuple[CTVolume, LabelMap]:
    """Return a CT with a darker liver and spleen than in the training of the model, and its true label map."""
    ct, truth = exam(6, seed)
    hu = ct.hu - np.select([truth.labels == Structure.LIVER, truth.labels == Structure.SPLEEN], [70, 110])
    return CTVolume(hu.astype(np.int16), ct.geometry), truth


@pytest.mark.slow
def test_the_command_sequence_of_the_page_gives_a_model_that_is_better_on_the_test_cases(
    model: Path, tmp_path: Path
) -> None:
    top, truth, given = tmp_path / "cohort", {}, []
    for seed in range(5):
        case, (ct, truth[f"c{seed}"]) = f"c{seed}", darker(30 + seed)
        write_ct(top / f"{case}.nii.gz", ct)
        write_label_map(top / "truth" / f"{case}.nii.gz", truth[case])
        dataset = "test1" if seed > 2 else "development"
        label = f"truth/{case}.nii.gz" if dataset == "test1" else None
        given.append(
            {"case_id": case, "patient_id": case, "image": f"{case}.nii.gz", "label": label, "dataset": dataset}
        )
    write_cohort(top / "cohort.csv", given)
    out, todo, run = tmp_path / "out", tmp_path / "todo", tmp_path / "run2"
    assert predict(model, top / "cohort.csv", out) == 0
    assert correct(f"input={out}", f"cases={out / 'review.csv'}", f"output={todo}") == 0
    for case in ("c0", "c1", "c2"):
        native = truth[case].to_native()
        lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ truth[case].geometry.affine
        write_seg_nrrd(todo, case, native, lps, [("Liver", 1), ("Spleen", 2)])
    assert correct(f"import={todo}", "reader=MB") == 0
    assert correct(f"import={todo}", "state=confirmed", "reader=RK") == 0
    assert {row["case_id"] for row in rows(todo / "cohort.csv")} == {"c0", "c1", "c2"}
    assert main(["split", f"cohort={todo / 'cohort.csv'}", f"output={tmp_path / 'split'}", "train_fraction=1"]) == 0
    words = [f"cohort={todo / 'cohort.csv'}", f"split={tmp_path / 'split' / 'split.csv'}", f"start={model}"]
    assert main(["train", *words, f"output={run}", *TINY]) == 0
    before = mean_dss(tmp_path, top, out)
    assert predict(run / "last.ckpt", top / "cohort.csv", tmp_path / "out2", "datasets=[test1]") == 0
    after = mean_dss(tmp_path, top, tmp_path / "out2")
    assert after > before + 0.03


def mean_dss(folder: Path, cohort: Path, labels: Path) -> float:
    """Mean DSS of the test cases c3 and c4 against the true label maps."""
    output = folder / f"measured_{labels.name}"
    assert (
        main(["measure", f"labels={labels}", f"cohort={cohort / 'cohort.csv'}", "datasets=[test1]", f"output={output}"])
        == 0
    )
    found = [float(row["dss"]) for row in rows(output / "measurements.csv") if row["dss"]]
    assert len(found) == 4
    return float(np.mean(found))
