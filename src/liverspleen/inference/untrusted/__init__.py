"""Readers of untrusted model files. Nothing in such a file is imported, called, unpacked or written."""
