"""The leaderboard of a study in each state; names in it are inert."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from study_files import PARAMETERS, write_study

from liverspleen.errors import InputError
from liverspleen.evaluation.statistics.model_choice import Choice
from liverspleen.sweep.importance import MIN_TRIALS, importances
from liverspleen.sweep.leaderboard import write_leaderboard
from liverspleen.sweep.leaderboard_study import pareto, read_study

HOSTILE = "<script>alert(1)</script>$x^2$_"
NETWORKS = {"network": ["small", "unet_2d", "large"]}


def made(folder: Path, **study: Any) -> Choice | None:
    """Write a study into the folder, and its leaderboard."""
    write_study(folder, **study)
    return write_leaderboard(str(folder))


def table(folder: Path, name: str = "leaderboard.csv") -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def rewrite(file: Path, change: Any) -> None:
    """Change the rows (header first) of a table in place."""
    with file.open(encoding="utf-8", newline="") as handle:
        rows = change(list(csv.reader(handle)))
    with file.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle, lineterminator="\n").writerows(rows)


def first_line(folder: Path) -> str:
    """Return the decision in leaderboard.md."""
    return next(line for line in (folder / "leaderboard.md").read_text("utf-8").splitlines() if line.startswith("**"))


class Page(HTMLParser):
    """Text of a page, and every tag and address in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text, self.tags, self.addresses = "", set[str](), list[str]()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_better_network_wins_and_the_decision_comes_first(tmp_path: Path) -> None:
    choice = made(tmp_path, gain=0.03, parameters=NETWORKS)
    assert choice is not None
    winner = next(row for row in table(tmp_path) if row["configuration"] == choice.winner)
    assert (winner["network"], winner["rank"], winner["n_seeds"]) == ("small", "1", "5")
    assert "network=small) is better than every other leader" in first_line(tmp_path).replace("\\", "")
    assert json.loads((tmp_path / "choice.json").read_text("utf-8"))["choice"]["winner"] == choice.winner
    assert "is better than every other leader" in Page(tmp_path / "leaderboard.html").text


def test_texts_and_page_name_configurations_by_their_parameters(tmp_path: Path) -> None:
    made(tmp_path, failed={2: "CUDA out of memory"}, failed_confirmations=2)
    ids = {row["configuration"] for row in table(tmp_path)}
    texts = [Page(tmp_path / "leaderboard.html").text, (tmp_path / "leaderboard.md").read_text("utf-8")]
    texts += json.loads((tmp_path / "choice.json").read_text("utf-8"))["decision"]
    assert len(ids) > 3
    assert not [name for name in ids for text in texts if name in text]
    assert re.search(r"\(network=\w+, slices.count=\d, optimizer.lr=[\d.e-]+\)", texts[2])


def test_the_headline_has_only_parameters_in_which_the_leaders_differ(tmp_path: Path) -> None:
    parameters = {"loss": ["dice_ce"], "network": ["small", "unet_2d"]}
    made(tmp_path, parameters=parameters, leaders=2)
    assert "loss" not in first_line(tmp_path)
    assert "(network=unet_2d)" in first_line(tmp_path).replace("\\", "")
    assert "loss=dice_ce, network=small" in Page(tmp_path / "leaderboard.html").text


@pytest.mark.parametrize("seeds", [0, 5])
def test_there_is_no_winner_if_no_leader_has_learnt_anything(tmp_path: Path, seeds: int) -> None:
    write_study(tmp_path, gain=0.03, parameters=NETWORKS, seeds=seeds)

    def lowered(rows: list[list[str]]) -> list[list[str]]:
        column = rows[0].index("dss")
        for row in rows[1:]:
            row[column] = f"{float(row[column]) / 20}"  # about 0.05, so that the best network is still the best
        return rows

    for name in ("trials.csv", "trial_cases.csv"):
        rewrite(tmp_path / name, lowered)
    choice = write_leaderboard(tmp_path)
    assert choice is None if not seeds else choice is not None and choice.winner is None
    page = Page(tmp_path / "leaderboard.html").text
    assert re.search(r"No configuration has learnt anything: the highest mean DSS is 0\.0[45]\d\d, below 0\.1\.", page)
    assert "Train longer: run the sweep with a larger trainer.steps=" in page
    assert "is better than every other leader" not in first_line(tmp_path)


def test_equal_leaders_have_no_winner(tmp_path: Path) -> None:
    choice = made(tmp_path)
    assert choice is not None
    assert choice.winner is None
    assert first_line(tmp_path).startswith("**No difference shown between ")
    assert "does not mean" in (tmp_path / "leaderboard.md").read_text("utf-8")


def test_numbers_of_the_best_are_those_of_its_confirmation_runs_alone(tmp_path: Path) -> None:
    made(tmp_path)
    best = table(tmp_path)[0]
    trials = table(tmp_path, "trials.csv")
    own = {t["number"] for t in trials if t["configuration"] == best["configuration"] and t["phase"] == "confirm"}
    rows = [row for row in table(tmp_path, "trial_cases.csv") if row["number"] in own]
    assert len(own) == 5
    assert float(best["dss"]) == pytest.approx(np.mean([float(row["dss"]) for row in rows]), abs=1e-12)
    for organ in ("liver", "spleen"):
        volumes = [(float(r["volume_cm3"]), float(r["reference_cm3"])) for r in rows if r["structure"] == organ]
        bias = np.mean([200 * (p - r) / (p + r) for p, r in volumes])
        assert float(best[f"volume_bias_{organ}_pct"]) == pytest.approx(bias, abs=1e-10)
    by_condition = {
        name: np.mean([float(r["dss"]) for r in rows if r["condition"] == name]) for name in ("healthy", "cirrhosis")
    }
    worst = min(by_condition, key=lambda name: by_condition[name])
    assert best["worst_condition"] == worst
    assert float(best["worst_condition_dss"]) == pytest.approx(by_condition[worst], abs=1e-12)
    seconds = [float(t["seconds_per_slice"]) for t in trials if t["number"] in own]
    assert float(best["seconds_per_slice"]) == pytest.approx(np.mean(seconds))
    searched = [
        float(t["dss"]) for t in trials if t["configuration"] == best["configuration"] and t["phase"] == "search"
    ]
    assert float(best["search_dss"]) == max(searched)


def test_every_configuration_has_one_row_confirmed_ones_first(tmp_path: Path) -> None:
    made(tmp_path, failed={3: "out of memory"})
    rows = table(tmp_path)
    assert {row["configuration"] for row in rows} == {t["configuration"] for t in table(tmp_path, "trials.csv")}
    assert len(rows) == len({row["configuration"] for row in rows})
    assert [row["rank"] for row in rows[:4]] == ["1", "2", "3", ""]
    means = [float(row["dss"]) for row in rows[:3]]
    assert means == sorted(means, reverse=True)
    assert (rows[-1]["n_failed"], rows[-1]["search_dss"]) == ("1", "")


def test_an_organ_without_dss_in_one_run_is_excluded_from_all_runs(tmp_path: Path) -> None:
    write_study(tmp_path, cases=4)
    confirmed = [t for t in table(tmp_path, "trials.csv") if t["phase"] == "confirm"]

    def blank(rows: list[list[str]]) -> list[list[str]]:
        for row in rows:
            if (row[0], row[1], row[3]) == (confirmed[0]["number"], "c2", "spleen"):
                row[4] = ""
        return rows

    rewrite(tmp_path / "trial_cases.csv", blank)
    choice = write_leaderboard(tmp_path)
    assert choice is not None
    assert choice.n_cases == 4  # c2 has its liver
    assert "c2 (spleen)" in choice.cautions[0]
    numbers = {t["number"] for t in confirmed if t["configuration"] == choice.best}
    rows = [row for row in table(tmp_path, "trial_cases.csv") if row["number"] in numbers]
    kept = {case: ("liver",) if case == "c2" else ("liver", "spleen") for case in ("c0", "c1", "c2", "c3")}
    expected = np.mean(
        [np.mean([float(r["dss"]) for r in rows if r["case_id"] == c and r["structure"] in o]) for c, o in kept.items()]
    )
    assert choice.configurations[0].mean == pytest.approx(expected, abs=1e-12)


def test_failed_trials_are_listed_with_their_reasons(tmp_path: Path) -> None:
    made(tmp_path, failed={2: "CUDA out of memory"}, failed_confirmations=2)
    for text in ((tmp_path / "leaderboard.md").read_text("utf-8"), Page(tmp_path / "leaderboard.html").text):
        assert "CUDA out of memory" in text
        assert text.count("loss is not finite in step 12") == 2
        assert "2 of 7 runs have no score" in text


@pytest.mark.parametrize(
    ("study", "headline"),
    [
        ({"ended": 0}, "No choice yet: no trial has started."),
        ({"ended": 1}, "No choice yet: no training of the confirmation is complete."),
        ({"ended": 2, "failed": {0: "x", 1: "y"}}, "No choice yet: no trial of the search is complete."),
        ({"seeds": 0}, "No choice: the study has no confirmation (seeds=0)."),
        ({"confirmed": 7, "gain": 0.5, "parameters": NETWORKS}, "No choice yet: the sweep is not finished."),
        ({"leaders": 1}, "No choice: only 1 configuration, so there is no comparison."),
        ({"seeds": 1}, "No difference shown between "),
        ({"cases": 1}, "No difference shown between "),
    ],
)
def test_the_leaderboard_states_the_state_of_the_study(tmp_path: Path, study: dict[str, Any], headline: str) -> None:
    choice = made(tmp_path, **study)
    assert choice is None or choice.winner is None
    assert headline in first_line(tmp_path).replace("\\", "")
    assert headline in Page(tmp_path / "leaderboard.html").text
    assert {path.name for path in tmp_path.glob("leaderboard.*")} == {f"leaderboard.{e}" for e in ("csv", "md", "html")}


def test_an_unfinished_search_is_reported(tmp_path: Path) -> None:
    made(tmp_path, ended=6)
    assert "The search is not finished: 6 of 24 trials." in (tmp_path / "leaderboard.md").read_text("utf-8")


def test_a_new_leader_of_a_longer_search_is_confirmed_before_there_is_a_winner(tmp_path: Path) -> None:
    write_study(tmp_path, gain=0.03, leaders=2, trials=8)
    assert read_study(tmp_path).finished
    table = (tmp_path / "trials.csv").read_text().splitlines()
    header, first = table[0].split(","), table[1].split(",")
    found = dict(zip(header, first, strict=True)) | {"number": "99", "configuration": "feedbeef", "dss": "0.9999"}
    (tmp_path / "trials.csv").write_text("\n".join([*table, ",".join(found.values())]) + "\n")
    content = json.loads((tmp_path / "study.json").read_text())
    (tmp_path / "study.json").write_text(json.dumps(content | {"trials": 9}))
    choice = write_leaderboard(tmp_path)
    assert choice is not None
    assert choice.winner is None
    assert "The confirmation is not finished: 5 of 10 trainings." in (tmp_path / "leaderboard.md").read_text()


def test_a_grid_with_a_failed_point_is_finished(tmp_path: Path) -> None:
    write_study(tmp_path, trials=4, failed={4: "out of memory"}, parameters=NETWORKS)
    content = json.loads((tmp_path / "study.json").read_text())
    content["trials"], content["search"]["sampler"] = 5, "grid"
    (tmp_path / "study.json").write_text(json.dumps(content))
    assert read_study(tmp_path).finished
    content["search"]["sampler"] = "random"
    (tmp_path / "study.json").write_text(json.dumps(content))
    assert not read_study(tmp_path).finished


def test_the_same_study_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made(tmp_path / name)
    for file in ("leaderboard.csv", "leaderboard.md", "leaderboard.html", "choice.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


def test_the_page_is_self_contained_and_hostile_names_are_inert(tmp_path: Path) -> None:
    parameters = {HOSTILE: ["=1+1", "-2", HOSTILE], "a.b": {"low": 0.0, "high": 1.0}}
    failed = {1: f"{HOSTILE}\u202e |"}
    made(tmp_path, name=HOSTILE, parameters=parameters, conditions=(HOSTILE, "=x"), failed=failed)
    source = (tmp_path / "leaderboard.html").read_text("utf-8")
    page = Page(tmp_path / "leaderboard.html")
    assert "script" not in page.tags
    assert page.addresses
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    assert "default-src 'none'" in source
    assert not re.search(r"https?://", source)
    assert HOSTILE in page.text  # shown, not run
    assert "\u202e" not in source
    assert "<script" not in (tmp_path / "leaderboard.md").read_text("utf-8").replace("\\<", "")
    rows = table(tmp_path)
    assert {row[HOSTILE] for row in rows} <= {"'=1+1", "-2", HOSTILE}  # numbers are not changed
    assert "'=1+1" in {row[HOSTILE] for row in rows}
    assert {row["worst_condition"] for row in rows} <= {"", HOSTILE, "'=x"}


def test_pareto_front_by_hand(tmp_path: Path) -> None:
    write_study(tmp_path, trials=4, seeds=0, objectives=("dss", "volume_bias", "seconds_per_slice"))
    measured = [("0.9", "-1.0", "0.02"), ("0.8", "0.5", "0.02"), ("0.8", "-0.7", "0.03"), ("0.9", "1.0", "")]

    def replaced(rows: list[list[str]]) -> list[list[str]]:
        columns = [rows[0].index(name) for name in ("dss", "volume_bias_pct", "seconds_per_slice")]
        for row, values in zip(rows[1:], measured, strict=True):
            for column, value in zip(columns, values, strict=True):
                row[column] = value
        return rows

    rewrite(tmp_path / "trials.csv", replaced)
    # 2 is worse than 1 in absolute bias and in time, and equal in DSS; 3 has no time
    assert pareto(read_study(tmp_path)) == [0, 1]
    write_leaderboard(tmp_path)
    text = (tmp_path / "leaderboard.md").read_text("utf-8")
    assert "Trials 0, 1. No other complete" in text
    assert "the choice uses DSS only" in text


def test_importance_needs_enough_trials_and_is_compared_with_shuffled_scores(tmp_path: Path) -> None:
    write_study(tmp_path / "few", trials=MIN_TRIALS - 1)
    few = importances(read_study(tmp_path / "few"))
    assert not few.fractions
    assert few.reason == f"{MIN_TRIALS - 1} complete search trials, expected at least {MIN_TRIALS}"
    write_study(tmp_path / "many", trials=80, gain=0.3)
    many = importances(read_study(tmp_path / "many"))
    assert next(iter(many.fractions)) == "network"
    assert many.fractions["network"] > many.noise["network"]
    assert many.fractions["optimizer.lr"] < many.noise["optimizer.lr"]
    assert sum(many.fractions.values()) == pytest.approx(1.0)
    write_leaderboard(tmp_path / "many")
    cells = ["network", f"{many.fractions['network']:.2f}", f"{many.noise['network']:.2f}", "yes"]
    assert " | ".join(cells) in (tmp_path / "many/leaderboard.md").read_text("utf-8")
    assert "".join(cells) in Page(tmp_path / "many/leaderboard.html").text


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("study.json", None, "LS-SWP-020"),
        ("study.json", "[1]", "LS-SWP-020"),
        ("study.json", '{"study": "x"}', "LS-SWP-020"),
        ("study.json", "{", "LS-SWP-020"),
        ("trials.csv", "number,phase\n1,search\n", "LS-SWP-021"),
        ("trials.csv", "", "LS-SWP-021"),
        ("trial_cases.csv", "number,case_id,condition,structure,dss,volume_cm3,reference_cm3\nx,,,,,,\n", "LS-SWP-021"),
    ],
)
def test_a_folder_without_a_readable_study_is_rejected(
    tmp_path: Path, name: str, content: str | None, code: str
) -> None:
    write_study(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as rejected:
        write_leaderboard(tmp_path)
    assert [issue.code for issue in rejected.value.issues] == [code]
    assert not list(tmp_path.glob("leaderboard.*"))


def test_parameters_that_the_study_does_not_describe_have_the_values_of_the_trials(tmp_path: Path) -> None:
    write_study(tmp_path, parameters=PARAMETERS)
    content = json.loads((tmp_path / "study.json").read_text())
    content["search"] = {}
    (tmp_path / "study.json").write_text(json.dumps(content))
    write_leaderboard(tmp_path)
    assert {row["network"] for row in table(tmp_path)} == {"small", "unet_2d"}


def test_the_leaderboard_loads_no_torch_and_optuna_only_for_importances() -> None:
    code = "import sys, liverspleen.sweep.leaderboard; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "optuna", "matplotlib", "hydra"} & set(run.stdout.split())
