"""Network definitions: shapes and arithmetic, without weights."""
