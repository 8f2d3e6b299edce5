"""What is measured without a call of the app: requests, connections, statements, the event loop, the host."""
