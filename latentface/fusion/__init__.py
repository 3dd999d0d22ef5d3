"""Which part of a latent to take from another's, and what it costs."""
