"""The commands of docs/other_systems.md make tables from the masks of other systems."""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from liverspleen.cli.main import main
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.imaging import read_label_map
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.organs import Structure

PAGE = Path(__file__).parents[2] / "docs" / "other_systems.md"
CASES = ("case_001", "case_002", "case_003", "case_004")
NNUNET = {Structure.SPLEEN: 1, Structure.LIVER: 2}
TOTALSEGMENTATOR = {Structure.SPLEEN: 1, Structure.LIVER: 5}


def write_values(file: Path, label_map: LabelMap, labels: np.ndarray, values: dict[Structure, int]) -> None:
    """A label map in the values of another system."""
    foreign = np.zeros_like(labels)
    for structure, value in values.items():
        foreign[labels == structure] = value
    write_label_map(file, LabelMap(foreign, label_map.geometry))


@pytest.fixture
def folder(box_cohort: Callable[..., Path], tmp_path: Path) -> Path:
    """The files of the page: nnU-Net misses the lowest slice of each organ, TotalSegmentator has the whole organ."""
    made = box_cohort((5, 6, 4, 5)).parent
    rows = [["case_id", "patient_id", "image", "dataset", "condition"]]
    for number, case in enumerate(CASES):
        image = tmp_path / "imagesTs" / f"{case}_0000.nii.gz"
        image.parent.mkdir(exist_ok=True)
        image.write_bytes((made / f"c{number}.nii.gz").read_bytes())
        reference = read_label_map(made / f"c{number}_label.nii.gz")
        short = reference.labels.copy()
        short[1] = 0
        write_values(tmp_path / "labelsTs" / f"{case}.nii.gz", reference, reference.labels, NNUNET)
        write_values(tmp_path / "nnunet_out" / f"{case}.nii.gz", reference, short, NNUNET)
        write_values(tmp_path / "ts_ml" / f"{case}.nii.gz", reference, reference.labels, TOTALSEGMENTATOR)
        for organ in (Structure.LIVER, Structure.SPLEEN):
            write_values(tmp_path / "ts_out" / case / f"{organ.key}.nii.gz", reference, reference.labels, {organ: 1})
        rows.append([case, f"p{number}", f"imagesTs/{case}_0000.nii.gz", "test1", ("cld", "fatty")[number % 2]])
    labels = {"background": 0, **{organ.key: value for organ, value in NNUNET.items()}}
    described = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    (tmp_path / "nnunet_out" / "dataset.json").write_text(json.dumps(described))
    (tmp_path / "nnunet_out" / "plans.json").write_text("{}")
    with (tmp_path / "cohort.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return tmp_path


def test_the_commands_of_the_page_give_the_expected_scores(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    lines = [line.strip() for line in PAGE.read_text(encoding="utf-8").splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("liverspleen ")]
    assert [command[0] for command in commands] == ["measure", "measure", "measure", "measure", "report", "compare"]
    for command in commands:
        assert main(command) == 0, command
    assert (folder / "report/tables/table2.csv").is_file()
    content = json.loads((folder / "compare/compare.json").read_text(encoding="utf-8"))
    assert content["readers"] == ["nnunet", "totalsegmentator", "totalsegmentator_ml"]
    assert content["compared"]["liver DSS"] == {"n": 4, "cases": list(CASES)}
    cells = {(c["table"], c["row"], c["column"]): c["values"] for c in content["cells"]}
    # the liver is in all but the lowest of 5, 6, 4, 5 slices; nnU-Net misses one of k: DSS 2 (k - 1) / (2 k - 1)
    expected = np.mean([2 * (k - 1) / (2 * k - 1) for k in (4, 5, 3, 4)])
    assert cells["scores", "liver:total", "nnunet"]["mean"] == pytest.approx(expected)
    for reader in ("totalsegmentator", "totalsegmentator_ml"):
        assert cells["scores", "liver:total", reader]["mean"] == 1
        assert cells["scores", "spleen:total", reader]["mean"] == 1
        assert cells["errors", "ratio", reader]["maximum"] == 0
    assert cells["scores", "liver:fatty", "nnunet"]["mean"] == pytest.approx((8 / 9 + 6 / 7) / 2)


def test_the_lines_for_the_probabilities_of_nnunet_write_maps_that_measure_reads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    section = PAGE.read_text(encoding="utf-8").split("## Probabilities of nnU-Net")[1]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    label = nibabel.load("nnunet_out/case_001.nii.gz")
    values = np.asarray(label.dataobj).transpose(2, 1, 0)
    np.savez("nnunet_out/case_001.npz", probabilities=np.stack([(values == value) for value in range(3)]).astype("f4"))
    Path("nnunet_prob").mkdir()
    exec("\n".join(lines), {})
    found = measure_folder("nnunet_out", probabilities="nnunet_prob", surface=None)
    volumes = {row.structure: (row.volume_soft_cm3, row.volume_cm3) for row in found.rows if row.case_id == "case_001"}
    assert {soft for soft, _ in volumes.values()} == {volume for _, volume in volumes.values()}
    assert len(volumes) == 2
