"""What a checkpoint of this project is: weights beside one entry of plain values."""

BUNDLE_KEY = "liverspleen"
"""The checkpoint's entry that holds network, window, sections, structures and hashes, as plain values."""

WEIGHTS_PREFIX = "network."
"""Of the network's weights in the checkpoint's `state_dict`."""
