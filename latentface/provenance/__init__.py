"""What a result says of its origin, and how it is read: an invisible mark, signed credentials, and `verify`."""
