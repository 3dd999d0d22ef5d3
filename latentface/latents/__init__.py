"""Latent codes: values that know which generator they belong to."""
