"""The page in the browser: its engine (`session`, `jobs`, `work`) knows nothing of the page (`page`, `server`)."""
