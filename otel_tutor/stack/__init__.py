"""Starts and checks the components that telemetry is sent to, as processes of this machine.

components -> build (workshop, toolchain) -> programs (ports, files, configuration) -> supervision -> stack
"""
