"""What other packages expect of the environment of a process: a user name and a home folder."""

from __future__ import annotations

import os
from typing import Final

_NAMES: Final = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Variables that `getpass.getuser` reads, in its order, before it asks the system."""


def name_user() -> None:
    """Set `USER` and `HOME` where neither the environment nor the system knows them.

    A container may run with a user id that the system has no entry for. Then `getpass.getuser`, which MONAI, torch and
    W&B call, raises an error, and `~` is the name of a folder. The values are those of Docker: the user is named by its
    number, and the home folder is `/`. Processes that are started later inherit them.
    """
    if os.name != "posix" or (os.environ.get("HOME") and any(os.environ.get(name) for name in _NAMES)):
        return
    import pwd

    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        os.environ.setdefault("HOME", "/")
        if not any(os.environ.get(name) for name in _NAMES):
            os.environ["USER"] = str(os.getuid())
