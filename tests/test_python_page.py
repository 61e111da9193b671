"""The examples of docs/python.md run, with fewer training steps."""

from __future__ import annotations

import json
import re
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from lightning_fabric.utilities.warnings import PossibleUserWarning

import liverspleen
from liverspleen import api
from liverspleen.errors import InputError, InputWarning
from liverspleen.networks.checkpoint import PACKAGE_KEY

PAGE = (Path(__file__).parents[1] / "docs/python.md").read_text(encoding="utf-8")
SHORT = [('{"steps": 1200}', '{"steps": 2, "batch_size": 2, "validate_every": 2}'), (", 200\n", ", 2\n")]


def example(title: str) -> str:
    """The code block below a heading, with fewer steps."""
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0], re.M | re.S)
    for documented, short in SHORT:
        block = block.replace(documented, short)
    return block


def run(block: str) -> dict[str, Any]:
    space: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=InputWarning)  # trained on phantoms only
        warnings.filterwarnings("ignore", category=FutureWarning)  # of torch, in Lightning's own code
        warnings.filterwarnings("ignore", category=PossibleUserWarning)  # Lightning's hints on loaders and SLURM
        exec(compile(block, "docs/python.md", "exec"), space)
    return space


@pytest.fixture
def here(box_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the cohort of the page: four development cases, one case of each test dataset."""
    datasets = [*["development"] * 4, "test1", "test2"]
    shutil.move(box_cohort([5] * 6, dataset=datasets).parent, tmp_path / "phantoms")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_verbs_make_tables_from_a_cohort(here: Path) -> None:
    found = run(example("The verbs"))
    assert found["trained"].checkpoint == Path("run/best.ckpt")
    assert sorted(found["predicted"].label_maps) == ["c4", "c5"]
    assert all(file.is_file() for file in found["predicted"].label_maps.values())
    assert len(found["measured"].rows) == 2 * 2 * 2  # cases, organs, readers: the network and the reference
    assert found["reported"].page.is_file()
    for folder in ("run", "labels", "measure", "report"):
        assert json.loads(Path(folder, "run.json").read_text(encoding="utf-8"))["status"] == "done"


def test_a_user_defined_loss_is_trained_with_lightning_and_predicts(here: Path) -> None:
    block = example("Your own training")
    assert len(block.splitlines()) <= 40
    image = Path("phantoms/c0.nii.gz")
    shutil.copy(image, "scan.nii.gz")
    found = run(block)
    assert found["trainer"].global_step == 2
    about = torch.load("model.ckpt", weights_only=True)[PACKAGE_KEY]
    assert about["network"] == {"name": "unet_2d", "width": 8, "output_stride": 16}
    label_map = nib.load("out/scan_dseg.nii.gz")
    assert label_map.shape == nib.load(image).shape
    assert set(np.unique(np.asarray(label_map.dataobj))) <= {0, 1, 2}


def test_a_finished_training_is_found_and_differing_keys_are_listed(here: Path) -> None:
    keys: dict[str, Any] = {"cohort": "phantoms/cohort.csv", "output": "run", "experiment": "phantom"}
    short = {"steps": 2, "batch_size": 2, "validate_every": 2}
    first = liverspleen.train(**keys, trainer=short)
    weights = first.checkpoint.read_bytes()
    assert liverspleen.train(**keys, trainer=short).checkpoint.read_bytes() == weights
    with pytest.raises(InputError, match=r"LS-TRN-004 .*optimizer\.lr was .*, now 0\.5"):
        liverspleen.train(**keys, trainer=short, optimizer={"lr": 0.5})


def test_an_invalid_key_or_value_is_one_issue_before_data_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="LS-CFG-003: train has no key 'epochs'"):
        liverspleen.train(cohort="nothing.csv", output=tmp_path / "o", epochs=3)
    with pytest.raises(InputError, match=r"LS-CFG-006: trainer\.steps=0"):
        liverspleen.train(cohort="nothing.csv", output=tmp_path / "o", **{"trainer.steps": 0})
    assert not (tmp_path / "o").exists()


def test_text_is_used_verbatim_and_issues_are_warnings(here: Path) -> None:
    Path("labels").mkdir()
    shutil.copy("phantoms/c0_label.nii.gz", "labels/c0.nii.gz")
    reader = "R(1), O'Brien = ${x} 5.10"
    with pytest.warns(InputWarning, match="LS-LAB-011"):  # these organs have few voxels
        measured = liverspleen.measure(labels="labels", output="a", reader=reader, surface="none")
    assert {row.reader for row in measured.rows} == {reader}
    with pytest.warns(InputWarning, match="LS-LAB-005|LS-LAB-011"):
        found = liverspleen.measure(labels="labels", cohort="phantoms/cohort.csv", output="b", surface="none")
    assert found.issues


def test_phantoms_are_created_and_checked_from_python(tmp_path: Path) -> None:
    counts = {"development": 1, "test1": 0, "pairs": 0, "matrix": 48, "workers": 1}
    table = api.phantom(output=str(tmp_path / "phantoms"), **counts)
    assert table == tmp_path / "phantoms" / "cohort.csv"
    assert [issue for issue in api.check(cohort=table).findings if issue.severity == "error"] == []


def test_the_names_of_the_package_are_imported_when_they_are_used() -> None:
    for name in liverspleen.__all__:
        assert getattr(liverspleen, name) is not None
    assert set(liverspleen.__all__) <= set(dir(liverspleen))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = liverspleen.nothing
