"""Simulated papers: data sampled case by case, tables computed with numpy and scipy, and rounded numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from liverspleen.audit import Audit, audit, read_claims, read_published

COLUMNS = ("id", "place", "row", "column", "quantity", "printed", "unit", "n", "note")


def printed(value: float, digits: int, rounding: str) -> str:
    """The exact double, rounded to `digits` decimals."""
    return f"{Decimal(float(value)).quantize(Decimal(1).scaleb(-digits), rounding):f}"


@dataclass
class Paper:
    """Rows of published.csv by id, and claims."""

    rounding: str
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    claims: list[dict[str, Any]] = field(default_factory=list)

    def put(self, name: str, quantity: str, value: float | str, digits: int = 0, n: int | None = None) -> str:
        """Add a number as the paper prints it; return its id."""
        text = value if isinstance(value, str) else printed(value, digits, self.rounding)
        row = dict.fromkeys(COLUMNS, "")
        self.rows[name] = row | {"id": name, "place": "Table", "quantity": quantity, "printed": text}
        if n is not None:
            self.rows[name]["n"] = str(n)
        return name

    def p(self, name: str, value: float, n: int) -> str:
        """Add a p value, printed as < 0.001 if it is smaller."""
        return self.put(name, "p", "< 0.001" if value < 0.001 else value, 3 if value < 0.1 else 2, n)

    def claim(self, rule: str, cells: Mapping[str, Any], **settings: Any) -> None:
        """Add a claim."""
        self.claims.append({"id": f"claim{len(self.claims)}", "rule": rule, "cells": dict(cells), **settings})


def audited(paper: Paper, folder: Path) -> Audit:
    """Write the two files of the paper, and audit them."""
    lines = [",".join(COLUMNS), *(",".join(row[name] for name in COLUMNS) for row in paper.rows.values())]
    (folder / "published.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "claims.yaml").write_text(json.dumps({"claims": paper.claims}), encoding="utf-8")
    published = read_published(folder / "published.csv")
    claims = read_claims(folder / "claims.yaml", published.numbers)
    found = audit(published.numbers.values(), claims.claims)
    assert (*published.issues, *claims.issues, *found.issues) == ()
    return found


def honest_paper(seed: int) -> Paper:
    """Patients, ages, DSS in groups, percent differences of two volumes and their ratio, two CT scans of a patient."""
    rng = np.random.default_rng(seed)
    paper = Paper(ROUND_HALF_UP if rng.random() < 0.5 else ROUND_HALF_EVEN)
    _patients(paper, rng)
    _ages(paper, rng)
    _agreement(paper, rng)
    _repeats(paper, rng)
    return paper


def _patients(paper: Paper, rng: np.random.Generator) -> None:
    n, digits = int(rng.integers(7, 900)), int(rng.integers(0, 3))
    of = paper.put("patients", "count", n)
    counts = rng.multinomial(n, rng.dirichlet(np.ones(int(rng.integers(2, 7)))))
    parts = [paper.put(f"class{k}", "count", int(count)) for k, count in enumerate(counts)]
    for part, count in zip(parts, counts, strict=True):
        percent = paper.put(f"{part}.percent", "percent", 100 * int(count) / n, digits, n)
        paper.claim("percent", {"percent": percent, "count": part, "of": of})
    paper.claim("sum", {"total": of, "parts": parts})
    paper.claim("part", {"part": parts[0], "whole": of})
    alone = paper.put("alone.percent", "percent", 100 * int(rng.integers(0, n + 1)) / n, digits, n)
    paper.claim("percent", {"percent": alone})


def _ages(paper: Paper, rng: np.random.Generator) -> None:
    n, digits = int(rng.integers(3, 120)), int(rng.integers(1, 3))
    ages = np.round(rng.normal(55, rng.uniform(2, 18), n)).clip(0, 110)
    paper.claim("sample", _described(paper, "age", ages, digits), step=1, within=[0, 120])


def _described(paper: Paper, name: str, values: np.ndarray, digits: int) -> dict[str, str]:
    numbers = {"mean": values.mean(), "sd": values.std(ddof=1), "minimum": values.min(), "maximum": values.max()}
    return {key: paper.put(f"{name}.{key}", key, value, digits, len(values)) for key, value in numbers.items()}


def _agreement(paper: Paper, rng: np.random.Generator) -> None:
    """DSS and percent differences that two masks can have: |a - b|/(a + b) ≤ 1 - DSS in each case."""
    sizes = [int(size) for size in rng.integers(5, 41, int(rng.integers(2, 6)))]
    group = np.repeat(np.arange(len(sizes)), sizes)
    n, digits, points = len(group), int(rng.integers(2, 5)), int(rng.integers(1, 4))
    halves: dict[str, np.ndarray] = {}
    described: dict[str, dict[int, dict[str, str]]] = {}
    for organ in ("liver", "spleen"):
        missed = rng.beta(2, rng.uniform(15, 80), n)
        part = rng.uniform(-1, 1, n) if rng.random() < 0.8 else rng.choice([-1.0, 1.0], n)
        halves[organ] = part * missed
        described[organ] = _scores(paper, organ, 1 - missed, group, digits)
    u, v = halves["liver"], halves["spleen"]
    differences = {"liver": 200 * u, "spleen": 200 * v}
    liver, spleen = (1 + u) / (1 - u), (1 + v) / (1 - v)  # test over reference
    differences["ratio"] = 200 * (liver / spleen - 1) / (liver / spleen + 1)
    cells = {index: _limits(paper, index, values, group, points) for index, values in differences.items()}
    for key in cells["liver"]:
        parts = {"ratio": cells["ratio"][key], "numerator": cells["liver"][key], "denominator": cells["spleen"][key]}
        paper.claim("ratio", parts)
        for organ in ("liver", "spleen"):
            paper.claim("overlap", {**cells[organ][key], "dss": described[organ][key]})
    _sentences(paper, rng, cells, differences, group, points)


def _scores(paper: Paper, organ: str, scores: np.ndarray, group: np.ndarray, digits: int) -> dict[int, dict[str, str]]:
    cells = {-1: _described(paper, f"dss.{organ}.total", scores, digits)}
    paper.claim("sample", cells[-1], within=[0, 1])
    for key in range(group.max() + 1):
        cells[key] = _described(paper, f"dss.{organ}.{key}", scores[group == key], digits)
        paper.claim("sample", cells[key], within=[0, 1])
    paper.claim("union", {**cells[-1], "groups": [cells[key] for key in cells if key >= 0]})
    test = stats.kruskal(*(scores[group == key] for key in range(group.max() + 1)))
    h = paper.put(f"dss.{organ}.h", "statistic", test.statistic, 2, len(scores))
    p = paper.p(f"dss.{organ}.p", test.pvalue, len(scores))
    paper.claim("kruskal_wallis", {"p": p, "statistic": h}, groups=int(group.max()) + 1)
    paper.claim("kruskal_wallis", {"p": p}, groups=int(group.max()) + 1)
    return cells


def _limits(paper: Paper, index: str, values: np.ndarray, group: np.ndarray, digits: int) -> dict[int, dict[str, str]]:
    cells = {}
    for key in range(-1, group.max() + 1):
        inside = values if key < 0 else values[group == key]
        name, n = f"loa.{index}.{key}", len(inside)
        bias, half = inside.mean(), 1.96 * inside.std(ddof=1)
        cells[key] = {
            "bias": paper.put(f"{name}.bias", "bias", bias, digits, n),
            "half_width": paper.put(f"{name}.half_width", "half_width", half, digits, n),
        }
        p = paper.p(f"{name}.p", stats.ttest_1samp(inside, 0).pvalue, n)
        paper.claim("t_test", {**cells[key], "p": p})
        ends = {
            "lower": paper.put(f"{name}.lower", "lower", bias - half, 1, n),
            "upper": paper.put(f"{name}.upper", "upper", bias + half, 1, n),
        }
        paper.claim("limits", {**cells[key], **ends})
        paper.claim("limits", {"bias": cells[key]["bias"], **ends})
    paper.claim("union", {**cells[-1], "groups": [cells[key] for key in cells if key >= 0]})
    return cells


def _sentences(
    paper: Paper,
    rng: np.random.Generator,
    cells: Mapping[str, Mapping[int, Mapping[str, str]]],
    differences: Mapping[str, np.ndarray],
    group: np.ndarray,
    points: int,
) -> None:
    """Numbers of the abstract, rounded from the data or again from the table."""
    for index, values in differences.items():
        own = cells[index][-1]["bias"]
        again = Decimal(paper.rows[own]["printed"]) if rng.random() < 0.5 else Decimal(float(values.mean()))
        text = f"{again.quantize(Decimal(1).scaleb(1 - points), paper.rounding):f}"
        paper.claim("same", {"cells": [paper.put(f"abstract.{index}.bias", "bias", text), own]})
        means = [values[group == key].mean() for key in range(group.max() + 1)]
        span = {
            "lowest": paper.put(f"abstract.{index}.lowest", "lowest", min(means), 1),
            "highest": paper.put(f"abstract.{index}.highest", "highest", max(means), 1),
        }
        listed = [cells[index][key]["bias"] for key in range(group.max() + 1)]
        paper.claim("span", {**span, "cells": listed})
        above = math.floor(max(means) * 10 + 1) / 10
        bound = paper.put(f"abstract.{index}.bound", "bound", f"< {above:.1f}")
        paper.claim("bound", {"bound": bound, "cells": listed})


def _repeats(paper: Paper, rng: np.random.Generator) -> None:
    n, digits = int(rng.integers(4, 80)), int(rng.integers(1, 3))
    true = rng.lognormal(7, 0.3, n)
    first, second = (true * np.exp(rng.normal(0, 0.06, n)) for _ in range(2))
    wcv = math.sqrt(np.mean((first - second) ** 2 / 2 / ((first + second) / 2) ** 2))
    rc = 100 * 1.96 * math.sqrt(2 * wcv**2)
    ends = {
        "rc_lower": rc * math.sqrt(n / stats.chi2.ppf(0.975, n)),
        "rc_upper": rc * math.sqrt(n / stats.chi2.ppf(0.025, n)),
    }
    cells = {key: paper.put(f"rc.{key}", key, value, digits, n) for key, value in {"rc": rc, **ends}.items()}
    paper.claim("rc_interval", cells, df=n)
    test = stats.wilcoxon(first, second, method="asymptotic", correction=False)
    z = paper.put("repeats.z", "statistic", float(stats.norm.ppf(test.pvalue / 2)), 2, n)
    p = paper.p("repeats.p", test.pvalue, n)
    paper.claim("wilcoxon", {"p": p, "statistic": z})
    paper.claim("wilcoxon", {"p": p})


def with_issue(paper: Paper, seed: int) -> tuple[Paper, str]:
    """The paper with one digit of one number changed, and the id of that number."""
    rng = np.random.default_rng(seed)
    ids: Sequence[str] = list(paper.rows)
    changed = ids[int(rng.integers(len(ids)))]
    text = paper.rows[changed]["printed"]
    places = [position for position, character in enumerate(text) if character.isdigit()]
    place = places[int(rng.integers(len(places)))]
    digit = (int(text[place]) + int(rng.integers(1, 10))) % 10
    rows = {**paper.rows, changed: paper.rows[changed] | {"printed": f"{text[:place]}{digit}{text[place + 1 :]}"}}
    return Paper(paper.rounding, rows, paper.claims), changed
