"""The page in the browser. Its engine (`session`, `jobs`, `work`) does not depend on the page (`page`, `server`)."""
