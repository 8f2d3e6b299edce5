"""Why is nothing to be seen? A canary of each signal, sent with the app's own settings and followed to where it is kept."""
