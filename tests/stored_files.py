"""Small files of every kind that the pipeline writes and reads again, and a reader of each kind."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cli.predicting import TINY, exam
from source_files import box_exam
from source_files import nifti as nifti_source
from sweep.study_files import write_study

from liverspleen.cli.main import main
from liverspleen.cohort.manifest import read_cohort, write_cohort
from liverspleen.cohort.scans import open_scans
from liverspleen.cohort.split import read_split
from liverspleen.data.build import build_sides
from liverspleen.data.cache import store_voxel_hash
from liverspleen.errors import Issue
from liverspleen.evaluation import read_rc_table
from liverspleen.formats import REPORT
from liverspleen.imaging.dicom import write_series
from liverspleen.imaging.files import read_ct, read_label_map
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.inference.case_files import Settings
from liverspleen.inference.colour_tables import write_colour_tables
from liverspleen.inference.model import load_model
from liverspleen.inference.package_files import described, write_package
from liverspleen.inference.prediction import predict_case, settings_of
from liverspleen.inference.tables import write_tables
from liverspleen.inference.untrusted.model_file import checked_model
from liverspleen.networks.pretrained import read_weights
from liverspleen.phantom.cohort import write_phantom_cohort
from liverspleen.records import write_record
from liverspleen.sweep.leaderboard_study import read_study
from liverspleen.sweep.plan import NextTrial, Outcome, Phase, State
from liverspleen.sweep.space import Space
from liverspleen.sweep.study import Study
from liverspleen.training.checkpoint_files import read_checkpoint, tensors
from liverspleen.training.recipe import recorded_recipe
from liverspleen.training.resumption import resumption

SPACE = {"optimizer.lr": {"low": 1e-4, "high": 1e-2, "log": True}, "network": ["small", "unet_2d"]}

Read = Callable[[Path], tuple[Any, list[Issue]]]
"""Reads files of a kind in a copy of their folder; returns what they hold, comparable, and the issues."""


@dataclass(frozen=True)
class Kind:
    """A kind of file: the folder that its reader needs, the pattern of its files there, and the reader.

    With `names`, bits of file and folder names are flipped in place of those of the content. `cost` is large for a slow
    reader.
    """

    name: str
    folder: Path
    pattern: str
    read: Read
    names: bool = False
    cost: int = 1

    @property
    def files(self) -> list[Path]:
        """The files, relative to the folder."""
        return sorted(file.relative_to(self.folder) for file in self.folder.glob(self.pattern))


def digest(*values: Any) -> str:
    """Return a hash of arrays, tensors and plain values."""
    found = hashlib.sha256()
    for value in values:
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        if isinstance(array, np.ndarray):
            found.update(f"{array.dtype}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
        else:
            found.update(repr(array).encode())
    return found.hexdigest()


def model_content(path: Path) -> tuple[Any, list[Issue]]:
    model = load_model(path)
    plain = {key: value for key, value in model.description.items() if key not in {"cohort", "split", "version"}}
    weights = model.network.state_dict()  # type: ignore[attr-defined]
    about = (model.window, model.slices, model.stride, model.slice_distance_mm, model.pixel_mm, model.phantoms_only)
    return digest(*weights, *weights.values(), *about, sorted(map(str, plain.items())), model.postprocessing), []


def resumed(folder: Path, whole: Path) -> tuple[Any, list[Issue]]:
    recipe = recorded_recipe(read_checkpoint(whole))
    assert recipe is not None
    done = resumption(folder, recipe, neutral={})
    content = read_checkpoint(done.checkpoint) if done.checkpoint else None
    return (done.steps, digest(*tensors(content))), list(done.issues)


def sides(folder: Path) -> tuple[Any, list[Issue]]:
    """Return all that a training reads of a slice cache; `folder` has cohort/, split.csv and cache/."""
    cohort = read_cohort(folder / "cohort" / "cohort.csv")
    built = build_sides(cohort, read_split(folder / "split.csv", cohort), folder / "cache", pixel_mm=10.0)
    content = [
        (case.case_id, digest(case.slices, case.labels, case.native_labels, case.present), case.slice_spacing_mm)
        for case in (*built.training, *built.validation)
    ]
    return content, list(built.issues)


def predicted(folder: Path, scans: Path, model: Any, settings: Settings) -> tuple[Any, list[Issue]]:
    """Predict again into a folder of predictions, then write and return its tables and label maps."""
    issues: list[Issue] = []
    with open_scans(scans, ids="names") as found:
        for scan in found.cases:
            issues += predict_case(scan, model, settings, folder).issues
    write_tables(folder)
    write_colour_tables(folder)
    maps = [digest(read_label_map(file).labels) for file in sorted(folder.glob("*_dseg.nii.gz"))]
    tables = [(folder / name).read_text() for name in ("measurements.csv", "volumes.csv", "review.csv", "dseg.tsv")]
    return (maps, tables), issues


def called(*arguments: str) -> tuple[int, str]:
    """Return exit code and messages of a verb in this process."""
    out = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(out):
        code = main(arguments)
    return code, out.getvalue()


def imported(folder: Path) -> tuple[Any, list[Issue]]:
    words = ["source=nifti", f"input={folder / 'source'}", f"output={folder / 'out'}", f"key={folder / 'key'}"]
    code, text = called("import", *words, *(folder / "words").read_text().split(), "workers=1")
    out = folder / "out"
    voxels = [digest(read_ct(file).hu) for file in sorted(out.glob("images/*.nii.gz"))]
    voxels += [digest(read_label_map(file).labels) for file in sorted(out.glob("labels/*.nii.gz"))]
    issues = [Issue(text.split()[0], text, "")] if code else []
    assert "LS-RUN-001" not in text
    return (code, voxels, (out / "cohort.csv").read_text()), issues


def phantoms(folder: Path) -> tuple[Any, list[Issue]]:
    cohort = read_cohort(
        write_phantom_cohort(
            folder, development=1, test1=0, pairs=0, seed=3, matrix=32, thickness_mm=(8.0, 8.0), workers=1
        )
    )
    voxels = [digest(read_ct(case.image).hu) for case in cohort.cases]
    return (voxels, (folder / "truth.csv").read_text()), []


def study(folder: Path) -> Study:
    url = f"sqlite:///{folder / 'study.db'}"
    found = Study(url, "s", objectives=["dss"], sampler="tpe", pruner="none", seed=1)
    found.check_identity({"seed": 1}, {})
    return found


def trials(folder: Path) -> tuple[Any, list[Issue]]:
    own = study(folder)
    with own.connected():
        return [dataclasses.replace(record, heartbeat=0.0) for record in own.records() if record.finished], []


def plain(content: Any) -> str:
    """Return the text of a value in which tables of pandas are complete."""
    if dataclasses.is_dataclass(content):
        return "".join(plain(getattr(content, item.name)) for item in dataclasses.fields(content))
    return content.to_csv() if hasattr(content, "to_csv") else repr(content)


def _study_database(folder: Path) -> None:
    folder.mkdir()
    own, space = study(folder), Space.of(SPACE)
    for number in range(4):
        values = {"optimizer.lr": 0.001 + number / 1000, "network": "small"}
        record = own.ask(NextTrial(Phase.SEARCH, values), space, folder_id="f", host="h")
        cases = [[f"c{case}", "liver", 0.5 + case / 100, 1500.0, 1400.0] for case in range(4)]
        outcome = Outcome(seconds=2.5, device="cpu", scores={"dss": 0.5 + number / 10}, cases=cases)
        own.tell(record.number, State.COMPLETE, outcome, [0.5 + number / 10])


def _cases(folder: Path) -> Path:
    """Write a cohort with four development cases and a test case."""
    rows = []
    for number, dataset in enumerate(["development"] * 4 + ["test1"]):
        drawn, case = exam(5, 200 + number), f"t{number}"
        write_ct(folder / f"{case}.nii.gz", drawn[0])
        write_label_map(folder / f"{case}_label.nii.gz", drawn[1])
        row = {"case_id": case, "patient_id": case, "image": f"{case}.nii.gz", "label": f"{case}_label.nii.gz"}
        rows.append({**row, "dataset": dataset})
    write_cohort(folder / "cohort.csv", rows)
    return folder / "cohort.csv"


def kinds(top: Path) -> list[Kind]:
    """Write the files of all kinds below `top`; return the kinds."""
    cache = top / "cached"
    table = _cases(cache / "cohort")
    run = top / "training"
    words = [word for word in TINY if not word.startswith(("trainer.steps", "trainer.validate"))]
    called("train", f"cohort={table}", f"output={run}", *words, "trainer.steps=4", "trainer.validate_every=2")
    checkpoint = run / "last.ckpt"
    model = load_model(checkpoint)
    settings = settings_of(model, precision="fp32", flips=False, postprocessing=True)

    models = top / "models"
    models.mkdir()
    for name in ("best.ckpt", "last.ckpt", "model.safetensors", "run.json", "metrics.csv"):
        shutil.copy(run / name, models / name)
    found = checked_model(checkpoint)
    about = described(found, name="m", license=None)
    about["postprocessing"] = {"rules": {"liver": "main_parts"}, "evidence": {}}
    safetensors = (run / "model.safetensors").read_bytes()
    for output in (models / "package", models / "package.zip"):
        write_package(output, about, safetensors, b"onnx" * 500)

    called("split", f"cohort={table}", f"output={cache}", "train_fraction=0.75")
    sides(cache)
    leak = top / "leak"
    shutil.copytree(cache, leak)
    copy = read_ct(leak / "cohort" / "t0.nii.gz")
    (leak / "cohort" / "t4.nii.gz").unlink()
    write_ct(leak / "cohort" / "t4.nii.gz", copy)
    rewritten = read_cohort(leak / "cohort" / "cohort.csv").cases[4]
    for note in (leak / "cache").glob("*.voxels"):
        note.unlink()
    store_voxel_hash(rewritten, leak / "cache")

    scans, out = top / "scans", top / "predicted"
    for number in range(2):
        write_ct(scans / f"p{number}.nii.gz", exam(5, number)[0])
    predicted(out, scans, model, settings)
    series, dicom_out = top / "series", top / "predicted_dicom"
    write_series(series / "study" / "series", exam(5, 1)[0])
    predicted(dicom_out, series, model, settings)
    bad, bad_out = top / "bad", top / "rejected"
    bad.mkdir()
    (bad / "x.nii.gz").write_bytes(b"no image")
    predicted(bad_out, bad, model, settings)

    importing = top / "importing"
    words = nifti_source(importing / "source", [box_exam("e", slices=4)])
    (importing / "words").write_text(" ".join(words))
    imported(importing)
    write_study(top / "study", trials=3, leaders=1, seeds=1, cases=2)
    write_record(top / "study" / "study.json", json.loads((top / "study" / "study.json").read_text()))
    _study_database(top / "database")
    (top / "report").mkdir()
    values = {"rc_pct": 3.5, "ci_lower": 3.0, "ci_upper": 4.0}
    cell = {"table": "reproducibility", "row": "liver", "column": "dla", "n": 9, "values": values}
    write_record(top / "report" / "report.json", {"format": REPORT.number, "cells": [cell]})

    def prediction(inputs: Path) -> Read:
        return lambda folder: predicted(folder, inputs, model, settings)

    return [
        Kind("best.ckpt, predict", models, "best.ckpt", lambda f: model_content(f / "best.ckpt")),
        Kind("last.ckpt, resume", models, "*.ckpt", lambda f: resumed(f, run / "last.ckpt")),
        Kind("model.safetensors", models, "model.safetensors", lambda f: (weights_content(f), [])),
        Kind("package.zip", models, "package.zip", lambda f: model_content(f / "package.zip")),
        Kind("package: model.json", models, "package/model.json", lambda f: model_content(f / "package")),
        Kind("package: other files", models, "package/*[!n]", lambda f: model_content(f / "package")),
        Kind("cache: case.json", cache, "cache/*/case.json", sides),
        Kind("cache: slices.npy", cache, "cache/*/slices.npy", sides),
        Kind("cache: labels.npy", cache, "cache/*/*labels.npy", sides),
        Kind("cache: present.npy", cache, "cache/*/present.npy", sides),
        Kind("cache: names", cache, "cache/*", sides, names=True),
        Kind("cache: .voxels, leak", leak, "cache/*.voxels", sides),
        Kind("sidecar", out, "*_dseg.json", prediction(scans)),
        Kind("label map", out, "*_dseg.nii.gz", prediction(scans)),
        Kind("label map, measure", out, "*_dseg.nii.gz", lambda f: (label_maps(f), [])),
        Kind("colour tables, PNG", out, "*.[tpc]*", prediction(scans)),
        Kind("DICOM-SEG", dicom_out, "*_dseg.dcm", prediction(series)),
        Kind("DICOM report", dicom_out, "*_measurements.dcm", prediction(series)),
        Kind("rejection", bad_out, "rejected/*.json", prediction(bad)),
        Kind("run.json, export", models, "run.json", training_record),
        Kind("import record", importing, "out/*/*.json", imported, cost=2),
        Kind("study.json", top / "study", "study.json", lambda f: (plain(read_study(f)), [])),
        Kind("study.db", top / "database", "study.db", trials),
        Kind("report.json", top / "report", "report.json", lambda f: (read_rc_table(f / "report.json"), [])),
    ]


def phantom_kinds(top: Path) -> list[Kind]:
    """Write the files of phantoms; return the kinds. They take longer than all others."""
    phantoms(top)
    return [
        Kind("phantom.json", top, "phantom.json", phantoms, cost=8),
        Kind("phantom image", top, "images/*.nii.gz", lambda f: (images(f), [])),
    ]


def weights_content(folder: Path) -> str:
    found = read_weights(folder / "model.safetensors")
    return digest(*found, *found.values())


def label_maps(folder: Path) -> list[str]:
    found = [read_label_map(file) for file in sorted(folder.glob("*_dseg.nii.gz"))]
    return [digest(one.labels, one.geometry.affine) for one in found]


def images(folder: Path) -> list[str]:
    found = [read_ct(file) for file in sorted(folder.glob("images/*.nii.gz"))]
    return [digest(one.hu, one.geometry.affine) for one in found]


def training_record(folder: Path) -> tuple[Any, list[Issue]]:
    return described(checked_model(folder / "best.ckpt"), name="m", license=None)["training"], []
