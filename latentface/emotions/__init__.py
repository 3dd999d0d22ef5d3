"""Emotions over time: read from clips, predicted, made into latents."""
