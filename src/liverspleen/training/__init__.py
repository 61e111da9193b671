"""Training: losses, the Lightning module, per-case validation, checkpoints."""
