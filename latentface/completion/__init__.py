"""Completion of faces: holes are painted, occluders removed, pasted regions fitted to their surroundings."""
