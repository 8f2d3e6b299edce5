"""The demo app exercised on the stack: its report, and a drill for each alert."""
