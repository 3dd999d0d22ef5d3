"""The same work on many files: by processes of this machine, or by a Ray cluster; resumable, with a journal."""
