"""Starts and checks the components that telemetry is sent to, as processes of this machine.

components -> build (toolchain) -> programs (ports, files) -> supervision -> stack
"""
