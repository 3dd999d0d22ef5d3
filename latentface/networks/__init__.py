"""Network definitions: what they compute, never where their weights come from."""
