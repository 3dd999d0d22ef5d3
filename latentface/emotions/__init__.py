"""Emotions over time: recognition in clips, prediction, and conversion to latents."""
