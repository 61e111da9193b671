"""Tables, records and models: pipes, devices, sockets, folders and huge files are rejected at once."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from liverspleen.audit.claims import read_claims
from liverspleen.audit.published import read_published
from liverspleen.cohort.covariates import read_covariates
from liverspleen.cohort.folder import open_cohort
from liverspleen.cohort.identity import read_key
from liverspleen.cohort.manifest import Cohort, read_cohort
from liverspleen.cohort.split import read_split
from liverspleen.cohort.vocabulary import PAPER
from liverspleen.config.choices import without_conf
from liverspleen.errors import InputError
from liverspleen.evaluation.measurements.table import read_measurements
from liverspleen.evaluation.reporting.flow import read_exclusions
from liverspleen.evaluation.reporting.rc_table import read_rc_table
from liverspleen.inference.untrusted.model_file import checked_model
from liverspleen.networks.pretrained import read_weights
from liverspleen.provenance import recorded
from liverspleen.reading import LIMIT_BYTES, read_bytes, read_csv
from liverspleen.training.checkpoint_files import read_checkpoint

NO_COHORT = Cohort((), (), Path("cohort.csv"), Path(), "")
READERS: dict[str, Callable[[Path], Any]] = {
    "cohort": read_cohort,
    "split": lambda file: read_split(file, NO_COHORT),
    "covariates": lambda file: read_covariates(file, vocabulary=PAPER),
    "measurements": read_measurements,
    "exclusions": read_exclusions,
    "report": read_rc_table,
    "published": read_published,
    "claims": lambda file: read_claims(file, {}),
    "key": read_key,
    "checkpoint": read_checkpoint,
    "weights": read_weights,
}


def codes(call: Callable[[Path], Any], file: Path) -> set[str]:
    with pytest.raises(InputError) as caught:
        call(file)
    return {issue.code for issue in caught.value.issues}


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Return a named pipe without a writer: opening it would block."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    return tmp_path / "pipe"


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_rejected_at_once_also_behind_a_link(reader: str, pipe: Path) -> None:
    link = pipe.with_name("link.csv")
    link.symlink_to(pipe)
    assert codes(READERS[reader], pipe) == codes(READERS[reader], link) == {"LS-CFG-020"}


@pytest.mark.parametrize(
    "reader", sorted(set(READERS) - {"key", "cohort"})
)  # the mode of a device is not that of a key
def test_a_device_without_end_and_a_folder_are_rejected(reader: str, tmp_path: Path) -> None:
    assert codes(READERS[reader], Path("/dev/zero")) == codes(READERS[reader], tmp_path) == {"LS-CFG-020"}


def test_a_model_that_is_a_pipe_or_a_device_is_rejected(pipe: Path) -> None:
    assert codes(checked_model, pipe) == codes(checked_model, Path("/dev/zero")) == {"LS-CFG-020"}


def test_a_shell_pipe_and_a_socket_are_rejected(tmp_path: Path) -> None:
    end, other = os.pipe()
    assert codes(read_measurements, Path(f"/dev/fd/{end}")) == {"LS-CFG-020"}
    os.close(end), os.close(other)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert codes(read_cohort, tmp_path / "s") == {"LS-CFG-020"}


def test_a_table_in_standard_input_from_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with (tmp_path / "t.csv").open("rb") as handle:
        assert read_csv(Path(f"/dev/fd/{handle.fileno()}")) == [["a", "b"], ["1", "2"]]


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"checkpoint", "weights", "key"}))
def test_a_huge_file_is_rejected_before_it_is_read(reader: str, tmp_path: Path) -> None:
    file = tmp_path / "huge.csv"
    file.touch()
    os.truncate(file, 1 << 40)  # sparse: no space on the disk
    assert codes(READERS[reader], file) == {"LS-CFG-021"}


def test_the_limit_is_the_largest_size_that_is_read(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"abc")
    assert read_bytes(file, limit=3) == b"abc"
    assert codes(lambda path: read_bytes(path, limit=2), file) == {"LS-CFG-021"}
    assert LIMIT_BYTES == 128 * 2**20


def test_a_choice_that_is_a_pipe_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "network").mkdir()
    os.mkfifo(tmp_path / "network" / "mine.yaml", 0o600)
    with pytest.raises(InputError, match=r"LS-CFG-020.*mine\.yaml"):
        without_conf([f"conf={tmp_path}"])


def test_a_dataset_json_that_is_a_pipe_is_rejected(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.nii.gz").touch()
    os.mkfifo(tmp_path / "dataset.json", 0o600)
    assert codes(open_cohort, tmp_path) == {"LS-CFG-020"}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        '{"earlier": 5}',
        '{"earlier": [1]}',
        '{"a": "\\ud800"}',
        '{"a": NaN}',
        '{"a": 1e999}',
        "[" * 10**5,
        "{",
    ],
)
def test_an_odd_run_json_stops_the_run_before_its_work_and_stays(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"LS-FMT-005 file .*run\.json"), recorded("split", {}, tmp_path):
        pytest.fail("the work was started")
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == text


def test_records_of_earlier_runs_are_kept(tmp_path: Path) -> None:
    for _ in range(3):
        with recorded("split", {}, tmp_path):
            pass
    content = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    assert [run["verb"] for run in content["earlier"]] == ["split", "split"]
