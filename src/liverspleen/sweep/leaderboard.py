"""The leaderboard of a sweep."""

from __future__ import annotations

from pathlib import Path

from liverspleen.storage import write_text


def write_leaderboard(output: Path) -> None:
    """Tell where the tables are."""
    write_text(output / "leaderboard.md", f"# Leaderboard\n\nsee {output / 'trials.csv'}\n\n")
