"""From a folder of DICOM to the paper's tables, by the commands of the README and of the tutorial."""

import csv
import shlex
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.phantom.cohort import write_phantom_cohort

ROOT = Path(__file__).parents[2]
PAGES = [("README.md", "From scans to tables"), ("docs/getting_started.md", "From DICOM to tables")]
SMALL = ["experiment=phantom", "network.encoder=test_resnet", "network.pyramid_channels=8", "network.skip_channels=8"]
SMALL += ["trainer.batch_size=4", "trainer.steps=4", "trainer.validate_every=4"]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "chapter"), PAGES)
def test_a_folder_of_dicom_becomes_tables_2_to_4_by_five_commands(
    page: str, chapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = {"development": 5, "test1": 5, "pairs": 2, "seed": 3, "matrix": 64, "thickness_mm": (8.0, 8.0)}
    write_phantom_cohort(tmp_path / "phantoms", **request, file_format="dicom")
    (tmp_path / "covariates.csv").symlink_to(tmp_path / "phantoms" / "covariates.csv")
    for name in ("scans", "segmentations"):
        (tmp_path / name).symlink_to(tmp_path / "phantoms" / "dicom")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    text = (ROOT / page).read_text(encoding="utf-8").split(f"\n## {chapter}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("    liverspleen ")]
    commands = [shlex.split(line)[1:] for line in lines][:5]
    assert [command[0] for command in commands] == ["import", "train", "predict", "measure", "report"]
    for command in commands:
        small = [override for override in SMALL if override not in command] if command[0] == "train" else []
        assert main([*command, *small]) == 0, command
    with (tmp_path / "phantoms" / "truth.csv").open(newline="") as handle:
        assert len({row["case_id"] for row in csv.DictReader(handle)}) == 14
    with (tmp_path / "measure" / "measurements.csv").open(newline="") as handle:
        rows = [row for row in csv.DictReader(handle) if row["reader"] == "dla"]
    assert len({row["case_id"] for row in rows}) == 9  # 5 of test1, 2 pairs of test2
    assert len({row["patient_id"] for row in rows}) == 7
    for name in ("table2", "table3", "table4", "reproducibility"):
        assert (tmp_path / "report" / "tables" / f"{name}.csv").is_file()
