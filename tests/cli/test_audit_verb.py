"""`liverspleen audit`: the example of its page, files, exit codes, hostile text, and what it imports."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from liverspleen.audit.published import QUANTITIES
from liverspleen.audit.rules import RULES
from liverspleen.cli.main import main

PAGE = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
Captured = pytest.CaptureFixture[str]


def example(folder: Path) -> list[str]:
    """Write the two files of the page; return the arguments that audit them."""
    for name, language in (("published.csv", "csv"), ("claims.yaml", "yaml")):
        found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
        assert found, f"docs/audit.md has no {language} block"
        (folder / name).write_text(found[1], encoding="utf-8")
    return [
        "audit",
        *(
            f"{key}={folder / name}"
            for key, name in (("published", "published.csv"), ("claims", "claims.yaml"), ("output", "out"))
        ),
    ]


def test_the_example_of_the_page_has_the_documented_findings(tmp_path: Path, capsys: Captured) -> None:
    assert main(example(tmp_path)) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "audit: 12 numbers and 5 claims: 1 impossible, 2 contradictions, 0 notes"
    with (tmp_path / "out" / "findings.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["severity"], row["id"], row["rule"]) for row in rows] == [
        ("impossible", "age.mean", "sample"),
        ("contradiction", "patients", "sum"),
        ("contradiction", "shift.small", "bound"),
    ]
    assert (rows[1]["admissible_lower"], rows[1]["admissible_upper"]) == ("41", "41")
    assert rows[0]["admissible_lower"] == rows[0]["admissible_upper"] == "61.35"  # 2454/40
    content = json.loads((tmp_path / "out" / "findings.json").read_text(encoding="utf-8"))
    assert content["counts"] == {"impossible": 1, "contradiction": 2, "note": 0}
    assert [finding["printed"] for finding in content["findings"]] == ["61.36", "40", "< 0.4"]
    record = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    assert set(record["inputs"]) == {"published", "claims"}


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    overrides = example(tmp_path)
    assert main(overrides) == 0
    names = ("findings.csv", "findings.json", "audit.md", "audit.html")
    first = [(tmp_path / "out" / name).read_bytes() for name in names]
    assert main(overrides) == 0
    assert first == [(tmp_path / "out" / name).read_bytes() for name in names]


def test_rows_and_claims_that_cannot_be_read_are_listed_and_the_others_audited(
    tmp_path: Path, capsys: Captured
) -> None:
    overrides = example(tmp_path)
    with (tmp_path / "published.csv").open("a", encoding="utf-8") as file:
        file.write("other,,,,value,NA,,,\n")
    with (tmp_path / "claims.yaml").open("a", encoding="utf-8") as file:
        file.write("  - id: wrong\n    rule: same\n    cells: {cells: [men, womem]}\n")
    assert main(overrides) == 2
    captured = capsys.readouterr()
    assert "12 numbers and 5 claims: 1 impossible, 2 contradictions, 0 notes" in captured.out
    assert [line[:10] for line in captured.err.splitlines()] == ["LS-AUD-002", "LS-AUD-004"]
    assert "did you mean women?" in captured.err


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.found.add(tag)


def test_foreign_text_stays_text(tmp_path: Path, capsys: Captured) -> None:
    header = "id,place,row,column,quantity,printed,unit,n,note\n"
    hostile = "<script>alert(1)</script>|`x`"
    rows = f"=1+1,{hostile},\x1b[31m,,p,1.5,,,{hostile}\n"
    (tmp_path / "p.csv").write_text(header + rows, encoding="utf-8")
    (tmp_path / "c.yaml").write_text("claims: []\n", encoding="utf-8")
    assert (
        main(["audit", f"published={tmp_path / 'p.csv'}", f"claims={tmp_path / 'c.yaml'}", f"output={tmp_path}"]) == 0
    )
    assert "\x1b" not in capsys.readouterr().out
    tags = Tags()
    tags.feed((tmp_path / "audit.html").read_text(encoding="utf-8"))
    assert "script" not in tags.found
    assert "table" in tags.found
    text = (tmp_path / "audit.md").read_text(encoding="utf-8")
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "\x1b" not in text
    with (tmp_path / "findings.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["id"] == "'=1+1"


def test_every_rule_and_quantity_is_documented() -> None:
    for name in (*RULES, *QUANTITIES):
        assert f"`{name}`" in PAGE, name
    for rule in RULES.values():
        line = next(line for line in PAGE.splitlines() if line.startswith(f"| `{rule.name}` |"))
        assert line.rstrip(" |").endswith(rule.severity)


def test_help_loads_neither_torch_nor_statsmodels_nor_yaml_objects() -> None:
    code = "import sys; from liverspleen.cli.main import main; main(['audit', '--help']); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "exit codes" in run.stdout
    assert not {"torch", "statsmodels", "matplotlib", "pandas"} & set(run.stdout.splitlines()[-1].split())
