from liverspleen.evaluation.measurements.notes import Note


def test_a_line_lists_ten_cases_and_json_lists_all():
    cases = tuple(f"c{number}" for number in range(12))
    note = Note("LS-REP-001", "12 cases", "look", cases)
    assert str(note.issue) == "LS-REP-001: 12 cases (c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, and 2 more); look"
    assert note.to_dict()["cases"] == [*cases]
