"""The rules that relate the numbers of Tables 2 to 4 and the percentage RC to each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from addresses import Key, address_of
from rules import Rule, pooled_sd, ratio_bias, rc_bound, same_rc, sd_within_range
from transcription import PrintedNumber
from cases import PAIRS, PER_CONDITION

from liverspleen.evaluation.comparands import CONDITIONS
from liverspleen.structures import ORGAN_KEYS


def rules_of(numbers: Iterable[PrintedNumber]) -> tuple[Rule, ...]:
    """All rules whose numbers are printed."""
    ids = {key: number.id for number in numbers if (key := address_of(number)) is not None}
    return tuple(
        Rule(name, ids[derived], tuple(ids[key] for key in given), admissible)
        for name, derived, given, admissible in _relations(ids)
        if derived in ids and all(key in ids for key in given)
    )


def _relations(ids: Iterable[Key]) -> Iterator[tuple]:
    cells = dict.fromkeys(key[:3] for key in ids)
    for table, row, column in cells:
        at = lambda name: (table, row, column, name)  # noqa: E731
        n = PAIRS if table == "table4" else PER_CONDITION * (len(CONDITIONS) if row == "total" else 1)
        yield "SD within the range", at("sd"), (at("mean"), at("minimum"), at("maximum")), sd_within_range(n)
        for end, name in enumerate(("ci_lower", "ci_upper")):
            yield "CI of the RC by χ²", at(name), (at("rc_pct"),), rc_bound(PAIRS, end)
        yield "CI of the RC by χ²", at("ci_upper"), (at("ci_lower"),), same_rc(PAIRS)
        if column == "ratio" or row == "loa_ratio":
            parts = tuple(
                (table, row.replace("ratio", organ), column.replace("ratio", organ), name)
                for organ in ORGAN_KEYS
                for name in ("bias", "half_width")
            )
            yield "bias of the ratio from those of its parts", at("bias"), parts, ratio_bias(n)
        if row == "total":
            given = tuple((table, name, column, value) for name in CONDITIONS for value in ("mean", "sd"))
            yield (
                "SD of the whole from those of its parts",
                at("sd"),
                given,
                pooled_sd([PER_CONDITION] * len(CONDITIONS)),
            )
