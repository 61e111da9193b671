"""The code cells of every notebook run in order in an empty folder."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
SLOW = {"evaluate_another_system", "tables_from_label_maps"}
CASES = [pytest.param(path, marks=[pytest.mark.slow] * (path.stem in SLOW), id=path.stem) for path in NOTEBOOKS]


@pytest.mark.parametrize("notebook", CASES)
def test_notebook_runs(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, object] = {"__name__": "notebook"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            source = cell["source"]
            exec(compile("".join(source), f"{notebook.name} {cell['id']}", "exec"), space)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS
