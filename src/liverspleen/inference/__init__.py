"""Prediction: loading of trained models, and segmentation of CT volumes with the preprocessing of the model."""

from liverspleen.inference.ensemble import Ensemble, load_ensemble
from liverspleen.inference.model import TrainedModel, load_model
from liverspleen.inference.segment import Segmented, segment, segment_volume

__all__ = ["Ensemble", "Segmented", "TrainedModel", "load_ensemble", "load_model", "segment", "segment_volume"]
