"""Directions in W+: fitted to labelled latents, scaled, followed."""
