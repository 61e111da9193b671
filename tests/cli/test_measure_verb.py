"""`liverspleen measure`: options that are rejected before a file is read, and outputs."""

from __future__ import annotations

import pytest

from liverspleen.cli.main import main
from liverspleen.cohort.label_values import label_values
from liverspleen.errors import InputError
from liverspleen.organs import Structure


def test_label_values_by_name_and_by_map() -> None:
    assert label_values("label_values", "liverspleen") is None
    assert label_values("label_values", "flare") == {1: Structure.LIVER, 3: Structure.SPLEEN}
    assert label_values("label_values", {7: "spleen"}) == {7: Structure.SPLEEN}


@pytest.mark.parametrize("values", ["nnunet", {}, {1.5: "liver"}, {1: "kidney"}, {"one": "liver"}, 3, None])
def test_unknown_label_values_are_rejected_with_the_known_ones(values: object) -> None:
    with pytest.raises(InputError, match=r"LS-CFG-009: label_values=.*totalsegmentator"):
        label_values("label_values", values)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["label_values=totalseg"], "LS-CFG-009"),
        (["reference=labels", "reference_values={1: kidney}"], "LS-CFG-009"),
        (["surface=mesh"], "LS-CFG-006"),
        (["nsd_tolerance_mm=-1"], "LS-CFG-006"),
        (["nsd_tolerance_mm=inf"], "LS-CFG-006"),
        (["workers=-1"], "LS-CFG-006"),
        (["reference_values=amos"], "LS-CFG-016"),
    ],
)
def test_invalid_options_are_one_line_and_exit_code_2(tmp_path, capsys, overrides, expected) -> None:
    (tmp_path / "labels").mkdir()
    code = main(["measure", f"labels={tmp_path / 'labels'}", f"output={tmp_path / 'out'}", *overrides])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert code == 2
    assert len(lines) == 1
    assert expected in lines[0]
