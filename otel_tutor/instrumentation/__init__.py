"""What is measured by itself: requests, connections, statements, the event loop, the host."""
