"""Expression transfer between latents: chooses which part of one latent replaces that of another."""
