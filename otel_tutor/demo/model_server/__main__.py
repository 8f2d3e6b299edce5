"""`python -m otel_tutor.demo.model_server --port 8100 [--account FILE]`: the server alone, on loopback, until Ctrl-C."""

import argparse
from pathlib import Path

import uvicorn

from otel_tutor.demo.model_server.account import Account
from otel_tutor.demo.model_server.app import create_model_app
from otel_tutor.demo.model_server.serving import LOOPBACK
from otel_tutor.demo.model_server.writing import Library

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m otel_tutor.demo.model_server", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--account", type=Path, help="a file that keeps the account, and that servers may share")
    arguments = parser.parse_args()
    uvicorn.run(
        create_model_app(Library.train(), Account(arguments.account)), host=LOOPBACK, port=arguments.port, lifespan="off"
    )
