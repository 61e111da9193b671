"""User-defined networks: `own/mine.py` with a class `Network` is `network.name=mine` (docs/extending.md).

The class accepts `slices`, `output_stride` and other fields of `config.NetworkConfig` as keyword arguments, and has the
attribute `output_stride`. It maps scaled intensities (B, slices, H, W), H and W multiples of `output_stride`, to logits
(B, 3, H, W) of the middle slice. Training, prediction, model packages and ONNX build it by its name.

Only the modules in this folder are valid names in a configuration, a checkpoint or a model package.
"""
