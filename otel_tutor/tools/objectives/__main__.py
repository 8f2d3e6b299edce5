"""`python -m otel_tutor.tools.objectives`: write the rules."""

from otel_tutor.settings import configuration_folder
from otel_tutor.tools.objectives import write_rules

if __name__ == "__main__":
    write_rules(configuration_folder())
