"""The front door: `liverspleen VERB [key=value ...]`."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence

from liverspleen import __version__
from liverspleen.cli.verbs import VERBS, module_of
from liverspleen.config import compose
from liverspleen.config.choices import OWN
from liverspleen.config.renamed import current_names
from liverspleen.errors import InputError, Issue, collapsed, unexpected

NETWORK_VERBS = frozenset({"demo", "train", "bench", "predict"})
"""Verbs that run a network."""

_HELP = """\
liverspleen {version}: liver and spleen segmentation and volumetry on CT, from scans to agreement statistics.
Research use only, not a medical device. No pretrained model is shipped: train one on your cohort.

usage: liverspleen VERB [key=value ...]
       liverspleen VERB [key=value ...] --help      what the verb does, and its keys with these values
       liverspleen VERB [key=value ...] --cfg job   the configuration as YAML, without running the verb

{verbs}

example
  liverspleen demo output=outputs/demo

The way of a datum: dataset -import-> cohort.csv -check, split, prepare-> slice cache -train-> checkpoint -predict->
label maps -measure-> measurements.csv -report-> tables, figures, report.html. Every output folder holds a run.json.

conf=FOLDER with any verb adds choices of your own: with FOLDER/network/mine.yaml there is network=mine.

exit codes: 0 done (warnings included); 2 a case or the input was rejected, each listed; 1 failure.
"""

_FLAGS = frozenset({"-h", "--help"})
_CFG = frozenset({"-c", "--cfg"})


def main(words: Sequence[str]) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    if not words or words[0] in {"-h", "--help", "help"}:
        width = max(map(len, VERBS))
        listing = "\n".join(f"  {verb:<{width}}  {purpose}" for verb, purpose in VERBS.items())
        print(_HELP.format(version=__version__, verbs=listing))
        return 0
    if words[0] == "--version":
        print(__version__)
        return 0
    verb, *overrides = words
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, 1)
        hint = f"did you mean {near[0]}?" if near else "see liverspleen --help"
        return _reject([Issue("LS-CFG-000", f"there is no verb {verb!r}", hint)])
    try:
        overrides, renamed = current_names(verb, overrides)
        _reject(renamed)
        wanted = _configuration_wanted(overrides)
        if _FLAGS & set(overrides):
            return _helped(verb, [word for word in overrides if word not in _FLAGS])
        if wanted:
            from liverspleen.cli.help import composed_yaml

            print(composed_yaml(verb, overrides))
            return 0
        return run_verb(verb, overrides)
    except InputError as error:
        return _reject(error.issues)
    except KeyboardInterrupt:
        print(Issue("LS-RUN-002", "interrupted", "run the same command to go on"), file=sys.stderr)
        return 1
    except OSError as error:
        message = f"{error.strerror or error} (unexpected {type(error).__name__})"
        hint = "see that it is there, may be read or written, and that the disk has room"
        print(Issue("LS-RUN-003", message, hint, file=error.filename), file=sys.stderr)
        return 1
    except Exception as error:  # the last door: one line for the user, the traceback on request
        if os.environ.get("LIVERSPLEEN_TRACEBACK"):
            raise
        print(unexpected(error), file=sys.stderr)
        return 1


def run_verb(verb: str, overrides: Sequence[str]) -> int:
    """Compose the configuration of a verb, run it, list what it rejected."""
    from liverspleen.processes import keep_pages

    config = compose(verb, overrides)
    if verb in NETWORK_VERBS:
        keep_pages()  # before torch allocates
    run = module_of(verb).run
    return _reject(run(config, overrides) if verb == "sweep" else run(config))  # its trials are given the same words


def _helped(verb: str, overrides: Sequence[str]) -> int:
    """Print the help of a verb; overrides that cannot be used are listed after it."""
    from liverspleen.cli.help import verb_help

    try:
        print(verb_help(verb, overrides))
        return 0
    except InputError as error:
        print(verb_help(verb, [word for word in overrides if word.startswith(f"{OWN}=")]))
        return _reject(error.issues)


def _configuration_wanted(overrides: list[str]) -> bool:
    """Whether `--cfg job` is among the overrides; it is removed from them.

    Raises:
        InputError: LS-CFG-001 another value of --cfg.
    """
    for index, word in enumerate(overrides):
        flag, equals, value = word.partition("=")
        if flag in _CFG:
            value, stop = (value, index + 1) if equals else ("".join(overrides[index + 1 : index + 2]), index + 2)
            if value != "job":
                raise InputError(Issue("LS-CFG-001", f"--cfg {value} is not supported", "write --cfg job"))
            del overrides[index:stop]
            return True
    return False


def _reject(issues: Sequence[Issue]) -> int:
    for line in collapsed(issues):
        print(line, file=sys.stderr)
    return 2 if any(issue.severity == "error" for issue in issues) else 0


def entry() -> None:
    """Console script. `sys.argv` is left as it is: ranks of a distributed training are started from it."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    entry()
