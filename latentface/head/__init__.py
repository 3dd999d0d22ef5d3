"""The morphable head in a photo: its shape, its fit, and how it moves the photo's own pixels."""
