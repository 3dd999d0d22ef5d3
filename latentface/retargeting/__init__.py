"""Expressions of anybody in the picture of a chosen person, by a network that was trained on a few people."""
