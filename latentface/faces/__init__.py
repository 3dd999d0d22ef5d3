"""Faces in pictures: found, aligned, followed and measured."""
