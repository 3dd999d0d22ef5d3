"""Styles: a generator fine-tuned to one picture, and neural style transfer at the size of the photo."""
