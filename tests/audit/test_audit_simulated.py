"""Correct papers give no findings; of changed digits that no data can have, at least nine of ten are found."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from feasible import is_findable
from papers import audited, honest_paper, with_issue


def false_alarms(seeds: range, folder: Path) -> list[str]:
    return [
        f"{seed}: {finding.number.id} {finding.why}"
        for seed in seeds
        for finding in audited(honest_paper(seed), folder).findings
    ]


def issues_found(seeds: range, folder: Path) -> Counter[tuple[bool, bool]]:
    """Papers with one digit changed, counted by (findable, found)."""
    counts = Counter[tuple[bool, bool]]()
    for seed in seeds:
        paper, changed = with_issue(honest_paper(seed), seed + 1_000_000)
        found = any(finding.severity != "note" for finding in audited(paper, folder).findings)
        counts[is_findable(paper, changed), found] += 1
    return counts


def hold(counts: Counter[tuple[bool, bool]], papers: int) -> None:
    assert counts[False, True] == 0  # no finding if data exist
    findable = counts[True, True] + counts[True, False]
    assert findable >= papers / 2  # or the share below says little
    assert counts[True, True] >= 0.9 * findable


def test_simulated_honest_papers_raise_nothing_not_even_a_note(tmp_path: Path) -> None:
    assert false_alarms(range(25), tmp_path) == []


def test_planted_issues_that_no_data_could_print_are_found(tmp_path: Path) -> None:
    hold(issues_found(range(40), tmp_path), 40)


@pytest.mark.slow
def test_250_honest_papers_raise_nothing(tmp_path: Path) -> None:
    assert false_alarms(range(250), tmp_path) == []


@pytest.mark.slow
def test_of_250_planted_issues_nine_in_ten_of_the_findable_are_found(tmp_path: Path) -> None:
    hold(issues_found(range(250), tmp_path), 250)
