"""No text that identifies a person is imported: all outputs are searched for planted text."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import pydicom
import pytest
import source_files
from pydicom.datadict import DicomDictionary
from source_files import box_exam

from liverspleen.cli.main import main
from liverspleen.imaging.dicom import write_segmentation, write_series

SECRET = "Kzybylski"
NUMBER = "8675309777"
DATE = "19560704"
PLANTED = (SECRET.lower(), NUMBER, DATE)
# What these VRs may hold by the standard; the other text VRs hold any text.
VALUES = {"DA": DATE, "DT": f"{DATE}101112", "TM": "101112.867530", "UI": f"1.2.{NUMBER}", "AS": "077Y"}
TEXT = {"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
KEPT = {"Modality", "ImageType", "PhotometricInterpretation", "PatientSex", "SpecificCharacterSet"}


def plant(dataset: pydicom.Dataset) -> None:
    """Identifying text in a field of every text VR the dictionary has, in private elements, and in a sequence."""
    planted = set()
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        group = tag >> 16
        if not keyword or retired or keyword in KEPT or keyword in dataset or group in (0x0000, 0x0002, 0x0004):
            continue
        if vr in TEXT | set(VALUES) and sum(vr == other for other, _ in planted) < 40:
            planted.add((vr, keyword))
            setattr(dataset, keyword, VALUES.get(vr, SECRET[:16]))
    for keyword in ("PatientName", "PatientID", "SeriesDescription", "ProtocolName", "InstitutionName"):
        setattr(dataset, keyword, f"{SECRET} {NUMBER}")
    dataset.PatientBirthDate = DATE
    item = pydicom.Dataset()
    item.PatientName, item.CodeMeaning = f"{SECRET}^A", SECRET
    dataset.RequestAttributesSequence = [item]
    item.OtherPatientIDsSequence = [pydicom.Dataset()]
    item.OtherPatientIDsSequence[0].PatientID = NUMBER
    block = dataset.private_block(0x0029, SECRET, create=True)
    block.add_new(0x01, "LO", SECRET)
    block.add_new(0x02, "OB", SECRET.encode())


def dicom_source(folder: Path) -> list[str]:
    """Good and bad series under identifying names, with one segmentation."""
    for number, name in enumerate(["good", "cut", "few", "odd"]):
        place = folder / f"{SECRET}_{NUMBER}" / f"{name} {SECRET}"
        files = write_series(place, box_exam("x", seed=number, slices=2 if name == "few" else 6).ct)
        for file in files:
            with pydicom.config.disable_value_validation():
                dataset = pydicom.dcmread(file)
                plant(dataset)
                if name == "odd":
                    dataset.Modality = SECRET.upper()
                dataset.save_as(file.with_name(f"{SECRET}-{file.name}"))
            file.unlink()
        if name == "cut":
            cut = sorted(place.iterdir())[2]
            cut.write_bytes(cut.read_bytes()[:-500])
    good = folder / f"{SECRET}_{NUMBER}" / f"good {SECRET}"
    segmentation = good / f"{SECRET}.dcm"
    write_segmentation(segmentation, box_exam("x").label, sorted(good.glob("*.dcm")))
    (folder / f"{SECRET}.nii.gz").write_bytes(SECRET.encode())
    (good / f"{SECRET}.{SECRET}").write_bytes(SECRET.encode())
    return [f"labels={folder}"]


def nifti_source(folder: Path) -> list[str]:
    words = source_files.nifti(folder, [box_exam(f"{SECRET}{i}", seed=i) for i in range(3)])
    for file in (folder / "images").iterdir():
        image = nib.load(file)
        array = image.get_fdata().astype("int16")
        header = image.header.copy()
        header["descrip"], header["aux_file"] = f"{SECRET} {NUMBER}", SECRET
        header["db_name"], header["intent_name"] = SECRET, SECRET[:15]
        header.extensions.append(nib.nifti1.Nifti1Extension("comment", f"{SECRET} {DATE}".encode()))
        nib.save(nib.Nifti1Image(array, image.affine, header), file)
    broken = folder / "images" / f"{SECRET}1.nii.gz"
    broken.write_bytes(broken.read_bytes()[:-100])
    (folder / "images" / f"{SECRET}9.nii.gz").write_bytes(SECRET.encode())
    for name in (f"{SECRET}.mgz", f"{SECRET}.{SECRET}", f"{SECRET}.tar.gz", f"masks/{SECRET}0_seg.nii.gz"):
        (folder / name).write_bytes(SECRET.encode())
    return words


def nnunet_source(folder: Path) -> list[str]:
    words = source_files.nnunet(folder, [box_exam(f"{SECRET}{i}", seed=i) for i in range(2)])
    content = json.loads((folder / "dataset.json").read_text())
    content |= {"name": SECRET, "description": NUMBER, "channel_names": {"0": SECRET}, "reference": DATE}
    content["labels"][SECRET] = 3
    (folder / "dataset.json").write_text(json.dumps(content))
    (folder / "labelsTr" / f"{SECRET}1.nii.gz").unlink()
    return words


def msd_source(folder: Path) -> list[str]:
    words = source_files.msd(folder, [box_exam(f"{SECRET}{i}", seed=i) for i in range(2)])
    content = json.loads((folder / "dataset.json").read_text())
    content["training"] += [{"image": f"../{SECRET}.nii.gz", "label": f"./{SECRET}.nii.gz"}, {"image": SECRET}]
    (folder / "dataset.json").write_text(json.dumps(content))
    return words


def totalsegmentator_source(folder: Path) -> list[str]:
    source_files.totalsegmentator(folder, [box_exam(f"{SECRET}{i}", seed=i) for i in range(2)])
    (folder / f"{SECRET}0" / "segmentations" / "spleen.nii.gz").write_bytes(b"none")
    (folder / f"{SECRET} empty").mkdir()
    rows = [f"{SECRET}1;{SECRET};{SECRET};{NUMBER}", f"{NUMBER};61;f;{SECRET}"]
    (folder / "meta.csv").write_text("\n".join(["image_id;age;gender;institute", *rows]))
    return []


def chaos_source(folder: Path) -> list[str]:
    words = source_files.chaos(folder, [box_exam(f"{SECRET}{i}", seed=i) for i in range(2)])
    first, *_ = sorted((folder / f"{SECRET}0" / "Ground").iterdir())
    first.write_bytes(SECRET.encode())
    return words


SOURCES: dict[str, Callable[[Path], list[str]]] = {
    "dicom": dicom_source,
    "nifti": nifti_source,
    "nnunet": nnunet_source,
    "msd": msd_source,
    "totalsegmentator": totalsegmentator_source,
    "chaos": chaos_source,
}


def leaks(content: bytes) -> list[str]:
    text = content.decode("latin-1").lower()
    return [word for word in PLANTED if word in text]


@pytest.mark.parametrize("layout", SOURCES)
def test_planted_text_reaches_no_output_log_or_error(layout: str, tmp_path: Path) -> None:
    source = tmp_path / f"in {SECRET}" / layout
    words = SOURCES[layout](source)
    covariates = tmp_path / f"{SECRET}.csv"
    covariates.write_text(f"source,site\n{SECRET}0,internal\n{NUMBER},external\n")
    config = tmp_path / "config"
    command = [sys.executable, "-m", "liverspleen", "import", f"source={layout}", f"input={source}"]
    command += [*words, f"output={tmp_path / 'out'}", f"covariates={covariates}", f"workers={1 + (layout == 'dicom')}"]
    environment = {**os.environ, "XDG_CONFIG_HOME": str(config)}
    run = subprocess.run(command, capture_output=True, env=environment, cwd=tmp_path, check=False)
    assert run.returncode == 2  # every source has a bad case
    assert b"LS-RUN-" not in run.stderr
    assert (tmp_path / "out" / "cohort.csv").is_file()  # and a good one
    assert leaks(run.stdout) == []
    assert leaks(run.stderr) == [], run.stderr.decode()
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(files) > 4
    key = (config / "liverspleen" / "import.key").read_text().strip()
    for file in files:
        content = file.read_bytes()
        content = gzip.decompress(content) if file.suffix == ".gz" else content
        assert leaks(content) == [], file
        assert leaks(str(file.relative_to(tmp_path / "out")).encode()) == []
        assert key.encode() not in content
    links = b"".join(path.read_bytes() for path in (config / "liverspleen").glob("links-*"))
    assert leaks(links) != []  # the way back is kept where it belongs


@pytest.mark.parametrize(
    "text",
    [
        f"source,age\nx,{SECRET}\n",
        f"source,condition\nx,{SECRET}\n",
        f"source,labelled_structures\nx,liver;{SECRET}\n",
        f"source,spleen_absent\nx,{SECRET}\n",
        f"source,age\n{SECRET},1\n{SECRET},2\n",
        f'source,age\n"{SECRET}\n',
    ],
)
def test_issues_of_covariates_quote_no_value(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    source_files.nifti(tmp_path / "source", [box_exam("x")])
    file = tmp_path / f"{SECRET}.csv"
    file.write_text(text)
    words = [f"input={tmp_path / 'source'}", f"output={tmp_path / 'out'}", f"covariates={file}", "workers=1"]
    assert main(["import", "source=nifti", *words]) == 2
    printed = capsys.readouterr().err
    assert "LS-COV-" in printed
    assert leaks(printed.encode()) == []
    assert leaks((tmp_path / "out" / "run.json").read_bytes()) == []


@pytest.mark.parametrize(
    "error",
    [KeyError(SECRET), ValueError(f"cannot read {SECRET}"), OSError(28, "No space left on device", f"/data/{SECRET}")],
)
@pytest.mark.parametrize("where", ["find_cases", "import_case"])
def test_unexpected_errors_report_only_their_type(
    error: Exception, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("LIVERSPLEEN_TRACEBACK", raising=False)
    source_files.nifti(tmp_path / "source", [box_exam("x")])
    monkeypatch.setattr(f"liverspleen.cohort.import_run.{where}", fail)
    words = ["source=nifti", f"input={tmp_path / 'source'}", f"output={tmp_path / 'out'}", "workers=1"]
    assert main(["import", *words]) == (2 if isinstance(error, OSError) else 1)
    printed = capsys.readouterr()
    assert leaks((printed.err + printed.out).encode()) == []
    assert ("No space left" if isinstance(error, OSError) else type(error).__name__) in printed.err
    assert isinstance(error, OSError) or " at liverspleen/cohort/import_run.py:" in printed.err
    assert leaks((tmp_path / "out" / "run.json").read_bytes()) == []


@pytest.mark.parametrize("missing", ["input", "covariates", "labels"])
def test_missing_paths_are_not_quoted(
    missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    source_files.nifti(tmp_path / "source", [box_exam("x")])
    words = {"input": tmp_path / "source", "output": tmp_path / "out"} | {missing: tmp_path / SECRET}
    assert main(["import", "source=nifti", *(f"{name}={path}" for name, path in words.items()), "workers=1"]) == 2
    assert leaks(capsys.readouterr().err.encode()) == []


@pytest.mark.parametrize("piece", [SECRET, f"/data/{SECRET}", f"/data/{SECRET}=1.5"])
def test_parts_of_a_path_without_quotes_are_not_quoted_in_the_error(
    piece: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["import", "source=dicom", "input=/data", piece, "output=out"]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("LS-CFG-001: ")
    assert len(printed.splitlines()) == 1
    assert leaks(printed.encode()) == []
