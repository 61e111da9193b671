"""Prediction: a trained model, and a CT volume to a label map with the model's own preprocessing."""

from liverspleen.inference.model import TrainedModel, load_model
from liverspleen.inference.segment import Segmented, segment, segment_volume

__all__ = ["Segmented", "TrainedModel", "load_model", "segment", "segment_volume"]
