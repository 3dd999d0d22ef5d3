"""The morphable head model: its shape, its fit to a photo, and how it moves the photo's pixels."""
