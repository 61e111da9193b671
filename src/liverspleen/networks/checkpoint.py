"""Keys of a checkpoint: the weights, and one entry of plain values."""

PACKAGE_KEY = "liverspleen"
"""Entry of a checkpoint with network, window, slices, structures and hashes, as plain values."""

WEIGHTS_PREFIX = "network."
"""Prefix of the network's weights in the `state_dict` of a checkpoint."""
