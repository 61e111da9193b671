"""Correction of predicted label maps: case folders for viewers, import of edits, a history per case, tables."""
