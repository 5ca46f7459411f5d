"""The pages of jobs and results, which share most of it: a row moves between the two tables."""
