"""Model packages: what is written comes back, from a folder and from a zip; the card says what was recorded."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from packages import UNET, description, network, package, rewrite, save
from safetensors.torch import load_file

from liverspleen.cli.help import verb_help
from liverspleen.cli.main import main
from liverspleen.cohort import Split, write_split
from liverspleen.cohort.manifest import Case, read_cohort
from liverspleen.errors import InputError
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.volume import LabelMap
from liverspleen.inference.model import load_model
from liverspleen.inference.model_card import model_card
from liverspleen.inference.onnx_engine import reject_without
from liverspleen.inference.package_files import described
from liverspleen.inference.untrusted.model_file import checked_model
from liverspleen.inference.validation import Validation, validate
from liverspleen.organs import ORGANS, Structure

SIDES = {
    "training": {"cases": 3, "patients": 2, "conditions": {"": 1, "fatty": 2}, "origins": {"phantom": 3}},
    "validation": {"cases": 1, "patients": 1, "conditions": {"fatty": 1}, "origins": {"phantom": 1}},
    "origins": {"phantom": 3},
}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return save(tmp_path / "best.ckpt")


def test_package_gives_back_the_model_of_its_checkpoint(tmp_path: Path, checkpoint: Path) -> None:
    sha256 = package(tmp_path / "package", checkpoint)
    assert package(tmp_path / "package.zip", checkpoint) == sha256
    expected, stack = network(), torch.rand(2, 3, 16, 24)
    for path in (checkpoint, tmp_path / "package", tmp_path / "package.zip"):
        found = load_model(path)
        with torch.inference_mode():
            assert torch.equal(found.network(stack), expected(stack))
        assert found.description == description()
        assert (found.slices, found.stride, found.device.type, found.engine) == (3, 8, "cpu", "torch")
        assert found.sha256 == (sha256 if path != checkpoint else checked_model(checkpoint).sha256)


def test_weights_of_a_package_are_a_safetensors_file_for_other_programs(tmp_path: Path, checkpoint: Path) -> None:
    package(tmp_path / "package", checkpoint)
    stored, expected = load_file(tmp_path / "package" / "model.safetensors"), network().state_dict()
    assert stored.keys() == expected.keys()
    assert all(torch.equal(stored[name], expected[name]) for name in expected)


def test_same_model_gives_the_same_bytes(tmp_path: Path, checkpoint: Path) -> None:
    for name in ("a.zip", "b.zip"):
        package(tmp_path / name, checkpoint)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_weights_in_another_memory_order_are_read_as_they_are(tmp_path: Path) -> None:
    trained = network().to(memory_format=torch.channels_last)
    found = load_model(save(tmp_path / "a.ckpt", trained))
    stack = torch.rand(1, 3, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(found.network(stack), network()(stack))


def test_checkpoint_of_a_training_state_gives_its_network_only(tmp_path: Path) -> None:
    """A checkpoint may also have optimizer and loss, also in the state dict."""
    trained = network()
    optimizer = torch.optim.AdamW(trained.parameters(), fused=True)
    trained(torch.rand(2, 3, 16, 16)).sum().backward()
    optimizer.step()
    expected = {name: value.clone() for name, value in trained.state_dict().items()}
    found = load_model(save(tmp_path / "a.ckpt", trained, extra={"optimizer_states": [optimizer.state_dict()]}))
    assert all(torch.equal(value, expected[name]) for name, value in found.network.state_dict().items())


@pytest.mark.parametrize("number", [None, 1, 3, "4", True, 4.0, {}, [4]])
def test_checkpoint_of_another_format_is_rejected_before_anything_else(tmp_path: Path, number: object) -> None:
    save(tmp_path / "a.ckpt", format=number, structures={}, network="none")
    with pytest.raises(InputError, match=r"^LS-FMT-001 file '.*a\.ckpt': checkpoint .*, expected 5; .*train again"):
        load_model(tmp_path / "a.ckpt")


@pytest.mark.parametrize("number", [None, 0, 2, "liverspleen-model-1", "3", True, {}])
def test_model_package_of_another_format_is_rejected_as_folder_and_as_zip(
    tmp_path: Path, checkpoint: Path, number: object
) -> None:
    package(tmp_path / "package", checkpoint)
    rewrite(tmp_path / "package", lambda content: content.update(format=number, files=None))
    with zipfile.ZipFile(tmp_path / "package.zip", "w") as archive:
        for file in (tmp_path / "package").iterdir():
            archive.write(file, file.name)
    for name in ("package", "package.zip"):
        with pytest.raises(InputError, match=r"^LS-FMT-001 .*: model package .*, expected 3; .*export the model again"):
            load_model(tmp_path / name)


def test_weights_of_another_network_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"LS-MOD-010 .* of another shape"):
        load_model(save(tmp_path / "a.ckpt", network=UNET | {"width": 8}))


def test_weights_that_are_not_finite_are_rejected(tmp_path: Path) -> None:
    broken = network()
    with torch.no_grad():
        next(broken.parameters()).view(-1)[0] = float("inf")
    with pytest.raises(InputError, match="LS-MOD-016"):
        load_model(save(tmp_path / "a.ckpt", broken))


@pytest.mark.parametrize(("engine", "code"), [("tensorrt", "LS-CFG-006"), ("onnxruntime", "LS-MOD-012")])
def test_unavailable_engine_is_rejected(tmp_path: Path, engine: str, code: str) -> None:
    with pytest.raises(InputError, match=code):
        load_model(save(tmp_path / "a.ckpt"), engine=engine)


def test_missing_onnx_packages_are_listed() -> None:
    with pytest.raises(InputError, match="LS-MOD-017: packages that ONNX needs are not installed: no_such_package"):
        reject_without("math", "no_such_package")


@pytest.mark.parametrize(
    ("origins", "expected"),
    [({"phantom": 3}, True), ({"phantom": 3, "": 1}, False), ({"LiTS": 3}, False), ({}, False), (None, False)],
)
def test_model_of_phantoms_has_a_warning(tmp_path: Path, origins: dict[str, int] | None, expected: bool) -> None:
    more = {} if origins is None else {"origins": origins}
    save(tmp_path / "a.ckpt", **more)
    package(tmp_path / "package", tmp_path / "a.ckpt")
    for path in (tmp_path / "a.ckpt", tmp_path / "package"):
        found = load_model(path)
        assert found.phantoms_only is expected
        assert [(issue.code, issue.severity) for issue in found.issues] == [("LS-MOD-011", "warning")] * expected
    assert json.loads((tmp_path / "package" / "model.json").read_text())["phantoms_only"] is expected
    card = (tmp_path / "package" / "MODEL_CARD.md").read_text()
    assert ("TRAINED ON PHANTOMS ONLY" in card, "- phantoms-only" in card) == (expected, expected)


def card(checkpoint: Path, **more: Any) -> str:
    return model_card(described(checked_model(checkpoint), name="A model", license="CC-BY-4.0") | more)


def test_card_has_the_recorded_values(tmp_path: Path) -> None:
    run = {
        "verb": "train",
        "config": {"cohort": "/home/someone/cohort.csv", "seed": 7, "optimizer": {"name": "adamw", "lr": 0.01}},
        "device": "cuda:0",
        "versions": {"torch": "9.9"},
        "git": {"commit": "abc123", "changed": False},
    }
    (tmp_path / "run.json").write_text(json.dumps(run))
    rows = ["4,val/dss,0.5", "4,val/dss_liver,0.6", "8,val/dss,0.7", "8,val/dss_liver,0.8", "9,train/loss,1"]
    (tmp_path / "metrics.csv").write_text("\n".join(["step,metric,value", *rows]) + "\n")
    text = card(save(tmp_path / "best.ckpt", **SIDES))
    assert text.startswith("---\nlicense: cc-by-4.0\n")
    for line in (
        "| cases | 3 | 1 |",
        "| patients | 2 | 1 |",
        "| conditions | not recorded 1, fatty 2 | fatty 1 |",
        "| origins | phantom 3 | phantom 1 |",
        f"- SHA-256 of the split: {'5' * 64}",
        "| optimizer | name adamw, lr 0.01 |",
        "| device | cuda&#58;0 |",
        "| versions | torch 9.9 |",
        "| commit | abc123 |",
        "Best mean DSS during training, at step 8: dss 0.700, liver 0.800.",
    ):
        assert line in text
    assert "/home/someone" not in text


def test_card_lists_unknown_values_as_not_recorded(checkpoint: Path) -> None:
    text = card(checkpoint)
    for line in (
        "| cases | not recorded | not recorded |",
        "| origins | not recorded | not recorded |",
        "| device | not recorded |",
        "Results: not recorded.",
        "Its effect on validation cases is not recorded.",
        "- Results on an independent test set: not recorded.",
    ):
        assert line in text


def test_card_escapes_untrusted_text(tmp_path: Path) -> None:
    word = "<script>alert(1)</script>[x](javascript:alert(1))|`a`\n# b"
    side = {"cases": 1, "patients": 1, "conditions": {word: 1}, "origins": {word: 1}}
    save(tmp_path / "a.ckpt", training=side, validation=side)
    text = card(tmp_path / "a.ckpt")
    assert "&lt;script&gt;" in text
    assert [part for part in ("<script", "javascript:", "\n# b", "`a`") if part in text] == []
    package(tmp_path / "package", tmp_path / "a.ckpt")
    load_model(tmp_path / "package")  # it has no markup


def labels(*rows: list[int]) -> LabelMap:
    array = np.array([rows], np.uint8)
    return LabelMap(array, Geometry((array.shape[2], array.shape[1], 1), np.diag([10.0, 10.0, 10.0, 1.0])))


def test_validation_results_equal_those_computed_by_hand() -> None:
    """Voxels of 1 cm³. Liver: DSS 2*2/(3+2) = 0.8 and 1; bias 200*(3-2)/5 = 40 and 0. Spleen: absent in one, so n 1."""
    found = Validation()
    found.add(labels([1, 1, 1, 0], [2, 0, 0, 0]), labels([1, 1, 0, 0], [2, 2, 2, 0]), ORGANS)
    found.add(labels([1, 1, 0, 0]), labels([1, 1, 0, 0]), ORGANS)
    found.add(labels([1, 1, 0, 0]), labels([0, 0, 0, 0]), (Structure.SPLEEN,))
    figures = found.plain()
    assert (figures["cases"], figures["failed"]) == (3, 0)
    liver, spleen = figures["structures"]["liver"], figures["structures"]["spleen"]
    assert liver == {
        "n": 2,
        "dss_mean": pytest.approx(0.9),
        "dss_lowest": pytest.approx(0.8),
        "volume_n": 2,
        "volume_bias_pct": pytest.approx(20.0),
    }
    assert spleen == {
        "n": 1,
        "dss_mean": pytest.approx(0.5),
        "dss_lowest": pytest.approx(0.5),
        "volume_n": 1,
        "volume_bias_pct": pytest.approx(-100.0),
    }


def test_structure_without_a_case_has_no_results() -> None:
    figures = Validation().plain()["structures"]["liver"]
    assert figures == {"n": 0, "dss_mean": None, "dss_lowest": None, "volume_n": 0, "volume_bias_pct": None}


def test_unreadable_case_is_one_issue(box_cohort: Any, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[LabelMap, LabelMap]] = []

    def choose(pairs: Any) -> Any:
        seen.extend(pairs)
        return SimpleNamespace(plain=lambda: {"rules": {}, "evidence": {}})

    chosen = ModuleType("liverspleen.inference.postprocessing")
    chosen.choose_postprocessing = choose  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, chosen.__name__, chosen)
    cases: tuple[Case, ...] = read_cohort(box_cohort((5, 4))).cases
    cases[0].image.write_bytes(b"no image")
    done: list[str] = []
    found, choice = validate(load_model(checkpoint), cases, on_case=done.append)
    assert choice == {"rules": {}, "evidence": {}}
    assert done == ["c0", "c1"]
    assert (found.cases, len(seen), {issue.case_id for issue in found.issues}) == (1, 1, {"c0"})
    assert found.plain()["failed"] == 1


# the verb


def test_verb_writes_a_folder_and_a_file_of_the_same_content(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", f"model={checkpoint}", "license=CC-BY-4.0", "name=My model"]
    assert main([*words, f"output={tmp_path / 'out'}"]) == 0
    assert main([*words, f"output={tmp_path / 'out'}"]) == 0  # again: overwritten
    assert main([*words, f"output={tmp_path / 'out.zip'}"]) == 0
    folder, file = load_model(tmp_path / "out"), load_model(tmp_path / "out.zip")
    assert folder.sha256 == file.sha256
    assert capsys.readouterr().out.count(folder.sha256) == 3
    names = sorted(one.name for one in (tmp_path / "out").iterdir())
    assert names == ["LICENSE", "MODEL_CARD.md", "model.json", "model.safetensors"]
    assert "SPDX-License-Identifier: CC-BY-4.0" in (tmp_path / "out" / "LICENSE").read_text()
    assert str(tmp_path) not in (tmp_path / "out" / "model.json").read_text()


def test_model_of_phantoms_is_reported_at_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "a.ckpt", **SIDES)
    assert main(["export", f"model={tmp_path / 'a.ckpt'}", f"output={tmp_path / 'out'}"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: LS-MOD-011")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["output=o"], "LS-CFG-016"),
        (["model=a.ckpt", "layout=msd", "output=o"], "LS-CFG-016"),
        (["model=a.ckpt", "cohort=c.csv", "output=o"], "LS-CFG-016"),
        (["model=a.ckpt", "split=s.csv", "output=o"], "LS-CFG-016"),
        (["layout=msd", "output=o"], "LS-CFG-016"),
        (["layout=msd", "cohort=c.csv", "license=MIT", "output=o"], "LS-CFG-016"),
        (["layout=msd", "cohort=c.csv", "onnx=true", "output=o"], "LS-CFG-016"),
        (["model=none.ckpt", "output=o"], "LS-MOD-001"),
        (["model=a.ckpt", "output=o", "license='a b'"], "LS-XPT-012"),
        (["model=a.ckpt", "output=o", "name='<b>'"], "LS-XPT-012"),
        (["model=a.ckpt", "output=taken"], "LS-XPT-013"),
        (["model=a.ckpt", "output=taken.zip"], "LS-XPT-013"),
        (["model=b.zip", "output=o"], "LS-XPT-014"),
    ],
)
def test_invalid_options_are_rejected_in_one_line(
    words: list[str],
    code: str,
    tmp_path: Path,
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoint.rename("a.ckpt")
    package(Path("b.zip"), Path("a.ckpt"))
    Path("taken").mkdir()
    Path("taken", "thesis.txt").write_text("years of work")
    Path("taken.zip").write_text("more of it")
    assert main(["export", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(code)
    assert not Path("o").exists()
    assert Path("taken", "thesis.txt").read_text() == "years of work"
    assert Path("taken.zip").read_text() == "more of it"


def test_split_of_another_training_is_rejected(
    box_cohort: Any, tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cohort = box_cohort()
    assert main(["split", f"cohort={cohort}", f"output={tmp_path}"]) == 0
    capsys.readouterr()
    words = [f"model={checkpoint}", f"cohort={cohort}", f"split={tmp_path / 'split.csv'}", f"output={tmp_path / 'o'}"]
    assert main(["export", *words]) == 2
    assert capsys.readouterr().err.startswith("LS-XPT-015")
    assert not (tmp_path / "o").exists()


def test_validation_cases_are_segmented_and_their_results_are_written(
    box_cohort: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A network that calls everything liver: by hand, DSS 2 L / (L + all voxels) and bias 200 (all - L) / (all + L)."""
    cohort = box_cohort((5, 6), origin=["LiTS", "LiTS"])
    split = tmp_path / "split.csv"
    write_split(split, Split(("p0",), ("p1",), 0, 0.5, read_cohort(cohort).hash))
    liver_everywhere = network()
    with torch.no_grad():
        for parameter in liver_everywhere.parameters():
            parameter.zero_()
        bias = [value for name, value in liver_everywhere.named_parameters() if name.endswith("bias")][-1]
        bias[int(Structure.LIVER)] = 1.0
        assert liver_everywhere(torch.zeros(1, 3, 16, 16)).argmax(1).unique().tolist() == [1]
    sha256 = hashlib.sha256(split.read_bytes()).hexdigest()
    save(tmp_path / "a.ckpt", liver_everywhere, split=sha256)
    words = [f"model={tmp_path / 'a.ckpt'}", f"cohort={cohort}", f"split={split}", f"output={tmp_path / 'out'}"]
    assert main(["export", *words]) == 0
    content = json.loads((tmp_path / "out" / "model.json").read_text())
    everything = 6 * 32 * 32
    liver = 5 * 16 * 12  # the box of box_case: slices 1 to 5, rows 8 to 23, columns 4 to 15
    assert content["validation"]["cases"] == 1
    assert content["validation"]["structures"]["liver"] == {
        "n": 1,
        "dss_mean": pytest.approx(2 * liver / (liver + everything)),
        "dss_lowest": pytest.approx(2 * liver / (liver + everything)),
        "volume_n": 1,
        "volume_bias_pct": pytest.approx(200 * (everything - liver) / (everything + liver)),
    }
    assert content["validation"]["structures"]["spleen"]["dss_mean"] == 0
    assert content["postprocessing"]["rules"] == {}
    assert content["postprocessing"]["evidence"]["liver"]["cases"] == 1
    assert load_model(tmp_path / "out").postprocessing == {}
    assert f"| liver | 1 | {2 * liver / (liver + everything):.3f} |" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_postprocessing_of_a_package_is_loaded_with_the_model(tmp_path: Path, checkpoint: Path) -> None:
    package(tmp_path / "package", checkpoint)
    choice = {"rules": {"liver": "main_parts"}, "evidence": {}}
    rewrite(tmp_path / "package", lambda content: content.update(postprocessing=choice))
    assert load_model(tmp_path / "package").postprocessing == {Structure.LIVER: "main_parts"}
    rewrite(tmp_path / "package", lambda content: content["postprocessing"].update(rules={"heart": "main_parts"}))
    with pytest.raises(InputError, match="LS-MOD-008"):
        load_model(tmp_path / "package")


def test_help_describes_both_uses() -> None:
    text = verb_help("export")
    assert "export model=run/best.ckpt" in text
    assert "layout=nnunet" in text
