"""`python -m otel_tutor.tools.objectives`: write the rules."""

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.objectives import write_rules

if __name__ == "__main__":
    write_rules(shipped_config_dir())
