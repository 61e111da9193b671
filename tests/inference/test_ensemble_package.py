"""Ensemble packages: written, read again, and rejected when they are not as they were written."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from packages import save
from test_ensemble import noise, unet

from liverspleen.cli.main import main
from liverspleen.errors import InputError
from liverspleen.inference.ensemble import Ensemble, load_ensemble
from liverspleen.inference.ensemble_export import export_ensemble
from liverspleen.inference.model import load_model
from liverspleen.inference.segment import segment


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two checkpoints and a model package."""
    folder = tmp_path_factory.mktemp("models")
    made = [save(folder / f"{seed}.ckpt", unet(seed)) for seed in range(3)]
    assert main(["export", f"model={made[2]}", f"output={folder / 'p'}", "license=CC-BY-4.0"]) == 0
    return [*made[:2], folder / "p"]


@pytest.fixture(scope="module")
def exported(paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ensembles") / "e"
    export_ensemble(paths, folder)
    return folder


@pytest.mark.parametrize("name", ["ensemble", "ensemble.zip"])
def test_ensemble_package_is_read_again(name: str, paths: list[Path], tmp_path: Path) -> None:
    written = export_ensemble(paths, tmp_path / name)
    found = load_ensemble(tmp_path / name)
    assert isinstance(found, Ensemble)
    assert found.sha256 == written.sha256
    assert len(found.members) == 3
    expected, maps = (segment(noise(), model, probabilities=True) for model in (paths, found))
    np.testing.assert_allclose(maps[1], expected[1], rtol=0, atol=1e-6)
    assert (maps[0].labels == expected[0].labels).mean() > 0.999


def test_folder_and_archive_have_one_hash_and_members_keep_their_bytes(paths: list[Path], tmp_path: Path) -> None:
    folder, archive = tmp_path / "ensemble", tmp_path / "ensemble.zip"
    hashes = {export_ensemble(paths, output).sha256 for output in (folder, archive, folder)}  # and once more
    assert len(hashes) == 1
    assert load_model(folder / "members" / "3").sha256 == load_model(paths[2]).sha256
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with zipfile.ZipFile(archive) as opened:
        assert {name: opened.read(name) for name in opened.namelist()} == files
    card = files["MODEL_CARD.md"].decode()
    assert card.count("| members/") == 3
    assert b"not recorded" in files["LICENSE"]  # the checkpoints have none
    again = export_ensemble([folder / "members" / number for number in "12"], folder)  # into the folder of the members
    assert load_ensemble(folder).sha256 == again.sha256
    assert sorted(file.name for file in folder.iterdir()) == ["LICENSE", "MODEL_CARD.md", "ensemble.json", "members"]


def test_export_verb_writes_an_ensemble_package(
    paths: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joined = ",".join(map(str, paths))
    assert main(["export", f"model=[{joined}]", f"output={tmp_path / 'e'}", "license=CC-BY-4.0"]) == 0
    assert f"export: ensemble package of 3 models {tmp_path / 'e'}, SHA-256 " in capsys.readouterr().out
    assert "SPDX-License-Identifier: CC-BY-4.0" in (tmp_path / "e" / "members" / "1" / "LICENSE").read_text()
    assert main(["info", f"model={tmp_path / 'e'}"]) == 0
    assert "ensemble package of 3 models" in capsys.readouterr().out
    assert main(["export", f"model={joined}", f"output={tmp_path / 'x'}", "cohort=c.csv", "split=s.csv"]) == 2
    assert "export each model with its cohort= and split=" in capsys.readouterr().err
    assert main(["export", f"model={joined}", f"output={tmp_path / 'x'}", "onnx=true"]) == 2
    assert "LS-MOD-029" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def spoil_card(folder: Path) -> None:
    (folder / "MODEL_CARD.md").write_text("x" * (folder / "MODEL_CARD.md").stat().st_size)


def spoil_weights(folder: Path) -> None:
    file = folder / "members" / "2" / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def exchange(folder: Path) -> None:
    shutil.rmtree(folder / "members" / "2")
    shutil.copytree(folder / "members" / "3", folder / "members" / "2")


def link(folder: Path) -> None:
    (folder / "members").rename(folder / "elsewhere")
    (folder / "members").symlink_to(folder / "elsewhere")


def edit(folder: Path) -> None:
    content = json.loads((folder / "ensemble.json").read_text())
    (folder / "ensemble.json").write_text(json.dumps({**content, "members": content["members"][:2]}))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (spoil_card, "LS-MOD-006"),
        (spoil_weights, "LS-MOD-006"),
        (exchange, "LS-MOD-004"),
        (link, "LS-MOD-004"),
        (lambda folder: shutil.rmtree(folder / "members" / "1"), "LS-MOD-004"),
        (edit, "LS-FMT-005"),
    ],
)
def test_changed_ensemble_package_is_rejected(
    spoil: Callable[[Path], None], code: str, exported: Path, tmp_path: Path
) -> None:
    shutil.copytree(exported, tmp_path / "e")
    spoil(tmp_path / "e")
    with pytest.raises(InputError) as error:
        load_ensemble(tmp_path / "e")
    (line,) = str(error.value).splitlines()
    assert line.startswith(code)


def test_ensemble_is_rejected_where_one_model_is_expected(paths: list[Path], tmp_path: Path) -> None:
    for name in ("e", "e.zip"):
        export_ensemble(paths[:2], tmp_path / name)
        with pytest.raises(InputError, match=r"LS-MOD-025 file .*: it is an ensemble package, expected one model"):
            load_model(tmp_path / name)
        with pytest.raises(InputError, match="LS-MOD-026"):
            load_ensemble([tmp_path / name, paths[2]])
        with pytest.raises(InputError, match="LS-MOD-026"):
            export_ensemble([tmp_path / name], tmp_path / "other")


@pytest.mark.slow
def test_members_in_onnx_runtime_give_the_mean_of_torch(tmp_path: Path) -> None:
    for needed in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(needed)
    export_ensemble([save(tmp_path / f"{seed}.ckpt", unet(seed)) for seed in range(2)], tmp_path / "e.zip", onnx=True)
    engines = [load_ensemble(tmp_path / "e.zip", engine=engine) for engine in ("torch", "onnxruntime")]
    assert [model.engine for model in engines] == ["torch", "onnxruntime"]
    for flips in (False, True):
        expected, found = (segment(noise(), model, probabilities=True, flips=flips) for model in engines)
        np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-4)
        assert (found[0].labels == expected[0].labels).mean() > 0.999


def test_ensemble_package_of_one_model(paths: list[Path], tmp_path: Path) -> None:
    export_ensemble(paths[:1], tmp_path / "e")
    first, second = (segment(noise(), model).labels for model in (paths[0], tmp_path / "e"))
    assert np.array_equal(first, second)


def test_other_outputs_are_not_overwritten(paths: list[Path], tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    for output in (tmp_path / "other", paths[2]):
        with pytest.raises(InputError, match="LS-XPT-013"):
            export_ensemble(paths, output)
    export_ensemble(paths, tmp_path / "e")
    assert main(["export", f"model={paths[0]}", f"output={tmp_path / 'e'}"]) == 2
