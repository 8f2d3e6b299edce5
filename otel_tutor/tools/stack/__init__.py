"""Starts and checks the components that telemetry is sent to, as processes of this machine or in containers.

The modules in reading order:

    components      a row for each component, from which every table is made
    ports           the number of each port, and how to move it
    project, files  whose configuration is used; where data and built components are
    configuration, dashboards   the configuration, checked and rendered for this machine
    state, status, progress     what a stack was started with, how it is, and how starting it is shown
    protocol        what every stack can do
    native/         a stack of processes: build (builder, toolchain) -> programs (page) -> supervision -> stack
    containers/     a stack of containers: engine (container) -> compose -> stack
    choice          which of the two it is
    backends        what Prometheus, Jaeger and VictoriaLogs hold
    pager           the component that receives notifications
    readiness, polling, output  waiting until something holds, and the last line of a log
"""
