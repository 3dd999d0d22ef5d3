"""From a face to the latent that draws it."""
