"""Passwords of database URLs: removed, or the URL is not stored; no message and no record repeats one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from liverspleen.cli.main import main
from liverspleen.config import compose
from liverspleen.errors import InputError
from liverspleen.provenance import recorded
from liverspleen.sweep.database import NOT_STORED, may_contain_password, reason_of, without_password, without_url
from liverspleen.sweep.study import Study

PW = "S3CRET"
UNUSUAL = [
    f"postgresql:/me:{PW}@127.0.0.1/x",
    f"postgresql:me:{PW}@127.0.0.1/x",
    f"me:{PW}@127.0.0.1/x",
    f"postgresql://me%3A{PW}@127.0.0.1/x",
    f"postgresql://me%253A{PW}@127.0.0.1/x",
    f"postgresql://me;{PW}@127.0.0.1/x",
    f"postgresql://me:a@{PW}@127.0.0.1/x",
    f"postgresql://me/{PW}@127.0.0.1/x",
    f"postgresql:///me:{PW}@127.0.0.1/x",
    f"postgresql://me:{PW}",
    f"postgresql://me:{PW}/x",
    f"mssql+pyodbc:///?odbc_connect=UID%3Dme%3BPWD%3D{PW}",
    f"mssql+pyodbc:///?odbc_connect=UID%253Dme%253BPWD%253D{PW}",
    f"postgresql://host/x?password={PW}",
    f"postgresql://host/x?sslmode=require&passwd={PW}",
    f"postgresql://host/x?sslpassword={PW}",
    f"postgresql://host/x?token={PW}",
    f"postgresql://host/x?anything={PW}",
    f"postgresql://host/x?sslmode=require%26password%3D{PW}",
    f"postgresql://host/x?host=me:{PW}@h1&host=h2",
    f"'postgresql://me:{PW}@127.0.0.1/x'",
    f'"postgresql://me:{PW}@127.0.0.1/x"',
    f"sqlite:///x.db?key={PW}",
    f"sqlite:///me:{PW}@host/x",
    "",
]
USUAL = {
    f"postgresql://me:{PW}@127.0.0.1:9/x": "postgresql://me:***@127.0.0.1:9/x",
    f"postgresql+psycopg://me:{{{PW}}}@h/x": "postgresql+psycopg://me:***@h/x",
    f"postgresql://me:a%40{PW}@h/x?sslmode=require": "postgresql://me:***@h/x?sslmode=require",
    f"postgresql://me:{PW}@[::1]:5432/x": "postgresql://me:***@[::1]:5432/x",
    f"postgresql://me:{PW}@/x?host=/var/run/postgresql": "postgresql://me:***@/x?host=%2Fvar%2Frun%2Fpostgresql",
    "postgresql+psycopg://me@host/sweeps": "postgresql+psycopg://me@host/sweeps",
    "sqlite:////data/my study/study.db": "sqlite:////data/my study/study.db",
}


@pytest.mark.parametrize("url", UNUSUAL)
def test_a_url_of_unusual_form_is_not_stored(url: str) -> None:
    assert without_password(url) == NOT_STORED
    assert may_contain_password(url)
    assert PW not in reason_of(url, RuntimeError(f"no host {PW}"))


@pytest.mark.parametrize(("url", "shown"), USUAL.items())
def test_the_password_of_a_url_is_removed(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert may_contain_password(url) == (PW in url)
    assert url not in reason_of(url, RuntimeError(f"cannot connect to {url}"))
    assert PW not in url or PW not in reason_of(url, RuntimeError(f"no login of {PW} a@{PW} {{{PW}}}"))


@pytest.mark.parametrize("url", [url for url in (*UNUSUAL, *USUAL) if not url.startswith("sqlite")])
def test_the_message_of_an_unusable_database_has_no_password(url: str, tmp_path: Path) -> None:
    url = url.replace("postgresql", "nothing").replace("mssql+pyodbc", "nothing")
    with pytest.raises(InputError) as caught:
        Study(url, "s", objectives=["dss"], sampler="tpe", pruner="none")
    assert {issue.code for issue in caught.value.issues} == {"LS-SWP-006"}
    assert PW not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("url", [UNUSUAL[3], UNUSUAL[9], UNUSUAL[11], [*USUAL][1]])
def test_no_screen_repeats_the_password(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    needed = ["cohort=c.csv", "output=o", "trials=1"]
    lines = [
        ["sweep", *needed, f"storage={url}", "--help"],
        ["sweep", *needed, f"storage={url}", "--cfg", "job"],
        ["sweep", *needed, f"sstorage={url}"],
        ["sweep", *needed, f"storage:{url}"],
        ["sweep", *needed, "storage", url],
        ["sweep", *needed, "storage=", url],
        ["sweep", *needed, f"--storage={url}"],
        ["sweep", *needed, f"+storage={url}"],
        ["sweep", *needed, f"trials={url}"],
        ["sweep", *needed, f"network={url}"],
        ["sweep", *needed, f"search.parameters={url}"],
        ["train", *needed[:2], f"storage={url}"],
        ["sweep", "--cfg", url],
        [f"storage={url}"],
        [url or "x"],
    ]
    for line in lines:
        main(line)
        printed = "".join(capsys.readouterr())
        assert PW not in printed, line
        assert "LS-RUN-001" not in printed, line


@pytest.mark.parametrize("value", [f"[postgresql://me:{PW}@h/x]", f"{{url: 'postgresql://me:{PW}@h/x'}}"])
def test_a_url_of_a_wrong_type_in_a_file_is_not_printed(tmp_path: Path, value: str) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/mine.yaml").write_text(f"# @package _global_\nstorage: {value}\n")
    with pytest.raises(InputError) as caught:
        compose("sweep", ["cohort=c.csv", "output=o", f"conf={tmp_path}", "experiment=mine"])
    assert PW not in str(caught.value)


@pytest.mark.parametrize("url", [*UNUSUAL[:-1], *USUAL])
def test_no_record_has_the_password(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["liverspleen", "sweep", f"storage={url}", "output=/data/me@site/run"]
    assert PW not in " ".join(without_url(command, url))
    assert without_url(command, url)[-1] == "output=/data/me@site/run"
    if "anything=" in url or "key=" in url:
        return  # for other verbs, only the form of an argument is known
    monkeypatch.setattr(sys, "argv", ["script.py", "--db", url, f"--db={url}", "trainer.steps=20"])
    monkeypatch.setenv("WANDB_API_KEY", "ENVIRONMENT" + PW)
    with recorded("train", {}, tmp_path):
        pass
    record: dict[str, Any] = json.loads((tmp_path / "run.json").read_text())
    assert PW not in json.dumps(record)
    assert record["command"][-1] == "trainer.steps=20"
