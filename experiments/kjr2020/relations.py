"""The claims of `claims.yaml` as rules; a rule derives one number from others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from rules import (
    Interval,
    Rule,
    bias_of_ratio,
    highest,
    limit,
    lowest,
    pooled_sd,
    rc_bound,
    rc_bound_from_other,
    same,
    sd_within_range,
    total,
)
from transcription import PUBLISHED, PrintedNumber

from liverspleen import audit

CLAIMS: Final = Path(__file__).with_name("claims.yaml")


def read_rules(numbers: Iterable[PrintedNumber], path: Path = CLAIMS) -> tuple[Rule, ...]:
    """Return the rules of a file of claims; kinds of claims that only `liverspleen audit` checks are skipped."""
    known = {number.id: number for number in numbers}
    claims = yaml.safe_load(path.read_text(encoding="utf-8"))["claims"]
    return tuple(rule for claim in claims if claim["rule"] in _KINDS for rule in _KINDS[claim["rule"]](claim, known))


_Known = Mapping[str, PrintedNumber]


def _sample(claim: Mapping[str, Any], known: _Known) -> Iterator[Rule]:
    cells = claim["cells"]
    if {"mean", "sd", "minimum", "maximum"} <= cells.keys():
        given = tuple(cells[name] for name in ("mean", "minimum", "maximum"))
        n = int(known[cells["mean"]].n)
        yield Rule("SD from mean, range and n", cells["sd"], given, sd_within_range(n))


def _union(claim: Mapping[str, Any], known: _Known) -> Iterator[Rule]:
    cells = claim["cells"]
    centre, spread = ("mean", "sd") if "sd" in cells else ("bias", "half_width")
    if spread in cells:
        given = tuple(group[name] for group in cells["groups"] for name in (centre, spread))
        sizes = [int(known[group[centre]].n) for group in cells["groups"]]
        multiplier = 1.96 if spread == "half_width" else 1.0
        yield Rule("SD of the whole from its groups", cells[spread], given, pooled_sd(sizes, multiplier))


def _ratio(claim: Mapping[str, Any], known: _Known) -> Iterator[Rule]:
    cells = claim["cells"]
    given = tuple(cells[part][name] for part in ("numerator", "denominator") for name in ("bias", "half_width"))
    n = int(known[cells["ratio"]["bias"]].n)
    yield Rule("bias of a ratio from its parts", cells["ratio"]["bias"], given, bias_of_ratio(n))


def _rc_interval(claim: Mapping[str, Any], _: _Known) -> Iterator[Rule]:
    cells, df = claim["cells"], int(claim["df"])
    for end, name in enumerate(("rc_lower", "rc_upper")):
        yield Rule("χ² interval of %RC", cells[name], (cells["rc"],), rc_bound(df, end))
    yield Rule("χ² interval of %RC", cells["rc_upper"], (cells["rc_lower"],), rc_bound_from_other(df))


def _limits(claim: Mapping[str, Any], _: _Known) -> Iterator[Rule]:
    cells = claim["cells"]
    for name, sign in (("lower", -1), ("upper", 1)):
        given = (cells["bias"], cells["half_width"])
        yield Rule("limits from bias and half-width", cells[name], given, limit(sign))


def _same(claim: Mapping[str, Any], _: _Known) -> Iterator[Rule]:
    *others, last = claim["cells"]["cells"]
    for name in others:
        yield Rule("the same number twice", name, (last,), same, is_exact=True)


def _span(claim: Mapping[str, Any], _: _Known) -> Iterator[Rule]:
    cells = claim["cells"]
    for name, extreme in (("lowest", lowest), ("highest", highest)):
        yield Rule(f"{name} of the summarized numbers", cells[name], tuple(cells["cells"]), extreme, is_exact=True)


def _bound(claim: Mapping[str, Any], known: _Known) -> Iterator[Rule]:
    cells = claim["cells"]
    above = known[cells["bound"]].printed.startswith((">", "≥"))
    extreme, label = (lowest, "lowest") if above else (highest, "highest")
    name = f"{label} of the bounded numbers"
    yield Rule(name, cells["bound"], tuple(cells["cells"]), extreme, is_exact=True)


def _sum(claim: Mapping[str, Any], _: _Known) -> Iterator[Rule]:
    cells = claim["cells"]
    yield Rule("sum of its parts", cells["total"], tuple(cells["parts"]), total, is_exact=True)


_KINDS: Final[dict[str, Callable[[Mapping[str, Any], _Known], Iterator[Rule]]]] = {
    "sample": _sample,
    "union": _union,
    "ratio": _ratio,
    "rc_interval": _rc_interval,
    "limits": _limits,
    "same": _same,
    "span": _span,
    "bound": _bound,
    "sum": _sum,
}


def audit_findings(published: Path = PUBLISHED, claims: Path = CLAIMS) -> dict[str, str]:
    """Return the claim of each number that `liverspleen audit` finds impossible or contradicted."""
    numbers = audit.read_published(published).numbers
    findings = audit.audit(numbers.values(), audit.read_claims(claims, numbers).claims).findings
    return {finding.number.id: finding.claim for finding in findings if finding.severity != "note"}


def with_derived(values: Mapping[str, float], rules: Sequence[Rule]) -> dict[str, float]:
    """Return `values` by id, with those that exact rules derive from them, such as numbers in sentences."""
    found = dict(values)
    added = True
    while added:
        added = False
        for rule in rules:
            if rule.is_exact and rule.derived not in found and found.keys() >= set(rule.given):
                points: list[Interval] = [(found[name], found[name]) for name in rule.given]
                found[rule.derived] = rule.admissible(points)[0]
                added = True
    return found
