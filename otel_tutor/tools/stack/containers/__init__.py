"""The components in containers, by compose.yaml."""
