"""`python -m otel_tutor` is `otel-tutor`."""

from otel_tutor.cli import main

if __name__ == "__main__":
    main()
