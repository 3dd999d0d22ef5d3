"""Latent codes: values that record which generator they belong to."""
