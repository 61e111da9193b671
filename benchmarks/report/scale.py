"""How much time and memory do a report and a split of very many CT scans need?

    python benchmarks/report/scale.py [CASES]

Writes a seeded measurements.csv (by default 100 000 CT scans, two organs, two readers) and a cohort.csv with a row per
CT scan, and runs `liverspleen report`, `split` and `split folds=5` on them in processes, imports included. Prints JSON:
wall time, processor time and peak memory of each process, and the sizes of the page and of report.json.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

CASES = 100_000
CONDITIONS = ("healthy", "fatty", "cld", "cirrhosis", "post_hepatectomy")
COLUMNS = ("case_id", "patient_id", "dataset", "condition", "site")
MEASURED = ("structure", "reader", "volume_cm3", "volume_status", "reference", "dss", "hd95_mm", "assd_mm", "nsd")
ORGANS = (("liver", 1400.0, 300.0), ("spleen", 220.0, 90.0))


def scans(cases: int) -> Iterator[tuple[str, ...]]:
    """Yield CT scans: 50 % test1, 30 % test2 with two per patient, 20 % development; some patients have several."""
    rng = np.random.default_rng(2020)
    for number in range(cases):
        part = number / cases
        if 0.5 <= part < 0.8:
            about = (f"Q{number // 2}", "test2", "healthy", ("external", "internal")[number % 2])
        else:
            patient = number - (number % 20 == 1)  # the patient of the scan before it
            about = (
                f"P{patient}",
                "test1" if part < 0.5 else "development",
                CONDITIONS[patient % 5],
                ("external", "internal")[int(rng.integers(2))],
            )
        yield f"C{number:06d}", *about


def write_tables(folder: Path, cases: int) -> tuple[Path, Path]:
    """Write measurements.csv and cohort.csv; 0.3 % of the readings are undefined, 3 % have a status."""
    rng = np.random.default_rng(2021)
    measurements, cohort = folder / "measurements.csv", folder / "cohort.csv"
    with measurements.open("w", newline="") as one, cohort.open("w", newline="") as other:
        readings, rows = csv.writer(one), csv.writer(other)
        readings.writerow((*COLUMNS, *MEASURED, "nsd_tolerance_mm", "surface"))
        rows.writerow((*COLUMNS, "image", "label", "age", "sex"))
        for scan in scans(cases):
            age, sex = int(rng.integers(20, 90)), "FM"[int(rng.integers(2))]
            rows.writerow((*scan, f"ct/{scan[0]}.nii.gz", f"labels/{scan[0]}.nii.gz", age, sex))
            for organ, mean, sd in ORGANS:
                manual = max(30.0, rng.normal(mean, sd))
                readings.writerow((*scan, organ, "manual", manual, *[""] * 8))
                found: tuple[object, ...] = ("", "absent", "manual", "", "", "", "")
                if rng.random() > 0.003:
                    status = "ok" if rng.random() > 0.03 else "truncated"
                    dss, nsd = np.clip(rng.normal((0.97, 0.98), 0.012), 0, 1)
                    hd95, assd = rng.gamma(4, 0.8), rng.gamma(4, 0.2)
                    found = (manual * rng.normal(1.002, 0.015), status, "manual", dss, hd95, assd, nsd)
                readings.writerow((*scan, organ, "dla", *found, 3.0, "voxel"))
    return measurements, cohort


def measured(*command: str) -> dict[str, float]:
    """Run a verb that must succeed; return wall and processor time in seconds, and peak memory in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "liverspleen", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"liverspleen {' '.join(command)} failed")
    cpu = usage.ru_utime + usage.ru_stime
    return {
        "wall_s": round(time.perf_counter() - start, 1),
        "processor_s": round(cpu, 1),
        "peak_mb": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    """Measure and print JSON."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else CASES
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measurements, cohort = write_tables(folder, cases)
        output = folder / "report"
        result = {
            "benchmark": "report and split of very many CT scans",
            "cases": cases,
            "measurements_mb": round(measurements.stat().st_size / 1e6, 1),
            "report": measured("report", f"measurements={measurements}", f"output={output}"),
            "split": measured("split", f"cohort={cohort}", f"output={folder / 'split'}"),
            "split_folds_5": measured("split", f"cohort={cohort}", f"output={folder / 'folds'}", "folds=5"),
            "report_html_mb": round((output / "report.html").stat().st_size / 1e6, 1),
            "report_json_mb": round((output / "report.json").stat().st_size / 1e6, 1),
            "largest_figure_mb": round(max(file.stat().st_size for file in (output / "figures").iterdir()) / 1e6, 1),
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
