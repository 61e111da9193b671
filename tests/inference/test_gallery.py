"""The gallery of a folder of predictions: its cases, their order, and what a browser makes of it."""

from __future__ import annotations

import csv
import time
from dataclasses import asdict, dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from PIL import Image

from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.inference.case_files import CaseFiles, Settings, Sidecar
from liverspleen.inference.gallery import GALLERY
from liverspleen.inference.tables import remove_tables, write_tables
from liverspleen.records import write_record
from liverspleen.storage import sha256_of

SETTINGS = asdict(Settings("abc", "torch", "fp32", False))
HOSTILE = "<script>alert(1)<!-- \"'&#1?%41:b"
LIVER = Measurement("", "", "", "", "", "liver", "dla", 1500.34, hu_mean=-10.4, hu_sd=12.6, hu_status="ok")
SPLEEN = replace(LIVER, structure="spleen", volume_cm3=200.0, hu_mean=110.0)


def written(folder: Path, case_id: str, score: float = 0.0, **more: Any) -> CaseFiles:
    """Write the files of a finished case with a picture; `more` are entries of its sidecar."""
    files = CaseFiles(folder, case_id)
    Image.new("RGB", (60, 50), (200, 0, 0)).save(files.picture)
    return sidecar(files, score, names=[files.picture], **more)


def sidecar(files: CaseFiles, score: float, *, names: list[Path], **more: Any) -> CaseFiles:
    rows = more.pop("rows", (LIVER, SPLEEN))
    files.label_map.touch()
    for file in names:
        if not file.exists():
            file.touch()
    content = {
        "format": 2,
        "case_id": files.case_id,
        "warnings": [],
        "settings": SETTINGS,
        "files": {file.name: sha256_of(file) for file in (files.label_map, *names)},
        "covered": [row.structure for row in rows],
        "review": {"score": score, "reasons": more.pop("reasons", [])},
        "faces": {},
        **more,
    }
    Sidecar(content, tuple(replace(row, case_id=files.case_id) for row in rows)).write(files.sidecar)
    return files


def reject(folder: Path, case_id: str, line: str = "LS-IMG-003: not a NIfTI; convert it") -> None:
    content = {"format": 2, "case_id": case_id, "settings": SETTINGS, "issues": [["LS-IMG-003", line]]}
    write_record(CaseFiles(folder, case_id).rejection, content)


@dataclass
class Card:
    """What a page says about a case: its text, and its links and images as decoded file names."""

    text: str = ""
    case_id: str = ""
    links: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """The cards of a page, and the elements that its text opened."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.cards: list[Card] = []
        self.tags: list[str] = []
        self._body = self._heading = False
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self._body = self._body or tag == "tbody"
        self._heading = tag == "h2" or (self._heading and tag == "bdi")
        if self._body and tag == "tr":
            self.cards.append(Card())
        if self._body and tag == "a":
            self.cards[-1].links.append(unquote(found["href"]))
        if tag == "img":
            self.cards[-1].images.append(unquote(found["src"]))

    def handle_endtag(self, tag: str) -> None:
        self._body = self._body and tag != "tbody"
        self._heading = self._heading and tag != "h2"

    def handle_data(self, data: str) -> None:
        if self._body and self.cards:
            self.cards[-1].text += f" {data}"
            self.cards[-1].case_id += data if self._heading else ""


def cards(folder: Path) -> dict[str, Card]:
    return {card.case_id: card for card in Page(folder / GALLERY).cards}


def reviewed(folder: Path) -> list[str]:
    with (folder / "review.csv").open(encoding="utf-8", newline="") as handle:
        return [row["case_id"] for row in csv.DictReader(handle)]


def test_the_cases_are_in_the_order_of_the_review(tmp_path: Path) -> None:
    for case_id, score in (("b", 0.25), ("a", 0.25), ("c", 0.75), ("e", 0.0)):
        written(tmp_path, case_id, score)
    reject(tmp_path, "z")
    reject(tmp_path, "y")
    assert tmp_path / GALLERY in write_tables(tmp_path)
    assert [*cards(tmp_path)] == reviewed(tmp_path) == ["y", "z", "c", "a", "b", "e"]


def test_a_card_has_volumes_statuses_attenuation_score_reasons_and_warnings(tmp_path: Path) -> None:
    spleen = replace(SPLEEN, volume_status="truncated;multi_part", hu_status="clipped")
    warning = ["LS-IMG-012", "values end at 200 HU", "export the CT again"]
    more: dict[str, Any] = {"faces": {"spleen": ["superior", "left"]}, "warnings": [warning]}
    written(tmp_path, "a", 0.5, rows=(LIVER, spleen), reasons=["spleen: holes", "liver: islands"], **more)
    write_tables(tmp_path)
    text = " ".join(cards(tmp_path)["a"].text.split())
    for expected in (
        "0.500",
        "1500.3 cm³ ok Attenuation −10 ± 13 HU",
        "200.0 cm³ truncated Organ is truncated by the image, so the volume is a lower bound multi_part Organ has",
        "faces superior, left",
        "Attenuation 110 ± 13 HU clipped CT is clipped in the core",
        "spleen: holes liver: islands LS-IMG-012 values end at 200 HU; export the CT again",
    ):
        assert expected in text


def test_organs_without_volume_or_attenuation_say_so(tmp_path: Path) -> None:
    written(tmp_path, "a", rows=(replace(LIVER, hu_mean=None, hu_sd=None, hu_status=""),))
    absent = {"volume_cm3": 0.0, "volume_status": "absent", "hu_mean": None, "hu_sd": None, "hu_status": "absent"}
    written(tmp_path, "b", rows=(LIVER, replace(SPLEEN, **absent)))
    write_tables(tmp_path)
    found = cards(tmp_path)
    assert "not taught to the model" in found["a"].text
    assert "Attenuation" not in found["a"].text
    assert "0.0 cm³" in found["b"].text
    assert "Undefined: no voxel of the organ was found" in found["b"].text


def test_a_failed_case_has_a_card_with_the_reason_and_no_files(tmp_path: Path) -> None:
    written(tmp_path, "edited").label_map.write_bytes(b"corrected by hand")
    written(tmp_path, "a")
    reject(tmp_path, "a")  # the label map is of an earlier run
    damaged = written(tmp_path, "damaged").sidecar
    damaged.write_bytes(damaged.read_bytes().replace(b'"score": 0.0', b'"score": 0.1'))
    write_tables(tmp_path)
    found = cards(tmp_path)
    for case_id, reason in (("a", "not a NIfTI; convert it"), ("edited", "was edited"), ("damaged", "LS-FMT-005")):
        assert reason in found[case_id].text
        assert "no label map" in found[case_id].text
        assert "no volume" in found[case_id].text
        assert found[case_id].links == found[case_id].images == []
    assert "3 cases, 3 without a label map" in (tmp_path / GALLERY).read_text(encoding="utf-8")


def test_links_lead_to_the_files_of_the_case_that_exist(tmp_path: Path) -> None:
    for name in (HOSTILE, "1.2 é=b"):
        files = CaseFiles(tmp_path, name)
        Image.new("RGB", (6, 5)).save(files.picture)
        sidecar(files, 0.0, names=[files.picture, files.segmentation, files.report, *files.probabilities])
    missing = written(tmp_path, "no picture")
    missing.picture.unlink()
    stale = sidecar(CaseFiles(tmp_path, "stale"), 0.0, names=[])
    stale.segmentation.touch()  # of another label map: it is not in the sidecar
    write_tables(tmp_path)
    found = cards(tmp_path)
    for name in (HOSTILE, "1.2 é=b"):
        files = CaseFiles(tmp_path, name)
        assert found[name].images == [files.picture.name]
        others = (files.label_map, files.segmentation, files.report, *files.probabilities)
        assert sorted(found[name].links) == sorted([files.picture.name, *(file.name for file in others)])
        assert all((tmp_path / link).is_file() for link in found[name].links)
    for files in (missing, stale):
        assert found[files.case_id].images == []
        assert "No picture in the folder" in found[files.case_id].text
        assert found[files.case_id].links == [files.label_map.name]


def test_text_of_the_input_is_never_markup(tmp_path: Path) -> None:
    markup = "<img src=x onerror=alert(1)> </script> \u202e reversed"
    written(tmp_path, HOSTILE, reasons=[markup], warnings=[["LS-IMG-012", markup, markup]])
    reject(tmp_path, "r", markup)
    write_tables(tmp_path)
    page = Page(tmp_path / GALLERY)
    assert HOSTILE in {card.case_id for card in page.cards}
    assert page.tags.count("img") == page.tags.count("script") == 1
    text = (tmp_path / GALLERY).read_text(encoding="utf-8")
    assert "\u202e" not in text
    assert markup.replace("\u202e", "\\u202e") in page.cards[0].text


def test_the_page_is_kept_if_nothing_changed_and_follows_the_folder(tmp_path: Path) -> None:
    written(tmp_path, "a", 0.5)
    written(tmp_path, "b", 0.1)
    write_tables(tmp_path)
    first, stamp = (tmp_path / GALLERY).read_bytes(), (tmp_path / GALLERY).stat().st_mtime_ns
    write_tables(tmp_path)
    assert ((tmp_path / GALLERY).read_bytes(), (tmp_path / GALLERY).stat().st_mtime_ns) == (first, stamp)
    remove_tables(tmp_path)  # as a resumed run before its first case
    assert not (tmp_path / GALLERY).exists()
    written(tmp_path, "c", 0.9)
    write_tables(tmp_path)
    assert [*cards(tmp_path)] == ["c", "a", "b"]
    for file in tmp_path.glob("c_dseg*"):
        file.unlink()
    write_tables(tmp_path)
    assert (tmp_path / GALLERY).read_bytes() == first


def test_an_index_of_another_program_is_kept(tmp_path: Path) -> None:
    written(tmp_path, "a")
    (tmp_path / GALLERY).write_text("<p>my page</p>")
    remove_tables(tmp_path)
    assert tmp_path / GALLERY not in write_tables(tmp_path)
    assert (tmp_path / GALLERY).read_text() == "<p>my page</p>"
    (tmp_path / GALLERY).unlink()
    (tmp_path / GALLERY).mkdir()
    assert tmp_path / GALLERY not in write_tables(tmp_path)


def test_a_folder_without_cases_has_a_page(tmp_path: Path) -> None:
    write_tables(tmp_path)
    assert "There are no cases." in (tmp_path / GALLERY).read_text(encoding="utf-8")


def test_model_of_phantoms_is_stated(tmp_path: Path) -> None:
    written(tmp_path, "a", phantoms_only=True)
    write_tables(tmp_path)
    assert "The label maps were made by a model that was trained on phantoms only" in (tmp_path / GALLERY).read_text()
    written(tmp_path, "b")
    write_tables(tmp_path)
    assert "1 of 2 label maps were made by a model" in (tmp_path / GALLERY).read_text()


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """The gallery of three predicted cases and a failed one."""
    folder = tmp_path / "out #1 é"
    folder.mkdir()
    for case_id, score, volume in (("a", 0.1, 90.0), (HOSTILE, 0.9, 1000.0), ("c10", 0.5, 200.0)):
        reasons = ["spleen: speckle"] if case_id == "a" else []
        written(folder, case_id, score, rows=(replace(LIVER, volume_cm3=volume), SPLEEN), reasons=reasons)
    reject(folder, "bad")
    write_tables(folder)
    return folder / GALLERY


def shown(page: Any) -> list[str]:
    return [name[0] for name in page.locator("tbody tr:visible h2").all_inner_texts()]


@pytest.mark.browser
def test_a_browser_filters_sorts_and_moves_without_requests_or_errors(browser: Any, gallery: Path) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    problems: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(gallery.as_uri())
    assert shown(page) == ["b", "<", "c", "a"]

    sort = page.get_by_role("button", name="Liver volume")
    sort.click()
    assert shown(page) == ["a", "c", "<", "b"]  # 90, 200, 1000 cm³; unknown volumes last
    sort.click()
    assert shown(page) == ["<", "c", "a", "b"]
    page.get_by_role("button", name="Score").click()
    assert shown(page) == ["a", "c", "<", "b"]
    page.get_by_role("button", name="Review order").click()
    assert shown(page) == ["b", "<", "c", "a"]

    page.get_by_label("Filter").fill("SPECKLE")
    assert shown(page) == ["a"]
    page.get_by_label("Filter").fill("")
    page.get_by_label("Filter").press("ArrowRight")  # moves the caret only
    assert page.evaluate("document.activeElement.tagName") == "INPUT"

    focused = "document.activeElement.querySelector('h2')?.textContent[0]"
    page.get_by_role("heading", level=1).click()
    moves = {"ArrowRight": ["b", "<", "c", "a", "a"], "ArrowLeft": ["c", "<", "b", "b"]}
    for key, expected in moves.items():
        found = []
        for _ in expected:
            page.keyboard.press(key)
            found.append(page.evaluate(focused))
        assert found == expected

    page.wait_for_function("[...document.images].every((image) => image.complete && image.naturalWidth === 60)")
    assert problems == []
    assert all(url.startswith(gallery.parent.as_uri()) for url in requests)
    assert len(requests) == 4
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
def test_a_narrow_window_shows_everything_also_without_javascript(
    browser: Any, gallery: Path, javascript: bool
) -> None:
    context = browser.new_context(viewport={"width": 420, "height": 900}, java_script_enabled=javascript)
    page = context.new_page()
    page.goto(gallery.as_uri())
    assert shown(page) == ["b", "<", "c", "a"]
    assert page.locator("tbody tr:visible").count() == 4
    boxes = [one.bounding_box() for one in page.locator("tbody tr, tbody td:not(.order), header p:visible").all()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 420 for box in boxes)
    assert page.get_by_role("row", name="speckle").count() == 1
    assert page.get_by_role("button").count() == (5 if javascript else 0)
    assert page.get_by_label("Filter").count() == javascript
    context.close()


@pytest.mark.slow
def test_a_thousand_cases_take_less_than_two_seconds(tmp_path: Path) -> None:
    for number in range(1000):
        sidecar(CaseFiles(tmp_path, f"case {number}"), number / 1000, names=[], reasons=["liver: holes"] * 3)
    began = time.process_time()
    write_tables(tmp_path)
    assert time.process_time() - began < 2
