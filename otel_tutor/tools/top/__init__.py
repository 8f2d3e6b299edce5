"""The overview in a terminal, from the same dashboard that Grafana shows."""
