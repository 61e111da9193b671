"""The commands of the cross-validation of the page on training, to tables with numbers."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.phantom.cohort import write_phantom_cohort

ROOT = Path(__file__).parents[2]
FOLDS = 3
SMALL = ["experiment=phantom", "network.encoder=test_resnet", "network.pyramid_channels=8", "network.skip_channels=8"]
SMALL += ["trainer.batch_size=4", "trainer.steps=20", "trainer.validate_every=20"]


def commands() -> Iterator[list[str]]:
    """The lines of the page, with those of its loop once for each fold."""
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8").split("## Cross-validation\n")[1]
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    start, end = next(place for place, line in enumerate(lines) if line.startswith("for ")), lines.index("done")
    assert lines[start] == "for k in 0 1 2 3 4; do"
    loop = [line.replace("$k", str(fold)) for fold in range(FOLDS) for line in lines[start + 1 : end]]
    for line in [*lines[:start], *loop, *lines[end + 1 :]]:
        program, *command = shlex.split(line.replace("folds=5", f"folds={FOLDS}"))
        assert program == "liverspleen"
        yield [*command, *SMALL] if command[0] == "train" else command


@pytest.mark.slow
def test_the_recipe_ends_in_tables_by_fold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = {"development": 6, "test1": 0, "pairs": 0, "seed": 3, "matrix": 64, "thickness_mm": (8.0, 8.0)}
    write_phantom_cohort(tmp_path / "phantoms", **request)
    monkeypatch.chdir(tmp_path / "phantoms")
    for command in commands():
        assert main(command) == 0, command
    report = json.loads(Path("report/report.json").read_text(encoding="utf-8"))
    found = {(c["table"], c["row"], c["column"]): c for c in report["cells"]}
    columns = [f"fold{number}" for number in range(FOLDS)]
    for organ in ("liver", "spleen"):
        numbers = [found["cross_validation", f"dss_{organ}", column]["n"] for column in (*columns, "total")]
        assert numbers == [2, 2, 2, 6]
        cases = [set(found["cross_validation", f"dss_{organ}", column]["rows"]) for column in columns]
        assert len(set().union(*cases)) == 6
        assert found["cross_validation_means", "dss:total", organ]["values"]["n_patients"] == 6
    assert found["cross_validation_failures", "low_dss:total", "liver"]["n"] == 6
    assert "table2" not in {table for table, _, _ in found}
    assert "figures/bland_altman_liver_cross_validation.svg" in report["files"]
    page = Path("report/report.html").read_text(encoding="utf-8")
    assert "Development dataset, 3-fold cross-validation: dla against manual" in page
    (development,) = report["flow"]["branches"]
    assert development["parts"] == [{"label": "3-fold cross-validation", "count": 6, "unit": "patients"}]
