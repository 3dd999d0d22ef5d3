"""Faces in pictures: detection, alignment, tracking and measurement."""
