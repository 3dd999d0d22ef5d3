"""The head in the photo: a morphable head fitted to a face, driven, and what a moving mouth uncovers."""
