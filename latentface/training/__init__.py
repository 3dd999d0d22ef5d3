"""The recipes of the built-in weights: `python -m latentface.training.NAME`, resumable, on a CPU or with CUDA."""
