"""Readers of model files from outside. Nothing in such a file is imported, called, unpacked or written."""
