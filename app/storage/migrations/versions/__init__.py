"""The revisions, one file for each."""
