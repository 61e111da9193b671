"""Networks of one's own: `own/mine.py` with a class `Network` is `network.name=mine` (docs/extending.md).

The class takes `slices`, `output_stride` and whatever else of `config.NetworkConfig` it has a use for, by name; it
keeps `output_stride`, and takes scaled intensities (B, slices, H, W), H and W multiples of it, to logits (B, 3, H, W)
of the middle slice. Nothing else is needed: training, prediction, model packages and ONNX build it by its name.

What lies in this folder is the list of names that a configuration, a checkpoint or a model package may say.
"""
