"""What the `demo` command is made of: a worker, a server, a progress display and a summary."""
