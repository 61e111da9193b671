"""Results on test cases: computed from measurements, written into the package, checked when it is loaded, stated."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packages import rewrite, save

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import write_cohort
from liverspleen.data.trained_on import salted
from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.table import COLUMNS
from liverspleen.imaging.files import read_ct
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.inference.model import load_model
from liverspleen.inference.prediction import _picture_texts
from liverspleen.storage import sha256_of_array

sys.path.append(str(Path(__file__).parents[1] / "cli"))
from predicting import exam

SALT = "5a1e"
LIVER = {"c0": 0.9, "c1": 0.8, "c2": 0.95, "c3": 0.75}
"""DSS by case: mean 0.85, deviations 0.05, -0.05, 0.1, -0.1, SD √(0.025 / 3) = 0.0912871."""
SPLEEN = {"c0": 0.7, "c1": 0.0, "c2": None, "c3": 0.0}
"""Of c1 the prediction is empty, of c2 both label maps are, c3 has no label map."""
ON = "four CT scans (made up)"


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Four CT scans of as many patients, with label maps of both organs."""
    rows = []
    for number in range(4):
        hu = np.random.default_rng(number).integers(-100, 200, (3, 16, 16)).astype(np.int16)
        grid = Geometry((16, 16, 3), np.diag([-2.0, -2.0, 5.0, 1.0]))
        write_ct(tmp_path / f"c{number}.nii.gz", CTVolume(hu, grid))
        write_label_map(tmp_path / f"c{number}_label.nii.gz", LabelMap(np.zeros((3, 16, 16), np.uint8), grid))
        row = {"case_id": f"c{number}", "patient_id": f"p{number}", "image": f"c{number}.nii.gz"}
        rows.append({**row, "label": f"c{number}_label.nii.gz", "dataset": "test1"})
    write_cohort(tmp_path / "cohort.csv", rows)
    return tmp_path / "cohort.csv"


def row(case: str, structure: str, dss: float | None, **changes: str) -> dict[str, str]:
    found = dict.fromkeys(COLUMNS, "") | {"case_id": case, "patient_id": f"p{case[1:]}", "dataset": "test1"}
    found |= {"structure": structure, "reader": "dla", "reference": "manual", "volume_cm3": "100"}
    return found | {"dss": "" if dss is None else str(dss)} | changes


def rows() -> list[dict[str, str]]:
    volumes = {"c0": "100", "c1": "0", "c2": "0", "c3": ""}
    found = [row(case, "liver", dss) for case, dss in LIVER.items()]
    found += [row(case, "spleen", dss, volume_cm3=volumes[case]) for case, dss in SPLEEN.items()]
    reference = {"reader": "manual", "reference": ""}  # the reference has rows of its own
    return [*found, *(row(case, "liver", None, **reference) for case in LIVER)]


def write(file: Path, found: list[dict[str, str]]) -> Path:
    file.parent.mkdir(exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, COLUMNS)
        writer.writeheader()
        writer.writerows(found)
    return file


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A model of three phantoms, whose hashes are those of no CT."""
    return save(tmp_path / "best.ckpt", origins={"phantom": 3}, trained_on={"salt": SALT, "cases": ["0" * 16]})


Export = Callable[..., int]


@pytest.fixture
def export(tmp_path: Path, checkpoint: Path, cohort: Path) -> Export:
    def run(*more: str, table: list[dict[str, str]] | None = None, model: Path = checkpoint) -> int:
        write(tmp_path / "measured" / "measurements.csv", rows() if table is None else table)
        keys = [f"model={model}", f"output={tmp_path / 'package'}", f"tested={tmp_path / 'measured'}"]
        return main(
            ["export", *keys, f"tested_cohort={cohort}", f"tested_on={ON}", "tested_design=true", "name=made up", *more]
        )

    return run


def recorded(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "package" / "model.json").read_text(encoding="utf-8"))["tested"]


def test_results_agree_with_a_computation_by_hand(tmp_path: Path, export: Export) -> None:
    assert export() == 0
    found = recorded(tmp_path)
    liver, spleen = found["organs"]["liver"], found["organs"]["spleen"]
    assert (found["on"], found["design"], found["cases"], found["patients"]) == (ON, True, 4, 4)
    assert (liver["n"], liver["empty"], liver["missing"], liver["undefined"], liver["reason"]) == (4, 0, 0, 0, None)
    assert liver["dss_mean"] == pytest.approx(0.85)
    assert (liver["dss_lowest"], liver["lowest_case"]) == (0.75, "c3")
    # t(3) is 3.182446; SE = 0.0912871 / 2 = 0.0456436; on the logit scale: ln(0.85 / 0.15) = 1.734601, and the
    # half-width is 3.182446 * 0.0456436 / (0.85 * 0.15) = 1.139280; the bounds are those of 0.595321 and 2.873881
    assert liver["dss_mean_ci"] == pytest.approx([0.644585, 0.946540], abs=2e-6)
    # 3.182446 * 0.0912871 * sqrt(1/4 + 1/6) = 3.182446 * 0.0912871 * 0.6454972 = 0.187528; 1.0375 is cut at 1
    assert liver["dss_prediction_interval"] == pytest.approx([0.662472, 1.0], abs=2e-6)
    assert (spleen["n"], spleen["empty"], spleen["missing"], spleen["undefined"]) == (3, 1, 1, 1)
    assert spleen["dss_mean"] == pytest.approx(0.7 / 3)
    assert (spleen["dss_lowest"], spleen["lowest_case"]) == (0.0, "c1")


def test_undefined_intervals_have_a_reason(tmp_path: Path, export: Export) -> None:
    table = [row(case, "liver", 0.5) for case in LIVER] + [row("c0", "spleen", 0.5)]
    table += [row(case, "spleen", None) for case in ("c1", "c2", "c3")]
    assert export(table=table) == 0
    liver, spleen = (recorded(tmp_path)["organs"][organ] for organ in ("liver", "spleen"))
    for found, n, reason in ((liver, 4, "all DSS are equal"), (spleen, 1, "only 1 patient")):
        assert (found["n"], found["dss_mean"]) == (n, 0.5)
        assert found["dss_mean_ci"] is found["dss_prediction_interval"] is None
        assert found["reason"].startswith(reason)
    assert load_model(tmp_path / "package").tested == recorded(tmp_path)


def test_an_organ_without_a_defined_dss_has_no_mean(tmp_path: Path, export: Export) -> None:
    table = [row(case, "liver", dss) for case, dss in LIVER.items()] + [row(case, "spleen", None) for case in LIVER]
    assert export(table=table) == 0
    spleen = recorded(tmp_path)["organs"]["spleen"]
    assert (spleen["n"], spleen["undefined"], spleen["reason"]) == (0, 4, "no defined DSS")
    assert spleen["dss_mean"] is spleen["dss_lowest"] is spleen["lowest_case"] is None
    assert "spleen undefined" in str(load_model(tmp_path / "package").issues[0])


def test_patients_with_several_ct_scans_have_no_prediction_interval(tmp_path: Path, export: Export) -> None:
    table = [{**one, "patient_id": "p0" if one["case_id"] == "c1" else one["patient_id"]} for one in rows()]
    assert export(table=table) == 0
    found = recorded(tmp_path)
    liver = found["organs"]["liver"]
    assert (found["cases"], found["patients"]) == (4, 3)
    assert liver["dss_mean_ci"] is not None
    assert liver["dss_prediction_interval"] is None
    assert liver["reason"].startswith("patients with several CT scans")


def test_model_card_and_lines_state_the_results(
    tmp_path: Path, export: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export() == 0
    assert "LS-MOD-011" not in capsys.readouterr().err
    line = "LS-MOD-033: model was trained on phantoms only; design choices were checked on four CT scans (made up): "
    line += "mean DSS liver 0.850 (lowest 0.750, n 4), spleen 0.233 (lowest 0.000, n 3); research use only"
    model = load_model(tmp_path / "package")
    assert [str(issue).startswith(line) for issue in model.issues] == [True]
    assert [(issue.code, issue.severity) for issue in model.issues] == [("LS-MOD-033", "warning")]
    card = (tmp_path / "package" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "trained on phantoms only; design choices were checked on four CT scans (made up)." in card
    assert "mean nothing" not in card
    assert "independent test set" not in card.split("## Limits\n")[1]
    section = card.split("## Results on CT scans that were not used for training\n")[1].split("\n## ")[0]
    assert "four CT scans (made up), 4 cases of 4 patients:\n" in section
    assert "| liver | 4 | 0.850 | 0.645 to 0.947 | 0.662 to 1.000 | 0.750 | c3 | 0 | 0 | 0 |" in section
    assert "too optimistic" in section
    limits = card.split("## Limits\n")[1].split("\n## ")[0]
    assert "Phantoms simplify anatomy and disease." in limits
    assert "Research use only." in limits
    capsys.readouterr()
    assert main(["info", f"model={tmp_path / 'package'}"]) == 0
    assert "design choices were checked on four CT scans (made up): mean DSS liver 0.850" in capsys.readouterr().out


def test_a_test_set_without_influence_on_the_design_is_called_so(tmp_path: Path, export: Export) -> None:
    assert export("tested_design=false") == 0
    card = (tmp_path / "package" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "trained on phantoms only; tested on four CT scans (made up)." in card
    assert "no design choice was checked on these cases." in card


def test_a_model_of_patients_has_results_without_a_statement_on_phantoms(
    tmp_path: Path, export: Export, cohort: Path
) -> None:
    trained = {"salt": SALT, "cases": ["0" * 16]}
    assert export(model=save(tmp_path / "a.ckpt", origins={"": 3}, trained_on=trained)) == 0
    assert load_model(tmp_path / "package").issues == ()
    card = (tmp_path / "package" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## Results on CT scans" in card
    assert "hantoms" not in card


@pytest.mark.parametrize("of", ["the model", "a model before it"])
def test_training_cases_are_no_test_cases(
    of: str, tmp_path: Path, export: Export, cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voxels = sha256_of_array(read_ct(tmp_path / "c2.nii.gz", case_id="c2").hu)
    known, other = {"salt": SALT, "cases": [salted(voxels, SALT)]}, {"salt": SALT, "cases": ["0" * 16]}
    ancestor = {"sha256": "a" * 64, "taught_organs": ["liver", "spleen"], "origins": {"phantom": 1}}
    more = {"trained_on": known} if of == "the model" else {"trained_on": other}
    more["ancestors"] = [] if of == "the model" else [ancestor | {"trained_on": known}]
    assert export(model=save(tmp_path / "a.ckpt", origins={"phantom": 1}, **more)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    whose = "this model" if of == "the model" else "model aaaaaaaaaaaa, from which this model was started"
    assert line.startswith(f"LS-XPT-018 case 'c2': the test case was a training case of {whose}; remove its rows")
    assert not (tmp_path / "package" / "model.json").exists()


def test_a_model_without_recorded_training_cases_has_no_test_cases(
    tmp_path: Path, export: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(model=save(tmp_path / "a.ckpt", origins={"phantom": 1})) == 2
    assert "LS-XPT-019" in capsys.readouterr().err


def changed(change: str) -> list[dict[str, str]]:
    found = rows()
    if change == "without a reference":
        return [one for one in found if not one["reference"]]
    if change == "another reader":
        return [*found, row("c0", "liver", 0.9, reader="nnunet")]
    if change == "a stranger":
        return [*found, row("c9", "liver", 0.9), row("c9", "spleen", 0.9)]
    if change == "a phantom":
        return [{**one, "origin": "phantom"} if one["case_id"] == "c1" else one for one in found]
    return [one for one in found if (one["case_id"], one["structure"]) != ("c3", "spleen")]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("without a reference", "no row has a reference; measure the label maps"),
        ("another reader", "it compares several readers: 'dla' against 'manual', 'nnunet' against 'manual'; measure"),
        ("a stranger", "1 case not in tested_cohort=, first 'c9'; give the cohort"),
        ("a phantom", "1 case of phantoms, first 'c1'; measure CT scans of patients only"),
        ("a missing row", "1 case of tested_cohort= without a spleen row, first 'c3'; measure all labelled cases"),
    ],
)
def test_measurements_that_are_no_evidence_are_one_line(
    change: str, text: str, export: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(table=changed(change)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "LS-" in line]
    assert line.startswith("LS-XPT-020 file ")
    assert text in line


def test_rows_of_an_organ_that_the_model_was_not_taught_are_rejected(
    tmp_path: Path, export: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = {"salt": SALT, "cases": ["0" * 16]}
    assert export(model=save(tmp_path / "a.ckpt", taught_organs=["liver"], trained_on=trained)) == 2
    assert "LS-XPT-020" in (error := capsys.readouterr().err)
    assert "rows of the spleen, which the model was not taught" in error


@pytest.mark.parametrize(
    ("words", "code"),
    [(["tested_on="], "LS-CFG-016"), (["tested_design="], "LS-CFG-016"), (["tested_on=<b>"], "LS-XPT-012")],
)
def test_incomplete_or_unsafe_names_of_a_test_set_are_rejected(
    words: list[str], code: str, export: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(*words) == 2
    assert code in capsys.readouterr().err


def edit(place: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        *parents, last = place.split(".")
        found = content["tested"]
        for parent in parents:
            found = found[parent]
        found[last] = value

    return change


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("on", "<script>"),
        ("on", None),
        ("on", "x" * 101),
        ("design", 1),
        ("measurements_sha256", "0"),
        ("cases", -1),
        ("cases", 3),  # fewer than the n of the liver
        ("patients", 1e3),
        ("new_patients", 7),
        ("organs", {}),
        ("organs", []),
        ("organs.kidney", {}),
        ("organs.liver", None),
        ("organs.liver.n", True),
        ("organs.liver.n", 0),  # but there is a mean
        ("organs.liver.dss_mean", 1.5),
        ("organs.liver.dss_mean", None),
        ("organs.liver.dss_mean", 0.7),  # below the lowest
        ("organs.liver.dss_mean_ci", [0.9, 0.95]),  # without the mean
        ("organs.liver.dss_mean_ci", [0.95, 0.6]),
        ("organs.liver.dss_mean_ci", [0.5, 0.9, 0.95]),
        ("organs.liver.dss_mean_ci", None),  # without a reason
        ("organs.liver.dss_prediction_interval", "0 to 1"),
        ("organs.liver.dss_lowest", "low"),
        ("organs.liver.lowest_case", "c" * 201),
        ("organs.liver.lowest_case", 3),
        ("organs.liver.empty", 5),  # more than n
        ("organs.liver.reason", ["a"]),
        ("organs.liver.more", 1),
        ("more", 1),
    ],
)
def test_test_results_that_are_not_valid_are_rejected(place: str, value: Any, tmp_path: Path, export: Export) -> None:
    assert export() == 0
    rewrite(tmp_path / "package", edit(place, value))
    with pytest.raises(InputError, match=r"^LS-MOD-032 file '.*package': the test results in model.json are not valid"):
        load_model(tmp_path / "package")


@pytest.mark.parametrize("value", [[], "good", 1, True])
def test_test_results_that_are_no_map_are_rejected(value: Any, tmp_path: Path, export: Export) -> None:
    assert export() == 0
    rewrite(tmp_path / "package", lambda content: content.update(tested=value))
    with pytest.raises(InputError, match="LS-MOD-032"):
        load_model(tmp_path / "package")


def test_a_package_without_test_results_is_loaded_as_before(tmp_path: Path, export: Export) -> None:
    assert export() == 0
    rewrite(tmp_path / "package", lambda content: content.pop("tested"))
    assert load_model(tmp_path / "package").tested is None
    assert [issue.code for issue in load_model(tmp_path / "package").issues] == ["LS-MOD-011"]


def test_the_picture_of_a_case_states_the_results(tmp_path: Path, export: Export) -> None:
    assert export() == 0
    model = load_model(tmp_path / "package")
    signs: Any = type("Signs", (), {"reasons": ()})()
    faces: Mapping[str, list[str]] = {}
    _, notes = _picture_texts("c0", (), faces, signs, model)
    assert notes == [
        "model was trained on phantoms only; design choices were checked on four CT scans (made up): mean DSS "
        "liver 0.850, spleen 0.233"
    ]


@pytest.mark.slow
def test_the_commands_of_the_page_end_in_a_package_with_results(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = []
    for number in range(3):
        ct, labels = exam(seed=200 + number)
        Path("test").mkdir(exist_ok=True)
        write_ct(Path(f"test/u{number}.nii.gz"), ct)
        write_label_map(Path(f"test/u{number}_label.nii.gz"), labels)
        row = {"case_id": f"u{number}", "patient_id": f"u{number}", "image": f"u{number}.nii.gz"}
        rows.append({**row, "label": f"u{number}_label.nii.gz", "dataset": "test1"})
    write_cohort(Path("test/cohort.csv"), rows)
    Path("run").mkdir()
    Path("run/best.ckpt").symlink_to(model)
    page = (Path(__file__).parents[2] / "docs/models.md").read_text(encoding="utf-8")
    text = page.split("**Test results.**")[1].split("\n- ")[0]
    commands = [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("    liverspleen ")]
    assert [command[0] for command in commands] == ["predict", "measure", "export"]
    for command in commands:
        assert main(command) == 0
    found = recorded(tmp_path)
    with Path("measured/measurements.csv").open(encoding="utf-8", newline="") as handle:
        dss = [float(row["dss"]) for row in csv.DictReader(handle) if row["structure"] == "liver" and row["reference"]]
    assert (found["cases"], found["organs"]["liver"]["n"]) == (3, 3)
    assert found["organs"]["liver"]["dss_mean"] == pytest.approx(sum(dss) / 3)
    assert found["organs"]["liver"]["dss_lowest"] == min(dss)
    assert [issue.code for issue in load_model("package").issues] == ["LS-MOD-033"]
