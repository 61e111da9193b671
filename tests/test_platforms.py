"""Every module can be imported and every verb explains itself without what only Unix has, as on Windows."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import os, signal, sys, warnings
for module in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[module] = None
for name in ("SIGUSR1", "SIGUSR2", "SIGHUP", "SIGKILL"):
    delattr(signal, name)
for name in ("getuid", "geteuid", "killpg", "setsid", "sched_getaffinity", "sysconf", "posix_spawn", "getloadavg"):
    delattr(os, name)
os.environ["USERNAME"] = "user"  # as on Windows, where getpass needs no pwd
warnings.filterwarnings("error")
warnings.filterwarnings("ignore", "only soft file lock is available")  # filelock, on a Unix without fcntl
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_can_be_imported() -> None:
    code = """
import importlib, pkgutil, liverspleen
names = [m.name for m in pkgutil.walk_packages(liverspleen.__path__, "liverspleen.") if "__main__" not in m.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
    assert int(run(code)) > 200


def test_every_verb_explains_itself() -> None:
    code = """
from liverspleen.cli.main import main
from liverspleen.cli.verbs import VERBS
for verb in VERBS:
    assert main([verb, "--help"]) == 0
"""
    from liverspleen.cli.verbs import VERBS

    printed = run(code)
    assert all(f"liverspleen {verb}" in printed for verb in VERBS)


@pytest.mark.parametrize("name", ["fcntl", "signal.SIGHUP"])
def test_what_is_removed_is_missing(name: str) -> None:
    module, _, attribute = name.partition(".")
    code = f"from {module} import {attribute}" if attribute else f"import {module}"
    with pytest.raises(AssertionError, match=r"(Import|ModuleNotFound)Error"):
        run(code)
