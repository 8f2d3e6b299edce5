"""However logging is set up, before configure() or after: a line is printed as the app asked, and exported once."""

import pytest

from tests.support.logging_program import CONFIGURE, run

pytestmark = pytest.mark.processes

ASK = """
log = logging.getLogger("app")
with trace_operation("request"):
    trace_id = get_current_trace_id()
    log.info("asked %s", "why")
records = [(log.log_record.body, f"{log.log_record.trace_id:032x}", log.instrumentation_scope.name) for log in kept.logs]
show([[body, trace == trace_id, name] for body, trace, name in records])
"""
TO_STDOUT = """
    "version": 1,
    "formatters": {"short": {"format": "CONSOLE %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "short", "stream": "ext://sys.stdout"}},
"""
FILE = """
open(path := __import__("tempfile").mkstemp()[1], "w").write('''
[loggers]
keys=root,app
[handlers]
keys=console
[formatters]
keys=short
[logger_root]
level=WARNING
handlers=console
[logger_app]
level=INFO
handlers=console
qualname=app
propagate=0
[handler_console]
class=StreamHandler
formatter=short
args=(sys.stdout,)
[formatter_short]
format=CONSOLE %(message)s
''')
"""
DISABLING, LEAVING = f"{{{TO_STDOUT}", f"{{{TO_STDOUT} 'disable_existing_loggers': False,"
ROOT = "'root': {'level': 'INFO', 'handlers': ['console']}}"
APART = "'loggers': {'app': {'level': 'INFO', 'handlers': ['console'], 'propagate': False}}}"
BASIC = "logging.basicConfig(level=logging.INFO, format='CONSOLE %(message)s', stream=sys.stdout"
SET_UPS = {
    "basicConfig": f"{BASIC})",
    "basicConfig by force": f"{BASIC}, force=True)",
    "dictConfig": f"logging.config.dictConfig({DISABLING}{ROOT})",
    "dictConfig that leaves loggers": f"logging.getLogger('app'); logging.config.dictConfig({LEAVING}{ROOT})",
    "dictConfig of a logger that does not propagate": f"logging.config.dictConfig({DISABLING}{APART})",
    "fileConfig": f"{FILE}\nlogging.config.fileConfig(path)",
    "fileConfig that leaves loggers": f"{FILE}\nlogging.config.fileConfig(path, disable_existing_loggers=False)",
    "other handlers": f"{BASIC})\nlogging.root.handlers = [logging.root.handlers[0]]",
    "a queue": f"""
{BASIC})
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
listener = QueueListener(queue := SimpleQueue(), *logging.root.handlers)
listener.start()
__import__("atexit").register(listener.stop)
logging.root.handlers.clear()
logging.root.addHandler(QueueHandler(queue))
""",
}


@pytest.mark.parametrize("first", [True, False], ids=["after configure()", "before configure()"])
@pytest.mark.parametrize("set_up", SET_UPS)
def test_a_line_is_printed_as_the_app_asked_and_exported_once_with_its_trace(set_up: str, first: bool) -> None:
    parts = (CONFIGURE, SET_UPS[set_up]) if first else (SET_UPS[set_up], "\n", CONFIGURE)
    (sent,), printed, stderr = run(*parts, ASK)

    assert (printed, stderr) == ("CONSOLE asked why\n", "")
    assert sent == [["asked why", True, "app"]]


LOGURU = """
import inspect
from loguru import logger
logger.remove()
logger.add(sys.stdout, format="CONSOLE {message}")
"""
INTERCEPT = """
class Intercept(logging.Handler):
    def emit(self, record):
        logger.opt(exception=record.exc_info).log(record.levelname, record.getMessage())
logging.basicConfig(handlers=[Intercept()], level=0, force=True)
"""
PROPAGATE = """
class Propagate(logging.Handler):
    def emit(self, record):
        logging.getLogger(record.name).handle(record)
logger.add(Propagate(), format="{message}")
logging.getLogger("__main__").name = "app"
log = logger
"""


@pytest.mark.parametrize("recipe", [INTERCEPT, PROPAGATE], ids=["from logging to loguru", "from loguru to logging"])
def test_so_is_a_line_with_loguru_in_either_direction(recipe: str) -> None:
    ask = ASK.replace('log = logging.getLogger("app")', "log = globals().get('log', logging.getLogger('app'))")
    (((body, in_trace, _),),), printed, stderr = run(CONFIGURE, LOGURU, recipe, ask.replace('%s", ', '" + '))

    assert (printed, stderr) == ("CONSOLE asked why\n", "")
    assert (body, in_trace) == ("asked why", True)


STRUCTLOG = """
import structlog
def use(*last):
    structlog.configure(
        processors=[structlog.stdlib.add_log_level, structlog.stdlib.PositionalArgumentsFormatter(), *last],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
"""
RENDER_BY_FORMATTER = """
use(structlog.stdlib.ProcessorFormatter.wrap_for_formatter)
console = logging.StreamHandler(sys.stdout)
console.setFormatter(structlog.stdlib.ProcessorFormatter(
    processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.KeyValueRenderer(["event"])]
))
logging.basicConfig(level=logging.INFO, handlers=[console])
"""
RENDER_TO_KWARGS = """
use(structlog.stdlib.render_to_log_kwargs)
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="event='%(message)s' level='%(level)s'")
"""


@pytest.mark.parametrize("recipe", [RENDER_BY_FORMATTER, RENDER_TO_KWARGS], ids=["by a formatter", "to logging's arguments"])
def test_so_is_a_line_with_structlog(recipe: str) -> None:
    ask = ASK.replace("logging.getLogger(", "structlog.get_logger(")
    show = "show([dict(log.log_record.attributes).get('level') for log in kept.logs])"
    (sent, levels), printed, stderr = run(CONFIGURE, STRUCTLOG, recipe, ask, show)

    assert (printed, stderr) == ("event='asked why' level='info'\n", "")
    assert (sent, levels) == ([["asked why", True, "app"]], ["info"])


def test_an_exception_that_structlog_keeps_for_its_formatter_is_exported() -> None:
    (sent,), _, _ = run(
        CONFIGURE,
        STRUCTLOG,
        RENDER_BY_FORMATTER,
        """
        try:
            raise ValueError("no answer")
        except ValueError:
            structlog.get_logger("app").exception("failed", student=7)
        show([[r.log_record.body, *map(r.log_record.attributes.get, ("exception.message", "student"))] for r in kept.logs])
    """,
    )

    assert sent == [["failed", "no answer", 7]]


NATIVE = {
    "loguru as it comes": "from loguru import logger as log\nlog.remove()\nlog.add(sys.stdout, format='CONSOLE {message}')",
    "loguru, configured": """
from loguru import logger as log
log.configure(handlers=[{"sink": sys.stdout, "format": "CONSOLE {message}"}])
""",
    "structlog as it comes": """
import structlog
structlog.configure(processors=[lambda logger, name, event: "CONSOLE " + event["event"]])
log = structlog.get_logger()
""",
    "structlog that writes": """
import structlog
writing = structlog.WriteLoggerFactory()
structlog.configure(processors=[lambda _, __, event: "CONSOLE " + event["event"]], logger_factory=writing)
log = structlog.get_logger()
""",
}


@pytest.mark.parametrize("first", [True, False], ids=["after configure()", "before configure()"])
@pytest.mark.parametrize("set_up", NATIVE)
def test_so_is_a_line_that_is_written_past_logging(set_up: str, first: bool) -> None:
    parts = (CONFIGURE, NATIVE[set_up]) if first else (NATIVE[set_up], "\n", CONFIGURE)
    ask = ASK.replace('log = logging.getLogger("app")', "").replace('%s", ', '" + ')
    (((body, in_trace, name),),), printed, stderr = run(*parts, ask)

    assert (printed, stderr) == ("CONSOLE asked why\n", "")
    assert (body.removeprefix("CONSOLE "), in_trace) == ("asked why", True)
    assert name in {"__main__", "structlog"}


def test_a_color_of_the_console_is_no_part_of_the_line() -> None:
    set_up = """
    import structlog
    structlog.configure(processors=[structlog.dev.ConsoleRenderer(colors=True)])
    structlog.get_logger().warning("late", student=7)
    show([log.log_record.body for log in kept.logs])
    """
    ((body,),), *_ = run(CONFIGURE, set_up)

    assert body.split() == ["late", "student=7"]
