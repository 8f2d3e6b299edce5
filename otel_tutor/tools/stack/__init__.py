"""Starts and checks the components that telemetry is sent to, as processes of this machine or in containers.

Both:        ports, files, project (whose files), configuration (checked and laid out), boards, record, status
Processes:   components -> build (workshop, toolchain) -> programs (grafana, pager) -> supervision (leash) -> stack
Containers:  engine -> compose -> containers
Then:        choice (which of the two), backends (what they hold)
"""
