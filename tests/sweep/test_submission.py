"""Jobs that are submitted, without SLURM; tests/slurm tests them with SLURM."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from liverspleen.cli.main import main
from liverspleen.errors import InputError
from liverspleen.sweep.submission import Command, submit

SETTINGS = {"jobs": 2, "time_min": 90, "partition": None, "gpus": None, "cpus": 3, "mem_gb": None, "options": {}}
SBATCH = '#!/bin/sh\ncat "$1" > "{folder}/batch.sh"\necho Submitted batch job 12\n'


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replacements of the programs of SLURM, first on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sbatch", "srun", "scontrol"):
        (folder / name).write_text(SBATCH.format(folder=tmp_path) if name == "sbatch" else "#!/bin/sh\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def options(script: str) -> dict[str, str]:
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", script, re.M))


def test_jobs_are_an_array_that_is_signalled_before_its_end(tools: Path, tmp_path: Path) -> None:
    more = {"partition": "gpu", "gpus": 1, "mem_gb": 1.5, "options": {"account": "liver"}}
    assert submit(["sweep", "trials=3"], tmp_path / "submitit", **{**SETTINGS, **more}) == ["12_0", "12_1"]
    script = (tmp_path / "batch.sh").read_text()
    requested = options(script)
    assert (requested["time"], requested["cpus-per-task"], requested["signal"], requested["array"]) == (
        "90",
        "3",
        "USR1@120",
        "0-1%2",
    )
    assert (requested["partition"], requested["gpus-per-node"], requested["mem"]) == ("gpu", "1", "1536M")
    assert (requested["account"], requested["requeue"], requested["open-mode"]) == ("liver", "", "append")
    assert "export SUBMITIT_PREEMPT_SIGNAL=USR1" in script.splitlines()


def test_options_that_are_not_given_have_the_defaults_of_the_cluster(tools: Path, tmp_path: Path) -> None:
    submit(["sweep"], tmp_path / "submitit", **{**SETTINGS, "jobs": 1})
    assert not {"partition", "gpus-per-node", "mem", "array"} & options((tmp_path / "batch.sh").read_text()).keys()


def test_without_slurm_without_submitit_and_rejected_by_sbatch_are_one_line_each(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tools / "sbatch").write_text("#!/bin/sh\necho sbatch: error: invalid partition specified: x >&2\nexit 1\n")
    with pytest.raises(
        InputError,
        match=r"^LS-SWP-032: sbatch rejects the jobs: .*invalid partition.*sinfo lists the resources of the cluster$",
    ):
        submit(["sweep"], tmp_path / "submitit", **{**SETTINGS, "partition": "x"})
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "submitit", None)
        with pytest.raises(InputError, match=r"^LS-SWP-030: .*; run pip install 'liverspleen\[slurm\]'$"):
            submit(["sweep"], tmp_path / "submitit", **SETTINGS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match=r"^LS-SWP-031: launcher=slurm, but sbatch, srun, scontrol not found on the PATH"
    ):
        submit(["sweep"], tmp_path / "submitit", **SETTINGS)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("workers=2", "LS-CFG-016: workers=2 with launcher=slurm; remove workers="),
        ("launcher.jobs=0", "LS-CFG-016: launcher.jobs=0 with launcher=slurm; "),
        ("launcher.time_min=1", "LS-CFG-006: launcher.time_min=1 is below 5; use"),
    ],
)
def test_contradictions_are_rejected_before_jobs_are_submitted(
    override: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "cohort=c.csv", f"output={tmp_path / 'o'}", "trials=3", "launcher=slurm", override]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


def test_command_has_the_exit_code_of_liverspleen(capfd: pytest.CaptureFixture[str]) -> None:
    assert Command(["--version"])() == 0
    with pytest.raises(SystemExit) as ended:
        Command(["no_verb"])()
    assert ended.value.code == 2
    assert "LS-CFG-000" in capfd.readouterr().err


def test_checkpoint_waits_for_the_command_to_stop_and_gives_the_same_one(tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    code = "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(0.5), sys.exit(1))); print(flush=True)"
    process = subprocess.Popen([sys.executable, "-c", f"{code}; time.sleep(60)"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    command = Command(["sweep", "trials=3"])
    command._process = process.pid
    start = time.monotonic()
    again = command.checkpoint()
    assert 0.4 < time.monotonic() - start < 30
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    assert again.function.arguments == ("sweep", "trials=3")
    process.returncode = 1  # checkpoint has waited for it
    process.stdout.close()
