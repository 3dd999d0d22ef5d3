"""First Order Motion: a still face moves as a driving clip does."""
