"""The DICOM structured report of a predicted case: its values, statuses and references, read by independent readers."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from liverspleen import __version__
from liverspleen.cohort.scans import ScanCase, open_scans, write_case_segmentation
from liverspleen.evaluation.measurements.measure_case import measure_case
from liverspleen.evaluation.measurements.table import Measurement
from liverspleen.evaluation.metrics.attenuation import KnownCT
from liverspleen.evaluation.metrics.volume import STATUSES
from liverspleen.imaging import CTVolume, Geometry, LabelMap
from liverspleen.imaging.dicom import (
    OrganValues,
    UnreferableError,
    find_segmentations,
    write_report,
    write_series,
)
from liverspleen.inference.case_report import report_content
from liverspleen.organs import ORGANS, Structure

MODEL = "0123456789abcdef" * 4
SETTINGS = {"model_sha256": MODEL, "engine": "torch", "flips": False, "postprocessing": {"liver": "main_parts"}}
NAMES: dict[str, Any] = {
    "PatientName": "Müller^Jörg",
    "PatientID": "MRN-17",
    "AccessionNumber": "A-5",
    "StudyDate": "20200102",
}


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def boxes(*organs: Structure) -> tuple[CTVolume, LabelMap]:
    """Boxes of 51.2 and 12.8 cm³ on voxels of 2 mm; half of the slices of the liver have 40 HU, half 60 HU."""
    geometry = Geometry((40, 30, 24), np.diag([-2.0, -2.0, 2.0, 1.0]))
    labels = np.zeros(geometry.canonical_shape, np.uint8)
    if Structure.LIVER in organs:
        labels[4:20, 4:24, 2:22] = Structure.LIVER
    if Structure.SPLEEN in organs:
        labels[4:20, 4:14, 27:37] = Structure.SPLEEN
    hu = np.full(labels.shape, -100, np.int16)
    hu[:12, :, :24], hu[12:, :, :24], hu[:, :, 24:] = 40, 60, 110
    return CTVolume(hu, geometry), LabelMap(labels, geometry, ORGANS)


def scan_of(folder: Path, ct: CTVolume, **tags: object) -> ScanCase:
    write_series(folder, ct, tags=tags)
    with open_scans(folder) as scans:
        (scan,) = scans.cases
    return scan


def measured(label_map: LabelMap, ct: CTVolume | None) -> list[Measurement]:
    return measure_case("a", {"dla": label_map}, ct=KnownCT(ct))


def written(
    folder: Path,
    *organs: Structure,
    rows: Sequence[Measurement] | None = None,
    covered: tuple[Structure, ...] = ORGANS,
    model: str = "our model",
    **tags: object,
) -> tuple[Path, list[Measurement]]:
    """Write CT, segmentation `x_dseg.dcm` and report; return the report and the rows that it was made of."""
    ct, label_map = boxes(*organs)
    label_map = replace(label_map, covered=covered)
    scan = scan_of(folder / "ct", ct, **tags)
    rows = measured(label_map, ct) if rows is None else list(rows)
    content = report_content(rows, model, SETTINGS, ["liver: look at slice 3"])
    file = folder / "out" / "x_measurements.dcm"
    note = write_case_segmentation(folder / "out" / "x_dseg.dcm", scan, label_map, report=(file, content))
    assert note is None
    return file, rows


def groups(file: Path) -> dict[str, Any]:
    """Return the groups of measurements by tracking identifier, as highdicom reads them."""
    report: Any = highdicom.sr.srread(file).content
    found = [*report.get_volumetric_roi_measurement_groups(), *report.get_image_measurement_groups()]
    return {group.tracking_identifier: group for group in found}


def values(group: Any) -> dict[tuple[str, str], tuple[float, str]]:
    """Return value and unit by name and derivation."""
    return {
        (m.name.value, m.derivation.value if m.derivation else ""): (m.value, m.unit.value)
        for m in group.get_measurements()
    }


def statuses(group: Any) -> list[tuple[str, str]]:
    found = [(e.name.value, e.value.value, e.value.scheme_designator) for e in group.get_qualitative_evaluations()]
    return [(name, value) for name, value, scheme in found if scheme == "99LIVERSPLEEN"]


VOLUME, MEAN, SD = ("118565006", ""), ("112031", "373098007"), ("112031", "386136009")


def test_highdicom_reads_the_values_of_the_rows(tmp_path: Path) -> None:
    file, rows = written(tmp_path, *ORGANS)
    found = groups(file)
    assert list(found) == ["liver", "spleen", "ratio"]
    for row in rows:
        assert row.volume_cm3 is not None
        assert row.hu_mean is not None
        assert row.hu_sd is not None
        assert values(found[row.structure]) == {
            VOLUME: (row.volume_cm3, "cm3"),
            MEAN: (row.hu_mean, "[hnsf'U]"),
            SD: (row.hu_sd, "[hnsf'U]"),
        }
        assert statuses(found[row.structure]) == [("volume_status", row.volume_status), ("hu_status", row.hu_status)]
    liver, spleen = values(found["liver"]), values(found["spleen"])
    assert (liver[VOLUME][0], spleen[VOLUME][0]) == pytest.approx((51.2, 12.8))
    # the core is 16 x 16 x 12 voxels, half of them with 40 HU
    assert (liver[MEAN][0], liver[SD][0]) == pytest.approx((50.0, 10 * (3072 / 3071) ** 0.5))
    assert (spleen[MEAN][0], spleen[SD][0]) == (110.0, 0.0)
    ((name, _), (ratio, unit)) = values(found["ratio"]).popitem()
    assert (name, unit) == ("volume_ratio", "{ratio}")
    assert ratio == pytest.approx(4.0)
    # such a liver is implausible, and so is the ratio
    assert statuses(found["ratio"]) == [("ratio_status", "implausible")]


def test_values_without_a_short_decimal_are_exact(tmp_path: Path) -> None:
    _, label_map = boxes(*ORGANS)
    rows = [replace(row, volume_cm3=row.volume_cm3 / 3, hu_mean=100 / 7, hu_sd=2**0.5, hu_core_mm=2.5)
            for row in measured(label_map, None) if row.volume_cm3]  # fmt: skip
    file, _ = written(tmp_path, *ORGANS, rows=rows)
    for row in rows:
        found = values(groups(file)[row.structure])
        assert [found[key][0] for key in (VOLUME, MEAN, SD)] == [row.volume_cm3, row.hu_mean, row.hu_sd]


def test_each_group_refers_to_its_segment_and_to_the_series_of_the_ct(tmp_path: Path) -> None:
    file, _ = written(tmp_path, *ORGANS)
    segmentation = highdicom.seg.segread(tmp_path / "out" / "x_dseg.dcm")
    headers = [pydicom.dcmread(path) for path in sorted((tmp_path / "ct").iterdir())]
    for organ in ORGANS:
        group = groups(file)[organ.key]
        segment, series = group.referenced_segment
        item = segment.ReferencedSOPSequence[0]
        assert item.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
        described = segmentation.get_segment_description(item.ReferencedSegmentNumber)
        assert described.segmented_property_type.value == organ.facts.sct
        assert str(series.UID) == str(headers[0].SeriesInstanceUID)
        assert group.finding_type.value == organ.facts.sct
        assert [site.value.value for site in group.finding_sites] == [organ.facts.sct]
        methods = [m.method.value for m in group.get_measurements()]
        assert methods == ["126030", "core_5_mm", "core_5_mm"]
    assert [s.value.value for s in groups(file)["ratio"].finding_sites] == [organ.facts.sct for organ in ORGANS]
    evidence = {uids[2] for uids in highdicom.sr.srread(file).get_evidence(current_procedure_only=True)}
    assert evidence == {segmentation.SOPInstanceUID, *(header.SOPInstanceUID for header in headers)}


def test_report_belongs_to_the_patient_and_says_what_it_is(tmp_path: Path) -> None:
    file, _ = written(tmp_path, *ORGANS, SpecificCharacterSet="ISO_IR 100", **NAMES)
    dataset, source = pydicom.dcmread(file), pydicom.dcmread(next((tmp_path / "ct").iterdir()))
    for keyword in ("StudyInstanceUID", *NAMES):
        assert dataset[keyword].value == source[keyword].value
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID
    assert (dataset.CompletionFlag, dataset.VerificationFlag, dataset.PreliminaryFlag) == (
        "COMPLETE",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    assert (dataset.Manufacturer, dataset.SoftwareVersions) == ("liverspleen", __version__)
    comment = dataset.ContentSequence[-1]
    assert comment.ConceptNameCodeSequence[0].CodeValue == "121106"
    assert comment.TextValue.splitlines() == [
        "Research use only, not for diagnosis or treatment. Not checked by a reader.",
        "liver: look at slice 3",
    ]
    assert dataset.SeriesDescription == "Liver and spleen, measurements, research use only"
    for group in groups(file).values():
        texts = {item.TextValue for item in group[0].ContentSequence if item.ValueType == "TEXT"}
        assert texts >= {
            *("liverspleen", __version__, "model: our model", f"model_sha256: {MODEL}"),
            *("engine: torch", "flips: false", "postprocessing: liver main_parts"),
        }


def test_without_hu_there_is_no_attenuation_but_the_reason(tmp_path: Path) -> None:
    _, label_map = boxes(*ORGANS)
    file, _ = written(tmp_path, *ORGANS, rows=measured(label_map, None))
    for organ in ORGANS:
        group = groups(file)[organ.key]
        assert set(values(group)) == {VOLUME}
        assert ("hu_status", "no_hu") in statuses(group)


def test_absent_spleen_has_no_attenuation_and_no_ratio_but_the_reasons(tmp_path: Path) -> None:
    file, _ = written(tmp_path, Structure.LIVER)
    found = groups(file)
    assert values(found["spleen"]) == {VOLUME: (0.0, "cm3")}
    assert statuses(found["spleen"]) == [("volume_status", "absent"), ("hu_status", "absent")]
    assert values(found["ratio"]) == {}
    assert statuses(found["ratio"]) == [("ratio_status", "undefined")]
    (reason,) = (e.value.meaning for e in found["ratio"].get_qualitative_evaluations() if e.name.value[:5] == "ratio")
    assert reason == "Undefined: a volume is unknown, or the divisor is 0"


def test_a_volume_that_is_undefined_is_left_out(tmp_path: Path) -> None:
    ct, label_map = boxes(*ORGANS)
    rows = [replace(row, volume_cm3=None) for row in measured(label_map, ct)]
    file, _ = written(tmp_path, *ORGANS, rows=rows)
    assert set(values(groups(file)["liver"])) == {MEAN, SD}
    assert statuses(groups(file)["ratio"]) == [("ratio_status", "undefined")]


def test_an_organ_that_the_model_was_not_taught_has_no_group_and_no_ratio(tmp_path: Path) -> None:
    file, _ = written(tmp_path, *ORGANS, covered=(Structure.SPLEEN,))
    assert list(groups(file)) == ["spleen"]
    assert groups(file)["spleen"].referenced_segment[0].ReferencedSOPSequence[0].ReferencedSegmentNumber == 1
    assert pydicom.dcmread(file).SeriesDescription == "Spleen, measurements, research use only"


def test_each_status_and_name_can_be_written(tmp_path: Path) -> None:
    ct, label_map = boxes(*ORGANS)
    rows = [replace(row, volume_status=";".join(STATUSES)) for row in measured(label_map, ct)]
    file, _ = written(tmp_path, *ORGANS, rows=rows, model="Modèle\n肝\0" * 200)
    assert [value for name, value in statuses(groups(file)["liver"]) if name == "volume_status"] == list(STATUSES)
    assert [value for _, value in statuses(groups(file)["ratio"])] == list(STATUSES[1:])
    name = next(
        item.TextValue for item in groups(file)["liver"][0].ContentSequence if "Mod" in item.get("TextValue", "")
    )
    assert name == "model: " + ("Modèle 肝" * 200)[:200]
    for item in pydicom.dcmread(file).iterall():
        assert item.VR not in ("SH", "LO") or len(str(item.value)) <= {"SH": 16, "LO": 64}[item.VR]


def test_the_same_segmentation_and_values_give_the_same_bytes(tmp_path: Path) -> None:
    file, rows = written(tmp_path, *ORGANS)
    segmentation = tmp_path / "out" / "x_dseg.dcm"
    content = report_content(rows, "our model", SETTINGS, ["liver: look at slice 3"])
    write_report(tmp_path / "again.dcm", segmentation, content)
    assert (tmp_path / "again.dcm").read_bytes() == file.read_bytes()
    write_report(tmp_path / "other.dcm", segmentation, replace(content, ratio=4.5))
    uids = {pydicom.dcmread(tmp_path / name).SOPInstanceUID for name in ("again.dcm", "other.dcm")}
    assert len(uids) == 2


def test_pydicom_writes_the_same_dataset_again(tmp_path: Path) -> None:
    file, _ = written(tmp_path, *ORGANS, **NAMES)
    dataset = pydicom.dcmread(file)
    dataset.save_as(tmp_path / "again.dcm", enforce_file_format=True)
    assert pydicom.dcmread(tmp_path / "again.dcm") == dataset


def test_segmentation_and_report_are_written_together_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise UnreferableError("headers of the CT cannot be copied (TypeError)")

    ct, label_map = boxes(*ORGANS)
    scan = scan_of(tmp_path / "ct", ct)
    monkeypatch.setattr("liverspleen.cohort.scan_case.write_report", fail)
    content = report_content(measured(label_map, ct), "", SETTINGS, [])
    note = write_case_segmentation(tmp_path / "x.dcm", scan, label_map, report=(tmp_path / "m.dcm", content))
    assert str(note).startswith("LS-SCN-012")
    assert [file.name for file in tmp_path.glob("*.dcm")] == []


def test_an_organ_without_a_segment_is_an_error(tmp_path: Path) -> None:
    written(tmp_path, *ORGANS, covered=(Structure.LIVER,))
    spleen = OrganValues(Structure.SPLEEN, 1.0, {"ok": "No sign of an error"})
    content = report_content([], "", SETTINGS, [])
    with pytest.raises(LookupError, match="no segment of spleen"):
        write_report(tmp_path / "m.dcm", tmp_path / "out" / "x_dseg.dcm", replace(content, organs=[spleen]))


def test_a_report_is_neither_a_ct_nor_a_segmentation(tmp_path: Path) -> None:
    file, _ = written(tmp_path, *ORGANS)
    (segmentation,) = find_segmentations(tmp_path / "out")
    assert segmentation.file != file
    shutil.copy(file, tmp_path / "ct")
    with open_scans(tmp_path / "ct") as scans:
        (scan,) = scans.cases
    assert file.name not in {path.name for path in scan.files}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("organs", [ORGANS, (Structure.LIVER,)])
def test_dciodvfy_finds_no_error(organs: tuple[Structure, ...], tmp_path: Path) -> None:
    file, _ = written(tmp_path, *organs, **NAMES)
    checked = subprocess.run(["dciodvfy", "-new", file], capture_output=True, text=True, check=False)
    lines = (checked.stderr + checked.stdout).splitlines()
    assert "EnhancedSR" in lines
    assert [line for line in lines if line.startswith("Error")] == []
