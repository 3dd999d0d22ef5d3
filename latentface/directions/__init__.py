"""Directions in W+: fitted to labelled latents, scaled and applied."""
