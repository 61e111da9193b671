"""What a checkpoint of this project is: weights beside one entry of plain values."""

PACKAGE_KEY = "liverspleen"
"""The checkpoint's entry that holds network, window, slices, structures and hashes, as plain values."""

WEIGHTS_PREFIX = "network."
"""Of the network's weights in the checkpoint's `state_dict`."""
