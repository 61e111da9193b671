"""Fixtures for all tests."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest

from liverspleen.cohort.manifest import write_cohort
from liverspleen.imaging.geometry import Geometry
from liverspleen.imaging.nifti import write_ct, write_label_map
from liverspleen.imaging.volume import CTVolume, LabelMap
from liverspleen.organs import Structure
from liverspleen.phantom.cohort import write_phantom_cohort

MARKERS = ("slow", "ddp", "slurm", "browser", "gpu", "real")
hypothesis.settings.register_profile("tests", deadline=None)  # a busy machine is not an error of the code
hypothesis.settings.load_profile("tests")


@pytest.fixture
def curves() -> None:
    """Let the trainings of a test draw curves.png."""


@pytest.fixture(autouse=True)
def _no_curves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no curves.png in other tests: drawing takes longer than a training of few steps."""
    module = sys.modules.get("liverspleen.training.curves")
    if module is not None and "curves" not in request.fixturenames:
        monkeypatch.setattr(module, "draw", lambda *_: None)


def pytest_configure() -> None:
    """Restore SIGINT, which a shell ignores for tests started with `&` and for all processes that they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Record the markers of each test in its report, also for tests of other processes."""
    for item in items:
        found = [name for name in MARKERS if item.get_closest_marker(name)]
        item.user_properties.append(("markers", found or ["none"]))


def pytest_collection_finish() -> None:
    """Exclude imported modules from garbage collection, which Lightning and statsmodels run often."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the number of tests of each marker; a test with two markers counts in both lines."""
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.getreports(outcome):
            for name in dict(getattr(report, "user_properties", ())).get("markers", ()):
                counts.setdefault(name, Counter())[outcome] += 1
    for name in ("none", *MARKERS):
        if name in counts:
            printed = ", ".join(f"{number} {outcome}" for outcome, number in counts[name].items())
            terminalreporter.write_line(f"marker {name}: {printed}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real CT scans and statistics fixtures, which is not part of the project."""
    folder = Path(os.environ.get("LIVERSPLEEN_SHARED", Path(__file__).parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip("the folder of real CT scans and statistics fixtures is absent (set LIVERSPLEEN_SHARED)")
    return folder


def box_case(shape: tuple[int, int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and labels, (slice, row, column): a bright box as liver on the left of the image, a smaller one as spleen."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    _, rows, columns = shape
    labels[1:, rows // 4 : 3 * rows // 4, columns // 8 : columns // 2] = Structure.LIVER
    labels[1:-1, rows // 2 : 3 * rows // 4, 5 * columns // 8 : 7 * columns // 8] = Structure.SPLEEN
    hu = np.select([labels == Structure.LIVER, labels == Structure.SPLEEN], [110, 180], -50)
    hu[:, :2] = -1000  # air above the patient
    return (hu + rng.normal(0, 10, shape)).astype(np.int16), labels


@pytest.fixture
def box_cohort(tmp_path: Path) -> Callable[..., Path]:
    """Function that writes a cohort of box cases, from slices per case and columns, and returns its cohort.csv."""

    def write(slices: Sequence[int] = (5, 6, 4, 5), **columns: Sequence[str]) -> Path:
        folder = tmp_path / "cohort"
        folder.mkdir()
        rows = []
        for index, count in enumerate(slices):
            hu, labels = box_case((count, 32, 32), index)
            geometry = Geometry((32, 32, count), np.diag([-2.0, -2.0, 5.0, 1.0]))
            write_ct(folder / f"c{index}.nii.gz", CTVolume(hu, geometry))
            write_label_map(folder / f"c{index}_label.nii.gz", LabelMap(labels, geometry))
            row = {"case_id": f"c{index}", "patient_id": f"p{index}", "image": f"c{index}.nii.gz"}
            row |= {"label": f"c{index}_label.nii.gz", "dataset": "development"}
            rows.append(row | {name: values[index] for name, values in columns.items()})
        write_cohort(folder / "cohort.csv", rows)
        return folder / "cohort.csv"

    return write


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """cohort.csv of five small phantoms, one per condition, generated once."""
    folder = tmp_path_factory.mktemp("phantoms")
    request = {"development": 5, "test1": 0, "pairs": 0, "seed": 11, "matrix": 64, "thickness_mm": (5.0, 5.0)}
    return write_phantom_cohort(folder, **request, workers=1)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint that segments the boxes of `cli/predicting.py`, trained once."""
    from predicting import trained

    return trained(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def predicted(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with scans/ and the predictions out/ of two cases, a and b."""
    from predicting import predict, scan

    top = tmp_path_factory.mktemp("predicted")
    (top / "scans").mkdir()
    for seed, name in enumerate("ab"):
        scan(top / "scans" / f"{name}.nii.gz", seed=seed)
    assert predict(model, top / "scans", top / "out") == 0
    return top


@pytest.fixture
def out(predicted: Path, tmp_path: Path) -> Path:
    """A copy of the predictions; run.json has the path of the scans."""
    return Path(shutil.copytree(predicted / "out", tmp_path / "out"))


@pytest.fixture
def todo(out: Path) -> Path:
    """A correction folder with both cases."""
    from correcting import correct

    assert correct(f"input={out}", f"output={out.parent / 'todo'}") == 0
    return out.parent / "todo"


@pytest.fixture
def disk_mb() -> int:
    """Size of `small_disk`; a module may override it."""
    return 24


@pytest.fixture
def small_disk(tmp_path: Path, disk_mb: int) -> Iterator[Path]:
    """File system in memory, which only root can create."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("making a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a database connection may still be open


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by playwright; root needs no-sandbox, and a machine without a GPU the software WebGL."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("chromium is not installed")
    flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=program, args=flags)
        yield launched
        launched.close()
