"""The front door: `liverspleen VERB [key=value ...]`."""

from __future__ import annotations

import difflib
import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from liverspleen import __version__
from liverspleen.config import SCHEMAS, keys
from liverspleen.errors import InputError, Issue, collapsed, unexpected

VERBS: dict[str, str] = {
    "demo": "the whole way on procedural phantoms: train, predict, measure, report",
    "phantom": "make a cohort of procedural CT with known volumes",
    "import": "bring a dataset in: NIfTI, MSD, nnU-Net, TotalSegmentator, CHAOS or DICOM",
    "export": "hand on a model as a bundle, or a cohort as nnU-Net raw data or MSD",
    "check": "examine a cohort: table, geometry, HU, labels, anatomy, duplicates",
    "split": "draw the split by patient, 8:2 or in k folds",
    "prepare": "fill, verify or prune the slice store that trainings read",
    "train": "train a 2.5D DeepLabV3+",
    "bench": "where the time of a training step goes, and what bounds it",
    "sweep": "choose architecture and hyperparameters: search, confirm with fresh seeds, leaderboard",
    "predict": "segment CT with a trained model",
    "measure": "volumes and DSS of label maps",
    "report": "the paper's tables and figures from measurements.csv",
    "compare": "two or more readers on the same cases: paired tests, limits, forest plots",
    "change": "two CT of one patient: is the change more than measurement error?",
    "plan": "how many cases: for limits of agreement, the RC, or equivalence",
    "audit": "what cannot be among the numbers that a paper prints",
    "info": "versions, devices, where things are",
}

NETWORK_VERBS = frozenset({"demo", "train", "bench", "predict"})
"""Verbs that run a network."""

_HELP = """\
liverspleen {version}: liver and spleen segmentation and volumetry on CT, from scans to agreement statistics.
Research use only, not a medical device. No pretrained model is shipped: train one on your cohort.

usage: liverspleen VERB [key=value ...]
       liverspleen VERB --help

{verbs}

example
  liverspleen demo output=outputs/demo

The way of a datum: dataset -import-> cohort.csv -check, split, prepare-> slice store -train-> checkpoint -predict->
label maps -measure-> measurements.csv -report-> tables, figures, report.html. Every output folder holds a run.json.

conf=FOLDER with any verb adds choices of your own: with FOLDER/network/mine.yaml there is network=mine.

exit codes: 0 done (warnings included); 2 a case or the input was refused, each listed; 1 failure.
"""


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
        return _refuse([Issue("LS-CFG-000", f"there is no verb {verb!r}", hint)])
    try:
        if {"-h", "--help"} & set(overrides):
            print(verb_help(verb, overrides))
            return 0
        return run_verb(verb, overrides)
    except InputError as error:
        return _refuse(error.issues)
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
    """Compose the configuration of a verb, run it, list what it refused."""
    from liverspleen.cli.composition import compose_verb
    from liverspleen.processes import keep_pages

    config = compose_verb(verb, overrides)
    if verb in NETWORK_VERBS:
        keep_pages()  # before torch allocates
    run = _module(verb).run
    return _refuse(run(config, overrides) if verb == "sweep" else run(config))  # its trials are given the same words


def verb_help(verb: str, overrides: Sequence[str] = ()) -> str:
    """Purpose, example, inputs, outputs, exit codes of a verb, its keys with their values, and what may be chosen.

    Of the overrides `conf=FOLDER` counts: its choices are among those listed.
    """
    from liverspleen.cli.choices import without_own

    text = (_module(verb).__doc__ or "").strip()
    return f"liverspleen {verb}: {text}\n\n{_key_listing(verb, without_own(overrides)[1])}".rstrip()


def _module(verb: str) -> ModuleType:
    """The module of a verb; one named like a word of Python ends on `_`."""
    return importlib.import_module(f"liverspleen.cli.{verb}{'_' * keyword.iskeyword(verb)}")


def _key_listing(verb: str, own: Path | None) -> str:
    from hydra import compose
    from omegaconf import OmegaConf

    from liverspleen.cli.choices import groups
    from liverspleen.cli.composition import composing

    rows = list(keys(SCHEMAS[verb]))
    if not rows:
        return ""
    with composing(own) as first:
        composed = compose(config_name=verb, overrides=first)
    lines = ["keys (Hydra overrides; values of paths are taken verbatim)"]
    for key in rows:
        missing = OmegaConf.is_missing(composed, key.name)
        value = None if missing else OmegaConf.select(composed, key.name)
        shown = "(required)" if missing else ("" if value is None else f"= {value}")
        lines.append(f"  {key.name:<26} {key.type:<13} {key.meaning} {shown}".rstrip())
    grouped = {key.name.partition(".")[0] for key in rows if "." in key.name}
    recipes = {"experiment"} if verb in {"train", "bench", "sweep"} else set()
    available = groups(own)
    used = [name for name in available if name in grouped | recipes]
    if used:
        lines += ["", "choices (conf=FOLDER adds those of FOLDER/GROUP/NAME.yaml)"]
        lines += [f"  {name}={'|'.join(available[name])}" for name in used]
    return "\n".join(lines)


def _refuse(issues: Sequence[Issue]) -> int:
    for line in collapsed(issues):
        print(line, file=sys.stderr)
    return 2 if any(issue.severity == "error" for issue in issues) else 0


def entry() -> None:
    """Console script. `sys.argv` is left as it is: ranks of a distributed training are started from it."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    entry()
