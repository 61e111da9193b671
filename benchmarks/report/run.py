"""How long does a report of 250 CT scans take, with every table, figure and page?

    python benchmarks/report/run.py

Writes a seeded measurements.csv of the paper's size (150 CT scans of 150 patients in five conditions, 50 patients with
two CT scans) and runs `liverspleen report` on it in a process, imports included. Prints JSON: the median of the runs,
and the lower limit, which is the median of a process that only imports the libraries.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from liverspleen.evaluation import Measurement, write_measurements

RUNS = 5
CONDITIONS = ("healthy", "fatty", "cld", "cirrhosis", "post_hepatectomy")
IMPORTS = "import docx, jinja2, matplotlib.figure, matplotlib.backends.backend_agg, pandas, scipy.stats"


def rows() -> list[Measurement]:
    """Return rows of 250 CT scans by two readers, with volumes, DSS and surface metrics near those of the paper."""
    rng = np.random.default_rng(2020)
    found: list[Measurement] = []
    for number in range(250):
        first = number < 150
        patient = f"P{number}" if first else f"Q{(number - 150) // 2}"
        condition = CONDITIONS[number % 5] if first else "healthy"
        case = (
            f"C{number:03d}",
            patient,
            "test1" if first else "test2",
            condition,
            "internal" if first or number % 2 else "external",
        )
        for structure, mean, sd in (("liver", 1300.0, 300.0), ("spleen", 250.0, 120.0)):
            manual = float(max(40.0, rng.normal(mean, sd)))
            dss = float(np.clip(rng.normal(0.973, 0.015), 0, 1))
            found.append(Measurement(*case, structure, "manual", manual))
            found.append(
                Measurement(
                    *case,
                    structure,
                    "dla",
                    manual * float(rng.normal(1, 0.015)),
                    reference="manual",
                    dss=dss,
                    hd95_mm=float(rng.gamma(4, 0.8)),
                    assd_mm=float(rng.gamma(4, 0.2)),
                    nsd=float(np.clip(rng.normal(0.98, 0.01), 0, 1)),
                    nsd_tolerance_mm=3.0,
                    surface="voxel",
                )
            )
    return found


def seconds(command: list[str]) -> float:
    """Run a command that must succeed, and return its wall time in seconds."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print JSON."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "measurements.csv"
        write_measurements(source, rows())
        liverspleen = [sys.executable, "-m", "liverspleen", "report", f"measurements={source}"]
        report, imports = [], []
        for run in range(RUNS):
            report.append(seconds([*liverspleen, f"output={Path(folder) / str(run)}"]))
            imports.append(seconds([sys.executable, "-c", IMPORTS]))
    result = {
        "benchmark": "report of 250 CT scans",
        "report_s": round(statistics.median(report), 2),
        "imports_alone_s": round(statistics.median(imports), 2),
        "ratio_to_imports_alone": round(statistics.median(report) / statistics.median(imports), 1),
        "runs": RUNS,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
