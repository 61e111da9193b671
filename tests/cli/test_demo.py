import json
from pathlib import Path

import pytest

from liverspleen.cli.main import main


@pytest.mark.slow
def test_demo_runs_the_full_pipeline_and_a_second_run_reuses_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "demo, é=1"  # a path that Hydra's grammar would not take
    words = ["demo", f"output={out}", "development=4", "test1=2", "pairs=1", "matrix=64", "steps=2"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "liver   mean DSS" in printed
    assert str(out / "report.html") in printed
    rows = [line.split(",") for line in (out / "measurements.csv").read_text().splitlines()[1:]]
    assert len(rows) == 4 * 2 * 2  # test cases, organs, readers
    assert {row[6] for row in rows} == {"manual", "dla"}
    cells = json.loads((out / "report.json").read_text())["cells"]
    tables = {"table1", "table2", "table3", "table4", "reproducibility", "limits_percent", "surfaces"}
    assert tables <= {cell["table"] for cell in cells}
    figures = {path.stem for path in (out / "figures").glob("*.svg")}
    assert {"flow", "overlay", "bland_altman_liver", "bland_altman_spleen"} <= figures
    inputs = json.loads((out / "run.json").read_text())["inputs"]
    assert {"cohort", "split"} <= set(inputs)
    assert (out / "report.html").stat().st_size > 10_000
    assert {path.name for path in (out / "labels").glob("*.nii.gz")} == {f"{row[0]}_dseg.nii.gz" for row in rows}
    before = {
        path: path.stat().st_mtime_ns for folder in ("phantoms/images", "labels") for path in (out / folder).iterdir()
    }
    assert main(words) == 0
    again = capsys.readouterr().out
    assert "nothing to do" in again
    assert "4 of them made earlier" in again
    assert {path: path.stat().st_mtime_ns for path in before if path.name != "run.json"} == {
        path: time for path, time in before.items() if path.name != "run.json"
    }
