"""README's pictures, taken of the stack that runs: `otel-tutor demo`, then `python -m tests.top.pictures`."""

import asyncio
import shutil
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright

from otel_tutor.settings import shipped_config_dir
from otel_tutor.tools.cli.running import running_ports
from otel_tutor.tools.top.screen import Top

_FOLDER: Final = Path(__file__).parents[2] / "dashboards" / "pictures"
_SECONDS: Final = 4.0  # to read, and to draw


async def take_terminal(app: Top) -> None:
    """A frame of `otel-tutor top`, as an SVG."""
    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause(_SECONDS)
        await pilot.press("t")
        app.save_screenshot("top.svg", path=str(_FOLDER))


def take_page(address: str) -> None:
    """Its page in a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1200, "height": 720})
        tab.goto(address)
        tab.wait_for_timeout(3000 * _SECONDS)
        tab.screenshot(path=_FOLDER / "top-in-a-browser.png")
        browser.close()


if __name__ == "__main__":
    _FOLDER.mkdir(exist_ok=True)
    ports = running_ports()
    take_page(f"http://localhost:{ports['grafana']}/")
    asyncio.run(take_terminal(Top(shipped_config_dir(), ports)))
