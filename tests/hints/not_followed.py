"""Codes of input issues whose hints no test follows, by the reason."""

from __future__ import annotations

NOT_FOLLOWED: dict[str, tuple[str, ...]] = {
    "the issue is a fact, and its hint asks for no change of a file or an option": (
        "LS-DCM-002 003 004 016 063",
        "LS-GEO-014 015 016 021",
        "LS-IDN-004",
        "LS-IMG-015",
        "LS-IMP-015 024 031 033 046",
        "LS-LAB-020",
        "LS-PRD-005 032",
        "LS-REP-012 013 014 015 018 030 031 044 046",
        "LS-SCN-002 003 005 008 009 011 012 013 014 015",
    ),
    "the hint of an excluded series is to read series.csv, or to export or convert it again from its source": (
        "LS-DCM-001 005 006 008 009 010 011 012 013 015 030 031 033 051 055 056 058 082",
    ),
    "the hint asks to look at a series, an image or a segmentation": (
        "LS-DCM-021 022 023 040 041 042 043 044 052 059 060 062 064 070 074 075",
        "LS-GEO-002 022",
        "LS-IMG-007 011 021 030 032",
        "LS-IMP-021",
        "LS-LAB-041 055",
        "LS-PRD-014 040",
        "LS-SCN-030",
    ),
    "it needs other hardware, another process, memory or disk": (
        "LS-DCM-032",
        "LS-IMG-020 022 031",
        "LS-IMP-016 017",
        "LS-LAB-010",
        "LS-PRD-011 012 015 031",
        "LS-SCN-007",
    ),
    "it needs a trained model, or a folder that predict wrote": ("LS-LAB-053", "LS-PRD-003 004 010 013 020 041 042"),
    "other tests have both the input with the issue and the one without it": (
        "LS-COR-001 002 003 004 005 006 007 008 009 010 011 012",  # tests/cli/test_correct_*.py
        "LS-COR-013 014 015 016 017 018 019 020 021 022",
        "LS-COH-037",  # tests/cohort/test_folder.py
        "LS-COH-042",  # tests/evaluation/test_many_cases.py
        "LS-COH-043 044",  # tests/cohort/test_hand_written_cohort.py
        "LS-DCM-080 081 083 084",  # tests/cohort/test_structure_sets.py
        "LS-IMG-002",  # tests/test_reading.py
        "LS-IMP-014",  # tests/cli/test_import_verb.py
        "LS-MEA-028 029 030 031 032 033 034",  # tests/evaluation/measurements/test_probability_maps.py
        "LS-MEA-022 023 024 025 026 027",  # tests/evaluation/measurements/test_hand_written.py
        "LS-REP-016 017 022 041 045 048 049 052",  # tests/evaluation/reporting, tests/cli/test_report_verb.py
        "LS-REP-056 057",  # tests/evaluation/reporting/test_failures.py
        "LS-REP-058 059 060 065",  # tests/evaluation/reporting/test_cross_validation.py and test_report.py
        "LS-REP-066",  # tests/evaluation/measurements/test_probability_maps.py
        "LS-MEA-035",  # tests/evaluation/measurements/test_attenuation_columns.py
        "LS-REP-061",  # tests/evaluation/reporting/test_body_size.py
        "LS-REP-067 068 069",  # tests/evaluation/reporting/test_attenuation_table.py
        "LS-REP-053",  # tests/evaluation/test_many_cases.py
        "LS-REP-070",  # tests/evaluation/reporting/test_page_parts.py
        "LS-SPL-015",  # tests/evaluation/reporting/test_cross_validation.py
        "LS-SPL-013",  # tests/evaluation/test_many_cases.py
    ),
    "no entry yet": ("LS-CMP-011", "LS-REP-047"),
}
"""Reason to codes, in the form `LS-AREA-NNN NNN`."""

CODES: frozenset[str] = frozenset(
    f"{line[:7]}{number}" for lines in NOT_FOLLOWED.values() for line in lines for number in line[7:].split()
)
