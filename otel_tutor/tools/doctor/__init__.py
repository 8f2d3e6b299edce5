"""Diagnose missing telemetry: one signal of each kind is sent with the app's own settings and followed to its backend."""
