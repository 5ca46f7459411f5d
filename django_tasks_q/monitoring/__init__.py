"""Every read-only question about jobs, queues and workers. Answers stay quick however long the history is."""
