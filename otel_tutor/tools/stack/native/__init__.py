"""The components as processes of this machine."""
