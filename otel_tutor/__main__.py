"""`python -m otel_tutor` is `otel-tutor`."""

from otel_tutor.tools import main

if __name__ == "__main__":
    main()
