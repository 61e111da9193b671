"""Networks: an encoder from timm, and DeepLabV3+ around it."""
