"""Pictures, clips and files, in and out."""
