"""What is exported of stdlib logging, and that nothing else of it changes."""

import pytest

from tests.support.logging_program import CONFIGURE, run

pytestmark = pytest.mark.processes


def test_configure_changes_neither_handlers_nor_levels() -> None:
    (before, after), _, _ = run("show(look())\n", CONFIGURE, "show(look())")

    assert before == after == {"level": "WARNING", "handlers": []}


def test_while_nothing_is_configured_warnings_are_printed_as_before_and_info_is_exported_too() -> None:
    (sent,), printed, stderr = run(
        CONFIGURE,
        """
        log = logging.getLogger("app.lessons")
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            log.log(level, logging.getLevelName(level))
        show(sent())
    """,
    )

    assert (sent, printed, stderr) == (["INFO", "WARNING"], "", "WARNING\n")


@pytest.mark.parametrize(
    "configured",
    [
        "logging.basicConfig()",
        "logging.getLogger().setLevel(logging.ERROR)",
        "logging.getLogger('app').setLevel(logging.WARNING)",
        "logging.getLogger('app').addHandler(logging.StreamHandler())",
        "logging.disable(logging.INFO)",
        "logging.getLogger('app').disabled = True",
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["after configure()", "before configure()"])
def test_once_something_is_configured_the_apps_levels_decide(configured: str, first: bool) -> None:
    parts = (CONFIGURE, configured) if first else (configured, "\n", CONFIGURE)
    (sent,), _, stderr = run(*parts, '\nlogging.getLogger("app").info("asked"); show(sent())')

    assert (sent, stderr) == ([], "")


def test_a_library_with_a_null_handler_is_not_configured_by_it() -> None:
    (sent,), _, _ = run(
        CONFIGURE,
        """
        logging.getLogger("library").addHandler(logging.NullHandler())
        logging.getLogger("library.part").info("loaded")
        show(sent())
    """,
    )

    assert sent == ["loaded"]


def test_a_logger_that_is_silenced_is_not_exported() -> None:
    (sent,), _, _ = run(
        CONFIGURE,
        """
        library = logging.getLogger("library")
        library.addHandler(logging.NullHandler()); library.propagate = False
        library.error("failed")
        show(sent())
    """,
    )

    assert sent == []


def test_a_servers_messages_are_exported_and_its_access_log_is_not() -> None:
    (sent,), _, _ = run(
        CONFIGURE,
        """
        import uvicorn
        uvicorn.Config("app:app")  # it configures its loggers
        logging.getLogger("uvicorn.error").info("Application startup complete.")
        logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "127.0.0.1", "GET", "/ask?q=secret", "1.1", 200)
        show(sent())
    """,
    )

    assert sent == ["Application startup complete."]


def test_what_a_handler_of_the_app_hides_is_not_exported() -> None:
    (sent,), printed, _ = run(
        CONFIGURE,
        """
        class Hide(logging.Filter):
            def filter(self, record):
                record.msg = record.msg.replace("secret", "***")
                return True
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
        logging.getLogger().handlers[0].addFilter(Hide())
        logging.getLogger("app").info("key: secret")
        show(sent())
    """,
    )

    assert (sent, printed) == (["key: ***"], "key: ***\n")


def test_an_app_that_exports_a_logger_itself_does_so_once() -> None:
    (sent,), _, _ = run(
        CONFIGURE,
        """
        from opentelemetry.instrumentation.logging.handler import LoggingHandler
        logging.getLogger("app").addHandler(LoggingHandler())
        logging.getLogger("app").warning("slow")
        show(sent())
    """,
    )

    assert sent == ["slow"]


def test_after_shutdown_logging_is_what_it_was() -> None:
    (restored,), _, stderr = run(
        "before = logging.Logger.callHandlers, logging.Logger.isEnabledFor\n",
        CONFIGURE,
        """
        otel_tutor.shutdown()
        logging.getLogger("app").warning("late")
        show((logging.Logger.callHandlers, logging.Logger.isEnabledFor) == before)
    """,
    )

    assert (restored, stderr) == (True, "late\n")


def test_another_library_that_wraps_the_same_method_keeps_its_wrapper() -> None:
    (seen,), _, stderr = run(
        CONFIGURE,
        """
        call, seen = logging.Logger.callHandlers, []
        logging.Logger.callHandlers = lambda logger, record: (seen.append(record.msg), call(logger, record))
        otel_tutor.shutdown()
        logging.getLogger("app").warning("late")
        show(seen)
    """,
    )

    assert (seen, stderr) == (["late"], "late\n")


def test_records_of_telemetry_itself_are_not_exported() -> None:
    (sent,), _, _ = run(
        CONFIGURE,
        """
        for name in ("app", "otel_tutor.demo.tutor", "otel_tutor", "opentelemetry.exporter", "grpc"):
            logging.getLogger(name).error(name)
        show(sent())
    """,
    )

    assert sent == ["app", "otel_tutor.demo.tutor"]
