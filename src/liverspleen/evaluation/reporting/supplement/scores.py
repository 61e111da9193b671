"""Additional tables of scores: intervals of means, surface distances, effect sizes and pairs of conditions."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from liverspleen.errors import counted
from liverspleen.evaluation.measurements.readings import METRICS
from liverspleen.evaluation.reporting import formatting
from liverspleen.evaluation.reporting.cells import PAIRED, Address, Cell, bounds, defined
from liverspleen.evaluation.reporting.results import Cases, ReportResults
from liverspleen.evaluation.reporting.supplement.build import complete_pairs_of, number_cell, p_cell
from liverspleen.evaluation.reporting.supplement.failures import missed_organs
from liverspleen.evaluation.statistics.bootstrap import bootstrap_ci
from liverspleen.evaluation.statistics.dunn import dunn
from liverspleen.evaluation.statistics.samples import describe
from liverspleen.organs import ORGAN_KEYS


def means(results: ReportResults) -> Iterator[Cell]:
    """Yield mean DSS and NSD with Student's t (of the logit) and BCa intervals, clustered by patient."""
    patients = {e.case_id: e.patient_id for e in results.groups.first}
    one_definition = len(results.surfaces(patients)) == 1
    for metric in ("dss", "nsd") if one_definition else ("dss",):
        for row, cases in results.groups.total_and_conditions.items():
            for structure in ORGAN_KEYS:
                scores = results.scores(cases, structure, metric)
                result = bootstrap_ci(list(scores.values()), clusters=[patients[case] for case in cases], fraction=True)
                yield Cell(
                    Address("means", f"{metric}:{row}", structure),
                    values={
                        "mean": result.estimate,
                        **bounds("t", result.estimate_t_ci),
                        **bounds("bca", result.estimate_bca_ci),
                        "n_patients": result.n_clusters,
                    },
                    units="1",
                    text=formatting.two_intervals_text(
                        result.estimate, result.estimate_t_ci, result.estimate_bca_ci, formatting.DSS_DIGITS
                    ),
                    n=result.n,
                    method=result.method,
                    reason=result.reason,
                    **defined(scores),
                )


def _missing(results: ReportResults, cases: Cases, structure: str, metric: str) -> str:
    """Return how many missed organs a mean distance does not include; they have no distance."""
    missed = 0 if metric == "nsd" else missed_organs(results, cases, structure)
    return f" without {counted(missed, 'missed organ')}" if missed else ""


def surfaces(results: ReportResults) -> Iterator[Cell]:
    """Yield HD95, ASSD and NSD of the cases with surface metrics."""
    definitions = results.surfaces(e.case_id for e in results.groups.first)
    if len(definitions) != 1:
        return
    units = {"hd95_mm": "mm", "assd_mm": "mm", "nsd": "1"}
    for metric in METRICS:
        for row, cases in results.groups.total_and_conditions.items():
            for structure in ORGAN_KEYS:
                scores = results.scores(cases, structure, metric)
                result = describe(list(scores.values()))
                digits = formatting.DSS_DIGITS if metric == "nsd" else formatting.DISTANCE_DIGITS
                yield Cell(
                    Address("surfaces", f"{metric.removesuffix('_mm')}:{row}", structure),
                    values={name: getattr(result, name) for name in ("mean", "sd", "minimum", "maximum")},
                    units=units[metric],
                    text=formatting.mean_sd_range_text(
                        result.mean, result.sd, result.minimum, result.maximum, digits=digits
                    )
                    + _missing(results, cases, structure, metric),
                    n=result.n,
                    method=f"{result.method}; {definitions[0]}",
                    reason=result.reason,
                    **defined(scores),
                )


def subgroups(results: ReportResults) -> Iterator[Cell]:
    """Yield effect sizes of the Kruskal-Wallis tests of Table 2, and Dunn's test of all pairs of conditions."""
    for structure in ORGAN_KEYS:
        scores = results.scores_by_condition(structure)
        omnibus = results.conditions_test(structure)
        pairs = dunn({name: list(found.values()) for name, found in scores.items()})
        pooled = {case: dss for found in scores.values() for case, dss in found.items()}
        row = f"{structure}:all"
        sample: dict[str, Any] = {"n": omnibus.n, **defined(pooled)}
        yield number_cell("subgroups", row, "statistic", omnibus.statistic, omnibus, sample, digits=2)
        yield p_cell("subgroups", row, "p", omnibus.p, omnibus, sample)
        yield number_cell("subgroups", row, "effect", omnibus.epsilon_squared, omnibus, sample, digits=3)
        yield number_cell("subgroups", row, "eta_squared_h", omnibus.eta_squared_h, omnibus, sample, digits=3)
        for pair in pairs.pairs:
            both = {**scores[pair.a], **scores[pair.b]}
            row = f"{structure}:{pair.a}{PAIRED}{pair.b}"
            sample = {"n": sum(not math.isnan(dss) for dss in both.values()), **defined(both)}
            yield number_cell("subgroups", row, "statistic", pair.z, pairs, sample, digits=2)
            yield p_cell("subgroups", row, "p", pair.p, pairs, sample)
            adjusted = {"p_holm": pair.p_holm, "p_bonferroni": pair.p_bonferroni, "p_bh": pair.p_bh}
            yield p_cell("subgroups", row, "p_holm", pair.p_holm, pairs, sample, also=adjusted)
            yield number_cell("subgroups", row, "effect", pair.rank_biserial, pairs, sample, digits=3)
            yield number_cell("subgroups", row, "shift", pair.hl_shift, pairs, sample, digits=formatting.DSS_DIGITS)


def sites(results: ReportResults) -> Iterator[Cell]:
    """Yield effect sizes of the Wilcoxon tests of Table 4."""
    pairs = results.groups.pairs
    for structure in ORGAN_KEYS:
        result = results.sites_test(structure)
        scores = results.scores((case for pair in pairs for case in (pair.first, pair.second)), structure)
        sample: dict[str, Any] = {"n": result.n, **complete_pairs_of(pairs, scores)}
        yield p_cell("sites", structure, "p", result.p, result, sample)
        yield number_cell("sites", structure, "rank_biserial", result.rank_biserial, result, sample, digits=3)
        yield Cell(
            Address("sites", structure, "shift"),
            values={"hodges_lehmann": result.hodges_lehmann, **bounds("ci", result.hodges_lehmann_ci)},
            units="1",
            text=formatting.interval_text(result.hodges_lehmann, result.hodges_lehmann_ci, 4),
            method=result.method,
            reason=result.reason,
            **sample,
        )
        yield number_cell("sites", structure, "d_z", result.cohen_dz, result, sample, digits=3)
