"""Names of images and label maps: which part names the case, and which words say what a file is.

A word such as `ct`, `img`, `volume`, `seg` or `labels` says what the file is; the rest of the name is the key of the
case. So `volume-0` and `segmentation-0` have the key `0`, `X` and `X_mask` have the key `X`. Numbers are compared as
text: `1`, `01` and `10` are three keys.
"""

from __future__ import annotations

import re

_IMAGE = "imaging|images?|imgs?|volumes?|vols?|scans?|cts?"
_LABEL = (
    "label[-_ ]?maps?|labels?|lbls?|segmentations?|segs?|masks?|annotations?|annots?|contours?|rois?|"
    "predictions?|preds?|"
    "ground[-_ ]?truths?|gts?|dseg"
)
_SEPARATOR = "[-_. ]+"
_CHANNEL = re.compile(r"(?P<base>.+)_(?P<number>\d{4})")
_SUBSETS = {
    **dict.fromkeys(("", "all"), ""),
    **dict.fromkeys(("tr", "train", "training"), "Tr"),
    **dict.fromkeys(("ts", "test", "testing"), "Ts"),
    **dict.fromkeys(("val", "validation"), "Val"),
}


def _words(words: str) -> re.Pattern[str]:
    """Match words at the start, before a separator or digit, or after a separator, before another one or the end."""
    start = rf"(?:{words})(?:{_SEPARATOR}|(?=\d)|$)"
    return re.compile(rf"^{start}|{_SEPARATOR}(?:{words})(?=[-_. ]|$)", re.IGNORECASE)


_WORDS, _LABEL_WORDS = _words(f"{_IMAGE}|{_LABEL}"), _words(_LABEL)
_FOLDER = re.compile(rf"(?:(?P<image>{_IMAGE}|data|niftis?|anat)|{_LABEL})", re.IGNORECASE)


def key_of(name: str) -> str:
    """Return a name without the words that say what the file is; empty if it consists of such words.

    >>> key_of("volume-0"), key_of("Label0001"), key_of("X_ct_seg"), key_of("X_mask_7"), key_of("imaging")
    ('0', '0001', 'X', 'X_7', '')
    """
    while (shorter := _WORDS.sub("", name, count=1)) != name:
        name = shorter
    return name


def names_a_label_map(name: str) -> bool:
    """Return whether a word for label maps is in a name.

    >>> names_a_label_map("X_mask"), names_a_label_map("segmentation-0"), names_a_label_map("Xmask")
    (True, True, False)
    """
    return _LABEL_WORDS.search(name) is not None


def channel_of(name: str) -> tuple[str, str] | None:
    """Return case and channel of a file name of nnU-Net; None if it has no channel number.

    A number after a word only, as in `ct_0000`, is the number of the case.

    >>> channel_of("liver_7_0000"), channel_of("ct_0000"), channel_of("X")
    (('liver_7', '0000'), None, None)
    """
    match = _CHANNEL.fullmatch(name)
    return (match["base"], match["number"]) if match and key_of(match["base"]) else None


def without_channel(name: str) -> str:
    """Return a name without `_0000`, the CT channel of nnU-Net.

    >>> without_channel("liver_7_0000"), without_channel("liver_7_0001")
    ('liver_7', 'liver_7_0001')
    """
    channel = channel_of(name)
    return channel[0] if channel and channel[1] == "0000" else name


def folder_role(name: str) -> tuple[str, str] | None:
    """Return what a folder holds, `image`, `label` or both (empty), and its subset (`Tr`, `Ts`, `Val` or empty).

    None stands for the folder of a case.

    >>> folder_role("imagesTr"), folder_role("label"), folder_role("train_masks"), folder_role("test")
    (('image', 'Tr'), ('label', ''), ('label', 'Tr'), ('', 'Ts'))
    >>> folder_role("p1")
    """
    if name.lower() in _SUBSETS:
        return "", _SUBSETS[name.lower()]
    for match in _FOLDER.finditer(name):
        rest = (name[: match.start()] + name[match.end() :]).strip("-_. ").lower()
        if rest in _SUBSETS:
            return ("image" if match["image"] else "label"), _SUBSETS[rest]
    return None
