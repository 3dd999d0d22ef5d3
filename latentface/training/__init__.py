"""Recipes that made the built-in weights: each `python -m latentface.training.NAME`, resumable, on a CPU or CUDA."""
