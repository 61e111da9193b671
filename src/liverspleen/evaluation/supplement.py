"""Beyond the paper: what stands beside each of its numbers.

| table | rows | columns |
|---|---|---|
| `means` | `total`, the conditions | per structure `dss, nsd`: mean with t and BCa intervals |
| `surfaces` | `total`, the conditions | per structure `hd95, assd, nsd` |
| `limits_percent`, `limits_absolute`, `limits_log` | index:`total` or condition | `bias, lower, upper`, checks of the model |
| `limit_intervals` | index:method | `lower, upper`: every interval of the limits over all CTs |
| `subgroups` | structure:`all`, structure:`a – b` | `statistic, p, p_holm, effect, shift` |
| `sites` | structure | `p, rank_biserial, shift, d_z` |
| `rc_methods` | index:method | the readers |
| `rc_readers` | index | ratio of the wCV of both readers, with its p |
| `equivalence` | index | `bias, p, verdict, smallest` |
| `reliability` | index | `icc_a1, icc_c1, ccc` |

Every cell holds its numbers at full precision and its method; what a method is and where it comes from stands in
`docs/statistics.md`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from liverspleen.evaluation import formatting
from liverspleen.evaluation.agreement import BlandAltman
from liverspleen.evaluation.cells import Address, Cell, defined, entered
from liverspleen.evaluation.comparands import Comparands, Groups, by_condition, total_and_conditions
from liverspleen.evaluation.comparison import kruskal_wallis, wilcoxon_signed_rank
from liverspleen.evaluation.differences import Scale
from liverspleen.evaluation.equivalence import tost
from liverspleen.evaluation.posthoc import dunn
from liverspleen.evaluation.rc_comparison import compare_rc
from liverspleen.evaluation.readings import INDICES, METRICS, PatientPair
from liverspleen.evaluation.reliability import concordance_correlation, icc
from liverspleen.evaluation.reproducibility import percentage_rc
from liverspleen.evaluation.resampling import bootstrap_ci
from liverspleen.evaluation.samples import Result, describe
from liverspleen.structures import ORGAN_KEYS

MARGIN_PCT: Final = 5.0
"""Equivalence margin in percent. Not in the paper; a change of liver volume below it is held to be of no account."""

SCALES: Final[tuple[Scale, ...]] = ("percent", "absolute", "log")
INTERVAL_METHODS: Final = ("ba1999", "ba1986", "exact", "exact_pair", "mover")
RC_METHODS: Final = ("rms", "log", "wsd", "bias_removed")
_BETWEEN: Final = " – "  # joins the two groups of a pair in a row's address


def supplement(comparands: Comparands, groups: Groups, readers: Sequence[str]) -> Iterator[Cell]:
    """The cells of all tables beyond the paper; `readers` are those of the reproducibility table."""
    yield from _means(comparands, groups)
    yield from _surfaces(comparands, groups)
    for scale in SCALES:
        yield from _limits(comparands, groups, scale)
    yield from _limit_intervals(comparands, groups)
    yield from _subgroups(comparands, groups)
    yield from _sites(comparands, groups.pairs)
    yield from _rc_methods(comparands, groups.pairs, readers)
    yield from _rc_readers(comparands, groups.pairs)
    yield from _equivalence(comparands, groups)
    yield from _reliability(comparands, groups)


def _means(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """Mean DSS and NSD with Student's t and BCa intervals, clustered by patient."""
    patients = {e.case_id: e.patient_id for e in groups.first}
    for row, cases in total_and_conditions(groups.first).items():
        for structure in ORGAN_KEYS:
            for metric in ("dss", "nsd"):
                scores = comparands.scores(cases, structure, metric)
                result = bootstrap_ci(list(scores.values()), clusters=[patients[case] for case in cases])
                yield Cell(
                    Address("means", row, f"{structure}_{metric}"),
                    values={
                        "mean": result.estimate,
                        **_bounds("t", result.t_ci),
                        **_bounds("bca", result.bca_ci),
                        "n_patients": result.n_clusters,
                    },
                    units="1",
                    text=formatting.two_intervals_text(
                        result.estimate, result.t_ci, result.bca_ci, formatting.DSS_DIGITS
                    ),
                    n=result.n,
                    method=result.method,
                    reason=result.reason,
                    **defined(scores),
                )


def _surfaces(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """HD95, ASSD and NSD of the cases that have them."""
    units = {"hd95_mm": "mm", "assd_mm": "mm", "nsd": "1"}
    for row, cases in total_and_conditions(groups.first).items():
        for structure in ORGAN_KEYS:
            for metric in METRICS:
                scores = comparands.scores(cases, structure, metric)
                result = describe(list(scores.values()))
                digits = formatting.DSS_DIGITS if metric == "nsd" else formatting.DISTANCE_DIGITS
                yield Cell(
                    Address("surfaces", row, f"{structure}_{metric.removesuffix('_mm')}"),
                    values={name: getattr(result, name) for name in ("mean", "sd", "minimum", "maximum")},
                    units=units[metric],
                    text=formatting.mean_sd_range_text(
                        result.mean, result.sd, result.minimum, result.maximum, digits=digits
                    ),
                    n=result.n,
                    method=f"{result.method}; surfaces: {comparands.readings.surfaces}",
                    reason=result.reason,
                    **defined(scores),
                )


def _limits(comparands: Comparands, groups: Groups, scale: Scale) -> Iterator[Cell]:
    """Bias and limits with their intervals, and the checks of the scale, for every row of Table 3."""
    for index in INDICES:
        for row, cases in total_and_conditions(groups.first).items():
            result = comparands.agreement(cases, index, scale)
            exact = result.loa_ci_exact
            address = f"{index}:{row}"
            about: dict[str, Any] = {"n": result.n, **entered(cases, result.positions)}
            for column, value, interval, how in (
                ("bias", result.bias, result.bias_ci, "t interval"),
                ("lower", result.loa_lower, exact and exact.lower, "exact interval of one limit (noncentral t)"),
                ("upper", result.loa_upper, exact and exact.upper, "exact interval of one limit (noncentral t)"),
            ):
                yield Cell(
                    Address(f"limits_{scale}", address, column),
                    values={"value": value, **_bounds("ci", interval)},
                    units=result.units,
                    text=formatting.interval_text(value, interval, _digits(scale)),
                    method=f"{result.method}; {how}",
                    reason=result.reason,
                    **about,
                )
            yield from _checks(Address(f"limits_{scale}", address, ""), result, about)


def _checks(address: Address, result: BlandAltman, about: Mapping[str, Any]) -> Iterator[Cell]:
    for column, check, name, method in (
        ("normal", result.shapiro, "W", "Shapiro-Wilk test of the differences"),
        ("proportional", result.proportional_bias, "slope", "differences regressed on the means of both readers"),
        ("spread", result.abs_residual_regression, "slope", "absolute residuals regressed on the means of both readers"),
    ):
        p = None if check is None else check.p
        yield Cell(
            Address(address.table, address.row, column),
            values={"p": p, name: None if check is None else getattr(check, name)},
            units="1",
            text=formatting.p_text(p),
            method=method,
            reason=None if check is not None else "fewer than three pairs, or no spread",
            **about,
        )
    yield Cell(
        Address(address.table, address.row, "advice"),
        values={},
        units="",
        text="; ".join(result.advice) or formatting.UNDEFINED,
        method="follows from p < 0.05 of the checks of this row",
        reason=None if result.advice else "too few pairs for advice",
        **about,
    )


def _limit_intervals(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """Every interval of the limits of agreement in percent, over all cases."""
    cases = [e.case_id for e in groups.first]
    for index in INDICES:
        result = comparands.agreement(cases, index)
        for method in INTERVAL_METHODS:
            intervals = getattr(result, f"loa_ci_{method}")
            for column, limit in (("lower", result.loa_lower), ("upper", result.loa_upper)):
                interval = None if intervals is None else getattr(intervals, column)
                yield Cell(
                    Address("limit_intervals", f"{index}:{method}", column),
                    values={"value": limit, **_bounds("ci", interval)},
                    units=result.units,
                    text=formatting.interval_text(limit, interval, formatting.LOA_DIGITS),
                    n=result.n,
                    method=result.method,
                    reason=result.reason,
                    **entered(cases, result.positions),
                )


def _subgroups(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """Effect sizes of the Kruskal-Wallis tests of Table 2, and Dunn's test of every pair of conditions."""
    for structure in ORGAN_KEYS:
        scores = {name: comparands.scores(cases, structure) for name, cases in by_condition(groups.first).items()}
        samples = {name: list(found.values()) for name, found in scores.items()}
        omnibus, pairs = kruskal_wallis(samples), dunn(samples)
        pooled = {case: dss for found in scores.values() for case, dss in found.items()}
        row, about = f"{structure}:all", {"n": omnibus.n, **defined(pooled)}
        yield _number("subgroups", row, "statistic", omnibus.statistic, omnibus, about, digits=2)
        yield _p("subgroups", row, "p", omnibus.p, omnibus, about)
        effects = {"epsilon_squared": omnibus.epsilon_squared, "eta_squared_h": omnibus.eta_squared_h}
        yield _number("subgroups", row, "effect", omnibus.epsilon_squared, omnibus, about, digits=3, also=effects)
        for pair in pairs.pairs:
            both = {**scores[pair.a], **scores[pair.b]}
            row = f"{structure}:{pair.a}{_BETWEEN}{pair.b}"
            about = {"n": sum(not math.isnan(dss) for dss in both.values()), **defined(both)}
            yield _number("subgroups", row, "statistic", pair.z, pairs, about, digits=2)
            yield _p("subgroups", row, "p", pair.p, pairs, about)
            adjusted = {"p_holm": pair.p_holm, "p_bonferroni": pair.p_bonferroni, "p_bh": pair.p_bh}
            yield _p("subgroups", row, "p_holm", pair.p_holm, pairs, about, also=adjusted)
            yield _number("subgroups", row, "effect", pair.rank_biserial, pairs, about, digits=3)
            yield _number("subgroups", row, "shift", pair.hl_shift, pairs, about, digits=formatting.DSS_DIGITS)


def _sites(comparands: Comparands, pairs: Sequence[PatientPair]) -> Iterator[Cell]:
    """Effect sizes of the Wilcoxon tests of Table 4."""
    for structure in ORGAN_KEYS:
        external = comparands.scores([pair.external for pair in pairs], structure)
        internal = comparands.scores([pair.internal for pair in pairs], structure)
        result = wilcoxon_signed_rank(list(external.values()), list(internal.values()))
        about = {"n": result.n, **_pairs_of(pairs, {**external, **internal})}
        yield _p("sites", structure, "p", result.p, result, about)
        yield _number("sites", structure, "rank_biserial", result.rank_biserial, result, about, digits=3)
        yield Cell(
            Address("sites", structure, "shift"),
            values={"hodges_lehmann": result.hodges_lehmann, **_bounds("ci", result.hodges_lehmann_ci)},
            units="1",
            text=formatting.interval_text(result.hodges_lehmann, result.hodges_lehmann_ci, 4),
            method=result.method,
            reason=result.reason,
            **about,
        )
        yield _number("sites", structure, "d_z", result.cohen_dz, result, about, digits=3)


def _rc_methods(comparands: Comparands, pairs: Sequence[PatientPair], readers: Sequence[str]) -> Iterator[Cell]:
    """The percentage RC by other definitions of wCV, and the BCa interval of the paper's."""
    read = comparands.readings.volume
    for index in INDICES:
        for reader in readers:
            result = percentage_rc(*_two_sites(read, pairs, index, reader))
            log, wsd, bare = result.log, result.wsd, result.bias_removed
            inside = set(result.positions)
            about = {
                "n": result.n,
                "rows": _cases(pair for position, pair in enumerate(pairs) if position in inside),
                "excluded": _cases(pair for position, pair in enumerate(pairs) if position not in inside),
            }
            chi = None if result.ci_lower is None or result.ci_upper is None else (result.ci_lower, result.ci_upper)
            for method, value, interval, other in (
                ("rms", result.rc_pct, chi, result.rc_ci_bca),
                ("log", log and log.rc_pct_lognormal, log and log.rc_ci_lognormal, None),
                ("wsd", wsd and wsd.rc_pct, None, None),
                ("bias_removed", bare and bare.rc_pct, bare and bare.rc_ci, None),
            ):
                yield Cell(
                    Address("rc_methods", f"{index}:{method}", reader),
                    values={"rc_pct": value, **_bounds("chi_square", interval), **_bounds("bca", other)},
                    units="%",
                    text=formatting.two_intervals_text(value, interval, other, formatting.RC_DIGITS)
                    if method == "rms"
                    else formatting.interval_text(value, interval, formatting.RC_DIGITS),
                    method=result.method,
                    reason=result.reason,
                    **about,
                )


def _rc_readers(comparands: Comparands, pairs: Sequence[PatientPair]) -> Iterator[Cell]:
    """Whether the reader repeats itself as well as its reference does, on the same patients."""
    read = comparands.readings.volume
    for index in INDICES:
        tables = [
            list(zip(*_two_sites(read, pairs, index, name), strict=True))
            for name in (comparands.reader, comparands.reference)
        ]
        if not pairs:
            continue
        result = compare_rc(*tables)
        inside = set(result.positions)
        about = {
            "n": result.n,
            "rows": _cases(pair for position, pair in enumerate(pairs) if position in inside),
            "excluded": _cases(pair for position, pair in enumerate(pairs) if position not in inside),
        }
        yield Cell(
            Address("rc_readers", index, "ratio"),
            values={
                "ratio": result.ratio,
                **_bounds("bca", result.ratio_ci_bca),
                "wcv_pct_test": result.wcv_pct_test,
                "wcv_pct_reference": result.wcv_pct_reference,
            },
            units="1",
            text=formatting.interval_text(result.ratio, result.ratio_ci_bca, 2),
            method=result.method,
            reason=result.reason,
            **about,
        )
        yield _p("rc_readers", index, "p", result.p, result, about)


def _equivalence(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """Whether the volumes of reader and reference are equivalent, and the smallest margin the data support."""
    cases = [e.case_id for e in groups.first]
    for index in INDICES:
        result = tost(*comparands.volumes(cases, index), margin=MARGIN_PCT, scale="percent")
        positions = comparands.agreement(cases, index).positions
        about = {"n": result.n, **entered(cases, positions)}
        yield Cell(
            Address("equivalence", index, "bias"),
            values={"bias": result.bias, **_bounds("ci90", result.ci90)},
            units=result.units,
            text=formatting.interval_text(result.bias, result.ci90, formatting.LOA_DIGITS),
            method=result.method,
            reason=result.reason,
            **about,
        )
        yield _p("equivalence", index, "p", result.p, result, about, also={"margin_pct": result.margin})
        words = {True: "equivalent", False: "not shown", None: formatting.UNDEFINED}
        yield Cell(
            Address("equivalence", index, "verdict"),
            values={"margin_pct": result.margin, "p": result.p},
            units="1",
            text=words[result.equivalent],
            method=result.method,
            reason=result.reason,
            **about,
        )
        yield _number(
            "equivalence", index, "smallest", result.smallest_margin, result, about, digits=formatting.LOA_DIGITS
        )


def _reliability(comparands: Comparands, groups: Groups) -> Iterator[Cell]:
    """ICC and CCC of reader and reference; all readers that have volumes of these cases enter the ICC."""
    cases = [e.case_id for e in groups.first]
    readers = comparands.readings.readers_of(cases)
    for index in INDICES:
        columns = [[comparands.readings.volume(case, index, reader) for case in cases] for reader in readers]
        rows = list(zip(*columns, strict=True))
        whole = [not any(map(math.isnan, row)) for row in rows]
        if len(readers) > 1 and rows:
            result = icc(rows)
            about = _split(cases, whole)
            for name in ("icc_a1", "icc_c1"):
                value, interval = getattr(result, name), getattr(result, f"{name}_ci")
                yield Cell(
                    Address("reliability", index, name),
                    values={"value": value, **_bounds("ci", interval), "k": result.k},
                    units="1",
                    text=formatting.interval_text(value, interval, formatting.RELIABILITY_DIGITS),
                    n=result.n,
                    method=f"{result.method}; readers: {', '.join(readers)}",
                    reason=result.reason,
                    **about,
                )
        test, reference = comparands.volumes(cases, index)
        concordance = concordance_correlation(test, reference)
        both = [not (math.isnan(one) or math.isnan(other)) for one, other in zip(test, reference, strict=True)]
        yield Cell(
            Address("reliability", index, "ccc"),
            values={"value": concordance.ccc, **_bounds("ci", concordance.ci), "pearson": concordance.pearson},
            units="1",
            text=formatting.interval_text(concordance.ccc, concordance.ci, formatting.RELIABILITY_DIGITS),
            n=concordance.n,
            method=concordance.method,
            reason=concordance.reason,
            **_split(cases, both),
        )


def _number(
    table: str,
    row: str,
    column: str,
    value: float | None,
    result: Any,
    about: Mapping[str, Any],
    *,
    digits: int,
    also: Mapping[str, float | None] | None = None,
) -> Cell:
    return Cell(
        Address(table, row, column),
        values={"value": value, **(also or {})},
        units="1",
        text=formatting.fixed(value, digits),
        method=result.method,
        reason=result.reason if value is None else None,
        **about,
    )


def _p(
    table: str,
    row: str,
    column: str,
    p: float | None,
    result: Any,
    about: Mapping[str, Any],
    *,
    also: Mapping[str, float | None] | None = None,
) -> Cell:
    return Cell(
        Address(table, row, column),
        values={"p": p, **(also or {})},
        units="1",
        text=formatting.p_text(p),
        method=result.method,
        reason=result.reason if p is None else None,
        **about,
    )


def _bounds(name: str, interval: tuple[float, float] | None) -> dict[str, float | None]:
    lower, upper = interval or (None, None)
    return {f"{name}_lower": lower, f"{name}_upper": upper}


def _digits(scale: Scale) -> int:
    return formatting.LOG_DIGITS if scale == "log" else formatting.LOA_DIGITS


def _two_sites(
    read: Callable[[str, str, str], float], pairs: Sequence[PatientPair], index: str, reader: str
) -> tuple[list[float], list[float]]:
    return [read(pair.external, index, reader) for pair in pairs], [
        read(pair.internal, index, reader) for pair in pairs
    ]


def _cases(pairs: Iterator[PatientPair]) -> tuple[str, ...]:
    return tuple(case for pair in pairs for case in (pair.external, pair.internal))


def _pairs_of(pairs: Sequence[PatientPair], scores: Mapping[str, float]) -> dict[str, tuple[str, ...]]:
    whole = [not (math.isnan(scores[pair.external]) or math.isnan(scores[pair.internal])) for pair in pairs]
    return {
        "rows": _cases(pair for pair, kept in zip(pairs, whole, strict=True) if kept),
        "excluded": _cases(pair for pair, kept in zip(pairs, whole, strict=True) if not kept),
    }


def _split(cases: Sequence[str], kept: Sequence[bool]) -> dict[str, tuple[str, ...]]:
    return {
        "rows": tuple(case for case, inside in zip(cases, kept, strict=True) if inside),
        "excluded": tuple(case for case, inside in zip(cases, kept, strict=True) if not inside),
    }
