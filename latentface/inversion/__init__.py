"""GAN inversion: from a face to its latent code."""
