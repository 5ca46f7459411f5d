"""Every read-only question about jobs, queues and workers. Answers stay fast however long the history is."""
