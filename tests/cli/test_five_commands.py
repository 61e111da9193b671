"""From a folder of DICOM to the paper's tables, with the unchanged commands of the README."""

import csv
import shlex
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.phantom.cohort import write_phantom_cohort

README = Path(__file__).parents[2] / "README.md"
SMALL = ["experiment=phantom", "network.encoder=test_resnet", "network.pyramid_channels=8", "network.skip_channels=8"]
SMALL += ["trainer.batch_size=4", "trainer.steps=4", "trainer.validate_every=4"]


@pytest.mark.slow
def test_a_folder_of_dicom_becomes_tables_2_to_4_by_five_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {"development": 5, "test1": 5, "pairs": 2, "seed": 3, "matrix": 64, "thickness_mm": (8.0, 8.0)}
    write_phantom_cohort(tmp_path / "phantoms", **request, file_format="dicom")
    (tmp_path / "phantoms" / "covariates.csv").rename(tmp_path / "covariates.csv")
    for name in ("scans", "segmentations"):
        (tmp_path / name).symlink_to(tmp_path / "phantoms" / "dicom")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    section = README.read_text(encoding="utf-8").split("## Bring your data in")[1]
    block = section.split("\n\n")[2]
    commands = [shlex.split(line)[1:] for line in block.splitlines()]
    assert [words[0] for words in commands] == ["import", "train", "predict", "measure", "report"]
    for words in commands:
        assert main([*words, *(SMALL if words[0] == "train" else [])]) == 0, words
    with (tmp_path / "phantoms" / "truth.csv").open(newline="") as handle:
        assert len({row["case_id"] for row in csv.DictReader(handle)}) == 14
    with (tmp_path / "measure" / "measurements.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["reader"] == "dla"]
    assert len({row["case_id"] for row in rows}) == 9  # 5 of test1, 2 pairs of test2
    assert len({row["patient_id"] for row in rows}) == 7
    for name in ("table2", "table3", "table4", "reproducibility"):
        assert (tmp_path / "report" / "tables" / f"{name}.csv").is_file()
