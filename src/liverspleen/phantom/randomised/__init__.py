"""Abdominal CT of random anatomy and random technique, made to train networks that read CT scans of patients."""
