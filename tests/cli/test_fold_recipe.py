"""Cross-validation in one command: the command of the page on training, kills, a sweep over folds, rejected input."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.config import compose
from liverspleen.errors import InputError
from liverspleen.phantom.cohort import write_phantom_cohort

ROOT = Path(__file__).parents[2]
FOLDS = 2
SMALL = ["experiment=phantom", "network.encoder=test_resnet", "network.pyramid_channels=8", "network.skip_channels=8"]
SMALL += ["trainer.batch_size=4", "trainer.steps=8", "trainer.validate_every=4", "trainer.workers=0"]
WITH_TIMES = {"run.json", "log.txt", "metrics.csv", "curves.png", "phantom.json"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    request = {"development": 6, "test1": 1, "pairs": 0, "seed": 3, "matrix": 64, "thickness_mm": (8.0, 8.0)}
    write_phantom_cohort(folder, **request)
    return folder / "cohort.csv"


def command(cohort: Path) -> list[str]:
    """The command of the page, with few folds and a small network."""
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8").split("## Cross-validation\n")[1]
    line = next(line.strip() for line in text.splitlines() if "folds=5" in line)
    program, *words = shlex.split(line.replace("folds=5", f"folds={FOLDS}").replace("cohort.csv", str(cohort)))
    assert program == "liverspleen"
    return [*words, *SMALL]


def files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in WITH_TIMES)
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if not path.name.startswith(".")}


def test_keys_without_effect_are_rejected() -> None:
    given = ["cohort=c.csv", "output=run"]
    for words, expected in (
        (["workers=2"], "without folds="),
        (["folds=3", "trainer.nodes=2"], "one machine"),
        (["folds=1"], "folds=1"),
        (["folds=3", "trainer.minutes=5"], "equal lengths"),
        (["folds=3", "workers=2", "trainer.devices=2"], "one device each"),
    ):
        with pytest.raises(InputError, match=expected):
            compose("train", [*given, *words])
    assert main(["train", *given, "folds=3", "train_fraction=0.7"]) == 2
    with pytest.raises(InputError, match="bench"):
        compose("bench", ["folds=3"])


def test_overrides_of_python_values_compose_to_the_same_configuration() -> None:
    from liverspleen.api.folds import overrides

    values = {"cohort": Path("c.csv"), "output": "run", "trainer": {"steps": 7}, "network": "small", "start": None}
    values |= {"loss": {"class_weights": {"liver": 2.0}}}
    assert compose("train", [*overrides(values)]) == compose("train", values=values)


@pytest.fixture(scope="module")
def finished(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted cross-validation; it is called cv by the page."""
    folder = tmp_path_factory.mktemp("finished")
    subprocess.run(program(cohort), check=True, capture_output=True, cwd=folder)
    return folder / "cv"


def program(cohort: Path) -> list[str]:
    return [sys.executable, "-m", "liverspleen", *command(cohort), "slices.pixel_mm=auto"]


@pytest.mark.slow
def test_a_cross_validation_killed_twice_ends_with_the_bytes_of_an_uninterrupted_one(
    cohort: Path, finished: Path, tmp_path: Path
) -> None:
    words, output = [*program(cohort), "output=killed"], tmp_path / "killed"
    for fold in ("fold0", "fold1"):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path)
        while not (output / fold / "metrics.csv").exists() and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    subprocess.run(words, check=True, capture_output=True, cwd=tmp_path)
    killed, whole = files(output), files(finished)
    assert [name for name in whole if killed.get(name) != whole[name]] == []
    assert {*killed} == {*whole}
    assert {"fold1/last.ckpt", "ensemble/ensemble.json", "measure/measurements.csv"} <= {*whole}


@pytest.mark.slow
def test_the_command_of_the_page_ends_in_tables_by_fold_and_an_ensemble(
    cohort: Path, finished: Path, tmp_path: Path
) -> None:
    report = json.loads((finished / "report/report.json").read_text(encoding="utf-8"))
    found = {(c["table"], c["row"], c["column"]): c for c in report["cells"]}
    columns = [f"fold{number}" for number in range(FOLDS)]
    for organ in ("liver", "spleen"):
        numbers = [found["cross_validation", f"dss_{organ}", column]["n"] for column in (*columns, "total")]
        assert numbers == [3, 3, 6]
        cases = [set(found["cross_validation", f"dss_{organ}", column]["rows"]) for column in columns]
        assert len(set().union(*cases)) == 6
        assert found["cross_validation_means", "dss:total", organ]["values"]["n_patients"] == 6
    assert "figures/bland_altman_liver_cross_validation.svg" in report["files"]
    page = (finished / "report/report.html").read_text(encoding="utf-8")
    assert "Development dataset, 2-fold cross-validation: dla against manual" in page
    predicted = [
        "predict",
        f"model={finished / 'ensemble'}",
        f"input={cohort}",
        "datasets=[test1]",
        f"output={tmp_path}",
    ]
    assert main(predicted) == 0
    sidecar = json.loads(next(tmp_path.glob("*_dseg.json")).read_text(encoding="utf-8"))
    assert len(sidecar["members"]) == FOLDS


@pytest.mark.slow
def test_a_sweep_scores_a_trial_on_the_validation_cases_of_all_folds(cohort: Path, tmp_path: Path) -> None:
    search = ["search=own", "search.sampler=grid", "search.parameters={optimizer.lr: [0.001]}"]
    output = tmp_path / "sweep"
    words = ["sweep", f"cohort={cohort}", f"output={output}", "folds=2", "seeds=0", *search, *SMALL]
    assert main(words) == 0
    table = (output / "trial_cases.csv").read_text(encoding="utf-8").splitlines()
    assert len(table) - 1 == 6 * 2  # cases, organs
    assert (output / "trials/0000/fold1/last.ckpt").is_file()
