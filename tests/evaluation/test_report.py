"""The report folder: complete, the same for the same input, self-contained, and inert to hostile names."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from liverspleen.evaluation.agreement import bland_altman
from liverspleen.evaluation.figures import bland_altman_figure, figure_bytes
from liverspleen.evaluation.measurements import Measurement, read_measurements, write_measurements
from liverspleen.evaluation.report import write_report
from liverspleen.evaluation.tables import Agreement
from liverspleen.storage import sha256_of

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


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_measurements(tmp_path / "m.csv", cohort())
    write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    return tmp_path / "out"


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Page(HTMLParser):
    """Tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]


def page_of(folder: Path) -> tuple[str, Page]:
    text = (folder / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    return text, page


def test_a_report_has_its_tables_figures_numbers_and_page(written: Path) -> None:
    tables = {
        f"tables/{name}.{form}" for name in ("table2", "table3", "table4", "reproducibility") for form in ("csv", "md")
    }
    figures = {
        f"figures/bland_altman_{index}.{form}" for index in ("liver", "spleen", "ratio") for form in ("svg", "png")
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
    write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "again")
    assert files_below(tmp_path / "again") == files_below(written)


def test_the_page_asks_nothing_of_any_network(written: Path) -> None:
    text, page = page_of(written)
    assert not re.search(r"https?://|@import|url\(", text)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert page.addresses
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    for address in page.addresses:
        assert b"<svg" in base64.b64decode(address.partition(",")[2])


def test_the_page_says_research_use_only_and_every_text_of_the_tables(written: Path) -> None:
    text, _ = page_of(written)
    assert "Research use only" in text
    for cell in json.loads((written / "report.json").read_text(encoding="utf-8"))["cells"]:
        assert cell["text"].replace("<", "&lt;") in text


def test_hostile_names_are_inert_on_the_page_and_in_the_figures(tmp_path: Path) -> None:
    rows = [*cohort(condition=HOSTILE), *measured(HOSTILE, volume=0.0)]
    write_measurements(tmp_path / "m.csv", rows)
    write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    text, page = page_of(tmp_path / "out")
    assert "script" not in page.tags
    assert "&lt;script&gt;" in text
    for svg in (tmp_path / "out/figures").glob("*.svg"):
        assert b"<script" not in svg.read_bytes()


def test_what_an_earlier_report_left_is_removed(written: Path, tmp_path: Path) -> None:
    write_measurements(tmp_path / "m.csv", [row for row in cohort() if row.dataset == "test1"])
    (written / "tables/mine.txt").write_text("kept")
    write_report(read_measurements(tmp_path / "m.csv"), written)
    left = set(files_below(written))
    assert "tables/table4.csv" not in left
    assert {"tables/table3.csv", "tables/mine.txt"} <= left


def test_a_report_without_any_table_is_still_a_page(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("case_id,structure,reader,volume_cm3\nA,liver,me,5\n")
    report = write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    assert report.cells == ()
    assert "No table could be made" in page_of(tmp_path / "out")[0]
    assert set(files_below(tmp_path / "out")) == {"report.json", "report.html"}


def test_undefined_numbers_tell_their_reason_on_the_page(tmp_path: Path) -> None:
    write_measurements(tmp_path / "m.csv", measured("A0", volume=1010.0))
    write_report(read_measurements(tmp_path / "m.csv"), tmp_path / "out")
    assert "one pair has no SD, limits or t" in page_of(tmp_path / "out")[0]


def agreement_of(differences: list[float], conditions: list[str]) -> Agreement:
    reference = [1000.0 + 50 * position for position in range(len(differences))]
    test = [value * (200 + d) / (200 - d) for value, d in zip(reference, differences, strict=True)]
    result = bland_altman(test, reference, scale="percent")
    return Agreement("liver", result, tuple(map(str, range(len(test)))), tuple(conditions))


def test_a_figure_draws_and_prints_bias_and_limits_with_units() -> None:
    # Differences 1, 3, 5: bias 3, limits 3 ± 3.92.
    figure = bland_altman_figure(agreement_of([1.0, 3.0, 5.0], ["healthy", "cld", "cld"]), "dla", "manual")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["Mean\n3.00", "+1.96 SD\n6.92", "−1.96 SD\n−0.92"]
    assert sorted(float(line.get_ydata()[0]) for line in axes.lines) == pytest.approx([-0.92, 0.0, 3.0, 6.92])
    assert axes.get_xlabel() == "Mean of dla and manual: liver volume (cm³)"
    assert "%" in axes.get_ylabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "Healthy liver",
        "Non-cirrhotic chronic liver disease",
    ]


def test_a_figure_of_one_pair_draws_no_limits() -> None:
    axes = bland_altman_figure(agreement_of([2.0], [""]), "dla", "manual").axes[0]
    assert [text.get_text() for text in axes.texts] == ["Mean\n2.00"]


@pytest.mark.parametrize("name", ["_hidden", "$\\frac{", "肝硬変", "a\nb"])
def test_any_condition_name_can_stand_in_a_figure(name: str) -> None:
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
