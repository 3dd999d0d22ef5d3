"""Animation of a still face by a driving clip."""
