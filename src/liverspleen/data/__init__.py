"""From a cohort to batches: slice store, 2.5D slices, intensity window, Lightning data module."""
