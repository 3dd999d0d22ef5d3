"""Chooses the part of a latent to take from another one, at minimal cost."""
