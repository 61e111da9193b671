"""Prediction: a trained model, and a CT volume to a label map with the model's own preprocessing."""
