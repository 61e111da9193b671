"""The report folder is complete, reproducible, self-contained, and inert to hostile names."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from liverspleen.cohort import read_cohort
from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.label_folder import measure_folder
from liverspleen.evaluation.measurements.table import Measurement, read_measurements, write_measurements
from liverspleen.evaluation.reporting.figures.bland_altman import FORMS, bland_altman_figure, figure_bytes
from liverspleen.evaluation.reporting.flow import Exclusions
from liverspleen.evaluation.reporting.paper_tables import Agreement
from liverspleen.evaluation.reporting.report import write_report
from liverspleen.evaluation.reporting.study import Study
from liverspleen.evaluation.statistics.bland_altman import bland_altman
from liverspleen.imaging.files import read_label_map
from liverspleen.imaging.nifti import write_label_map
from liverspleen.imaging.volume import LabelMap
from liverspleen.pages import part
from liverspleen.storage import sha256_of

OWN_SCRIPTS = [part("sortable.js"), part("points.js")]
HOSTILE = "<script>alert(1)</script>$x^2$_"


def measured(
    case: str, *, volume: float, dataset: str = "test1", site: str = "", condition: str = ""
) -> list[Measurement]:
    patient = case[:-1] if dataset == "test2" else case
    rows = []
    for structure, scale in (("liver", 1.0), ("spleen", 0.2)):
        about = (case, patient, dataset, condition, site, structure)
        rows.append(Measurement(*about, "manual", 1000.0 * scale))
        rows.append(Measurement(*about, "dla", volume * scale, "ok", "manual", 0.97))
    return rows


def cohort(condition: str = "fatty") -> list[Measurement]:
    rows = []
    for number in range(4):
        rows += measured(f"A{number}", volume=1000 + 10 * number, condition=condition if number % 2 else "healthy")
    for number in range(3):
        rows += measured(f"B{number}e", volume=1000 + 5 * number, dataset="test2", site="external")
        rows += measured(f"B{number}i", volume=1000 - 5 * number, dataset="test2", site="internal")
    return rows


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that tests only read; its measurements are in the parent folder."""
    folder = tmp_path_factory.mktemp("report")
    write_measurements(folder / "m.csv", cohort())
    write_report(read_measurements(folder / "m.csv"), folder / "out")
    return folder / "out"


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Page(HTMLParser):
    """Tags, addresses and scripts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["script"] and self.cdata_elem == "script":
            self.scripts.append(data)


def page_of(folder: Path) -> tuple[str, Page]:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    return text, page


# measurements without surface metrics have no table `surfaces`
ADDITIONAL = (
    *("means", "limits_percent", "limits_absolute", "limits_log", "advice", "limit_intervals", "subgroups", "sites"),
    *("rc_methods", "rc_readers", "equivalence", "reliability", "failures"),
)


def test_a_report_has_its_tables_figures_numbers_and_page(written: Path) -> None:
    tables = {
        f"tables/{name}.{form}"
        for name in ("table2", "table3", "table4", "reproducibility", *ADDITIONAL)
        for form in ("csv", "md", "tex")
    } | {"tables/tables.tex", "tables/tables.docx"}
    figures = {
        f"figures/bland_altman_{index}{scale}.{form}"
        for index in ("liver", "spleen", "ratio")
        for scale in ("", "_absolute", "_log")
        for form in ("svg", "pdf", "png")
    }
    assert set(files_below(written)) == tables | figures | {"report.json", "report.html"}


def test_report_json_traces_its_numbers(written: Path) -> None:
    content = json.loads((written / "report.json").read_text(encoding="utf-8"))
    assert content["measurements"]["sha256"] == sha256_of(written.parent / "m.csv")
    assert (content["reader"], content["reference"]) == ("dla", "manual")
    cells = {(cell["table"], cell["row"], cell["column"]): cell for cell in content["cells"]}
    assert len(cells) == len(content["cells"])
    assert cells["table2", "total", "liver"]["rows"] == ["A0", "A1", "A2", "A3"]
    assert cells["table2", "total", "liver"]["text"] == "0.970 ± 0.000 (0.970–0.970)"
    assert all(isinstance(cell["method"], str) and cell["method"] for cell in content["cells"])


def test_the_same_measurements_give_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_report(read_measurements(written.parent / "m.csv"), tmp_path / "again")
    assert files_below(tmp_path / "again") == files_below(written)


def test_the_page_loads_nothing_from_a_network(written: Path) -> None:
    text, page = page_of(written)
    assert not re.search(r"https?://|@import|url\((?!#)", text)
    assert not {"link", "iframe", "object", "img"} & set(page.tags)
    assert page.scripts == OWN_SCRIPTS
    ids = re.findall(r' id="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert page.addresses
    assert {address.removeprefix("#") for address in page.addresses} <= set(ids)  # links inside the page only


def test_the_page_has_the_notice_and_all_texts_of_the_tables(written: Path) -> None:
    text, page = page_of(written)
    assert "Research use only" in text
    assert page.tags.count("section") == 7  # two parts of tables, figures, cases, notes, methods, provenance
    for cell in json.loads((written / "report.json").read_text(encoding="utf-8"))["cells"]:
        printed = re.sub(r"(^|[ (])-(?=\d)", r"\1−", cell["text"])
        assert printed.replace("<", "&lt;") in text


def test_the_page_starts_with_mean_and_limits(written: Path) -> None:
    # Percent differences 2000 k / (2000 + 10 k), k = 0 to 3: mean 1.4827, SD 1.2719, limits mean ± 1.96 SD.
    text, _ = page_of(written)
    tiles = re.findall(r"<dt>(.*?)</dt><dd>(.*?)<span class=\"n\">(.*?)</span>", text)
    assert tiles[0] == ("DSS, liver", "0.970 ± 0.000", "range 0.970–0.970, n = 4")
    assert tiles[2] == ("95 % LOA, liver volume", "1.48 % (−1.01 to 3.98 %)", "n = 4")
    assert "bias (lower to upper limit)" in text


def test_the_page_explains_the_reader_dla_by_its_exact_name(written: Path, tmp_path: Path) -> None:
    assert page_of(written)[0].count("dla: deep learning algorithm") == 10  # at the top and in nine captions
    rows = [replace(row, reader="dla2") if row.reader == "dla" else row for row in cohort()]
    write_measurements(tmp_path / "m.csv", rows)
    write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    assert "deep learning algorithm" not in page_of(tmp_path / "out")[0]


def test_hostile_names_are_inert_on_the_page_and_in_the_figures(tmp_path: Path) -> None:
    rows = [*cohort(condition=HOSTILE), *measured(HOSTILE, volume=0.0)]
    write_measurements(tmp_path / "m.csv", rows)
    write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    text, page = page_of(tmp_path / "out")
    assert page.scripts == OWN_SCRIPTS
    assert "&lt;script&gt;" in text
    for svg in (tmp_path / "out/figures").glob("*.svg"):
        assert b"<script" not in svg.read_bytes()


def test_files_of_an_earlier_report_are_removed(written: Path, tmp_path: Path) -> None:
    again = Path(shutil.copytree(written, tmp_path / "out"))
    write_measurements(tmp_path / "m.csv", [row for row in cohort() if row.dataset == "test1"])
    (again / "tables/mine.txt").write_text("kept")
    write_report(read_measurements(tmp_path / "m.csv"), again)
    remaining = set(files_below(again))
    assert not {"tables/table4.csv", "tables/table4.tex"} & remaining
    assert {"tables/table3.csv", "tables/mine.txt"} <= remaining


def test_a_report_without_any_table_is_an_error_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("case_id,structure,reader,volume_cm3\nA,liver,me,5\n")
    with pytest.raises(InputError) as caught:
        write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    assert "LS-REP-021" in {issue.code for issue in caught.value.issues}
    assert caught.value.issues[-1].code == "LS-REP-059"
    assert not (tmp_path / "out").exists()


@pytest.fixture
def study(box_cohort: Callable[..., Path], tmp_path: Path) -> Study:
    """Four test cases, the liver of each predicted one pixel too narrow."""
    path = box_cohort(dataset=["test1"] * 4, condition=["healthy", "healthy", "cld", "cld"], age=["30", "40", "50", ""])
    for case in read_cohort(path).cases:
        assert case.label is not None
        reference = read_label_map(case.label)
        labels = np.where(np.arange(32) == 4, 0, reference.labels).astype(np.uint8)
        write_label_map(tmp_path / "labels" / f"{case.case_id}.nii.gz", LabelMap(labels, reference.geometry))
    return Study(read_cohort(path), labels=tmp_path / "labels")


def report_with(study: Study, output: Path) -> list[str]:
    """Write measurements and report of a study; return the codes of the notes."""
    assert study.labels is not None
    measured = measure_folder(study.labels, cohort=study.cohort)
    write_measurements(output / "m.csv", measured.rows)
    report = write_report(read_measurements(output / "m.csv"), output, study=study)
    return [note.code for note in report.notes]


def test_without_a_cohort_a_note_lists_what_is_missing(written: Path) -> None:
    notes = json.loads((written / "report.json").read_text(encoding="utf-8"))["notes"]
    (note,) = [note for note in notes if note["code"] == "LS-REP-040"]
    assert "Table 1 and Figures 1 and 3" in note["message"]
    assert "cohort=" in note["hint"]
    assert note["message"] in page_of(written)[0]


def test_a_study_adds_table_1_figure_1_and_figure_3(study: Study, tmp_path: Path) -> None:
    codes = report_with(study, tmp_path / "out")
    assert {"tables/table1.csv", "figures/flow.pdf", "figures/overlay.png"} <= set(files_below(tmp_path / "out"))
    assert not {"LS-REP-040", "LS-REP-041", "LS-REP-042", "LS-REP-048", "LS-REP-049"} & set(codes)
    content = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert content["flow"]["branches"][0]["patients"] == 4
    assert [shown["condition"] for shown in content["slices"]] == ["healthy", "cld"]
    cells = {(cell["table"], cell["row"]): cell["text"] for cell in content["cells"]}
    assert cells["table1", "age"] == "40.0 ± 10.0 (30.0–50.0)"
    text, page = page_of(tmp_path / "out")
    assert "Figure 3" in text
    assert page.tags.count("img") == 2  # flow, overlay
    assert len([name for name in re.findall(r'<svg id="(.*?)"', text) if "bland_altman" in name]) == 9


def test_a_study_gives_the_same_bytes(study: Study, tmp_path: Path) -> None:
    for name in ("one", "two"):
        report_with(study, tmp_path / name)
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two")


def test_without_label_maps_figure_3_is_noted_and_removed(study: Study, tmp_path: Path) -> None:
    report_with(study, tmp_path / "out")
    measurements = read_measurements(tmp_path / "out/m.csv")
    report = write_report(measurements, tmp_path / "out", study=Study(study.cohort))
    assert "LS-REP-041" in [note.code for note in report.notes]
    assert "figures/overlay.png" not in files_below(tmp_path / "out")
    assert "figures/flow.png" in files_below(tmp_path / "out")


def test_given_cases_are_those_of_figure_3(study: Study, tmp_path: Path) -> None:
    report_with(Study(study.cohort, labels=study.labels, cases=("c3", "c0")), tmp_path / "out")
    content = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert [shown["case_id"] for shown in content["slices"]] == ["c3", "c0"]


def test_a_cohort_of_other_examinations_is_noted(study: Study, tmp_path: Path) -> None:
    write_measurements(tmp_path / "m.csv", [*measured("c0", volume=990.0), *measured("stranger", volume=990.0)])
    report = write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out", study=Study(study.cohort))
    notes = {note.message: note.cases for note in report.notes if note.code == "LS-REP-042"}
    assert [(message.partition(" CT scan")[0], message.split()[3:6], cases) for message, cases in notes.items()] == [
        ("1", ["in", "the", "measurements"], ("stranger",)),
        ("3", ["of", "test", "datasets"], ("c1", "c2", "c3")),
        ("1", ["with", "different", "patient,"], ("c0",)),
    ]


def test_hostile_exclusions_are_inert(study: Study, tmp_path: Path) -> None:
    report_with(replace(study, exclusions=Exclusions(((HOSTILE, 3),))), tmp_path / "out")
    assert b"<script" not in (tmp_path / "out/figures/flow.svg").read_bytes()
    assert HOSTILE not in page_of(tmp_path / "out")[0]


def test_the_page_has_no_marks_of_text_direction(tmp_path: Path) -> None:
    write_measurements(tmp_path / "m.csv", cohort(condition="\u202eabc"))
    write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    text, _ = page_of(tmp_path / "out")
    assert "\u202e" not in text
    assert "\\u202eabc" in text


def test_the_page_gives_the_reason_of_undefined_numbers(tmp_path: Path) -> None:
    write_measurements(tmp_path / "m.csv", measured("A0", volume=1010.0))
    write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    assert "only 1 pair: SD, limits and t are undefined" in page_of(tmp_path / "out")[0]


def agreement_of(differences: list[float], conditions: list[str]) -> Agreement:
    reference = [1000.0 + 50 * position for position in range(len(differences))]
    test = [value * (200 + d) / (200 - d) for value, d in zip(reference, differences, strict=True)]
    result = bland_altman(test, reference, scale="percent")
    return Agreement("liver", result, tuple(map(str, range(len(test)))), tuple(conditions))


def test_a_figure_draws_and_prints_bias_and_limits_with_units() -> None:
    # Differences 1, 3, 5, 3, 3: bias 3, SD √2, limits 3 ± 2.77.
    conditions = ["healthy", "cld", "cld", "cld", "cld"]
    figure = bland_altman_figure(agreement_of([1.0, 3.0, 5.0, 3.0, 3.0], conditions), "dla", "manual")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["Mean\n3.00", "+1.96 SD\n5.77", "−1.96 SD\n0.23"]
    assert sorted(float(line.get_ydata()[0]) for line in axes.lines) == pytest.approx(
        [0.0, 0.2281, 3.0, 5.7719], abs=1e-4
    )
    assert axes.get_xlabel() == "Mean of dla and manual:\nliver volume (cm³)"
    assert "%" in axes.get_ylabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "Healthy liver",
        "Non-cirrhotic chronic liver disease",
    ]


def test_a_figure_of_one_pair_draws_no_limits() -> None:
    axes = bland_altman_figure(agreement_of([2.0], [""]), "dla", "manual").axes[0]
    assert [text.get_text() for text in axes.texts] == ["Mean\n2.00"]


def test_long_names_do_not_shrink_the_plot() -> None:
    names = [f"{'long name ' * 20}{number}" for number in range(6)]
    figure = bland_altman_figure(agreement_of([float(number) for number in range(6)], names), "a" * 300, "b" * 300)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.axes[0].get_position().size
    assert width > 2.2
    assert height > 1.6


def test_a_figure_has_the_same_bytes_in_every_form() -> None:
    agreement = agreement_of([1.0, 2.0, 4.0], ["cld", "cld", "fatty"])
    for form in FORMS:
        first, second = (figure_bytes(bland_altman_figure(agreement, "a", "b"), form) for _ in range(2))
        assert first == second
        assert b"Date" not in first


@pytest.mark.parametrize("name", ["_hidden", "$\\frac{", "肝硬変", "a\nb"])
def test_any_condition_name_can_be_in_a_figure(name: str) -> None:
    figure = bland_altman_figure(agreement_of([1.0, 2.0, 4.0], [name, name, "fatty"]), name, name)
    assert figure_bytes(figure, "svg").startswith(b"<?xml")
    assert len(figure.legends[0].get_texts()) == 2


def test_more_conditions_than_colours_can_be_drawn() -> None:
    names = [f"c{number}" for number in range(12)]
    figure = bland_altman_figure(agreement_of([float(number) for number in range(12)], names), "dla", "manual")
    assert len(figure.legends[0].get_texts()) == 12


def test_a_condition_of_the_paper_has_one_colour_in_every_figure() -> None:
    def colour(conditions: list[str]) -> list[float]:
        axes = bland_altman_figure(agreement_of([1.0, 2.0], conditions), "dla", "manual").axes[0]
        return axes.collections[-1].get_facecolor()[0].tolist()

    assert colour(["cirrhosis", "cirrhosis"]) == colour(["healthy", "cirrhosis"])
    assert colour(["cirrhosis", "cirrhosis"]) != colour(["healthy", "healthy"])


def test_a_report_of_phantoms_says_so_at_its_top(tmp_path: Path) -> None:
    rows = [
        Measurement(case, case, "test1", "", "", "liver", reader, 100.0, reference=reference, dss=dss, origin=origin)
        for case, origin in (("A", "phantom"), ("B", "phantom"), ("C", ""))
        for reader, reference, dss in (("manual", "", None), ("dla", "manual", 0.9))
    ]
    write_measurements(tmp_path / "some.csv", rows)
    write_measurements(tmp_path / "all.csv", rows[:4])
    write_measurements(tmp_path / "none.csv", rows[4:])
    tops = {}
    for name in ("some", "all", "none"):
        report = write_report(read_measurements(tmp_path / f"{name}.csv"), tmp_path / name)
        tops[name] = page_of(tmp_path / name)[0].split("<h2")[0]
        assert [note.cases for note in report.notes if note.code == "LS-REP-060"] == (
            [] if name == "none" else [("A", "B")]
        )
    assert "All CT scans are phantoms, which are computed images: no number is about patients." in tops["all"]
    assert "2 of 3 CT scans are phantoms" in tops["some"]
    assert "phantom" not in tops["none"]
