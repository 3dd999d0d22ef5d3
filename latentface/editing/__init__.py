"""Editing operations on whole photos and clips."""
