"""Each study prints its help, and rejects a setting that it does not have."""

import subprocess
import sys
from pathlib import Path

import pytest

STUDIES = sorted((Path(__file__).parents[2] / "experiments").glob("*/run.py"))


def run(study: Path, argument: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, study, argument], capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.parent.name)
def test_help_and_unknown_setting(study: Path) -> None:
    shown = run(study, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"python experiments/{study.parent.name}/run.py" in shown.stdout
    rejected = run(study, "no_such_setting=1")
    assert rejected.returncode == 2
    assert "no_such_setting" in rejected.stderr
    assert len(rejected.stderr.splitlines()) == 1
