"""Terminals, pipes and containers: a run does not stop because of its streams, its locale or an unknown user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PLAN = ["change", "before=1500", "after=1230", "rc_pct=16.7"]


def run(redirections: str, *words: str, **environment: str) -> tuple[int, bytes, bytes]:
    """Run a command in bash with redirections; return the exit code of liverspleen, its output and its errors."""
    command = f'"$@" {redirections}; exit ${{PIPESTATUS[0]}}'
    known = {name: value for name, value in os.environ.items() if name not in {"LC_ALL", "LANG", "LC_CTYPE"}}
    arguments = ["bash", "-c", command, "bash", sys.executable, "-m", "liverspleen", *words]
    done = subprocess.run(arguments, env=known | environment, capture_output=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("redirections", "printed"),
    [
        ("| true", b""),
        (">&-", b""),
        ("2>&-", None),
        ("<&- >&- 2>&-", b""),
        (">/dev/full", b"warning: LS-RUN-006: the printed text is lost (No space left on device)"),
    ],
)
def test_files_are_written_whatever_reads_the_output(redirections: str, printed: bytes | None, tmp_path: Path) -> None:
    code, _, errors = run(redirections, *PLAN, f"output={tmp_path / 'o'}")
    assert code == 0
    assert {file.name for file in (tmp_path / "o").iterdir()} == {"change.json", "run.json"}
    assert printed is None or errors[: len(printed)] == printed
    assert b"Traceback" not in errors


@pytest.mark.parametrize(("redirections", "expected"), [("| head -c 1", 0), (">&-", 0), (">/dev/full", 1)])
def test_text_that_is_the_only_result(redirections: str, expected: int) -> None:
    code, _, errors = run(redirections, "--help")
    assert code == expected
    assert errors.startswith(b"LS-RUN-006: the printed text is lost" if expected else b"")
    assert bool(errors) == bool(expected)


@pytest.mark.parametrize(
    ("encoding", "expected"), [("ascii", b"cm\\xb3"), ("latin-1", b"cm\xb3"), ("utf-8", b"cm\xc2\xb3")]
)
def test_characters_beyond_the_encoding_are_escapes(encoding: str, expected: bytes) -> None:
    code, printed, errors = run("", "change", "--help", PYTHONIOENCODING=encoding)
    assert (code, errors) == (0, b"")
    assert expected in printed


def test_file_names_have_any_character_in_any_locale(tmp_path: Path) -> None:
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # as in a locale of 8 bits
    code, printed, errors = run("", *PLAN, f"output={tmp_path / '日本'}", **locale)
    assert (code, errors) == (0, b"")
    assert printed.isascii()
    assert (tmp_path / "日本" / "change.json").is_file()


def test_a_user_that_the_system_does_not_know_has_a_name_and_a_home() -> None:
    code = """
import getpass, pathlib, pwd
def unknown(_):
    raise KeyError("uid not found")
pwd.getpwuid = unknown
import liverspleen
print(getpass.getuser(), pathlib.Path.home())
"""
    names = {"HOME", "LOGNAME", "USER", "LNAME", "USERNAME"}
    known = {name: value for name, value in os.environ.items() if name not in names}
    for given, expected in ({}, [str(os.getuid()), "/"]), ({"USER": "me"}, ["me", "/"]), ({"HOME": "/h"}, None):
        done = subprocess.run([sys.executable, "-c", code], env=known | given, capture_output=True, text=True)
        assert done.stdout.split() == (expected or [str(os.getuid()), "/h"]), done.stderr
