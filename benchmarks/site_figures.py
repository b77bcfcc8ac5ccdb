"""How long the figures take in a browser, and whether it complains: headless Chromium on one snapshot.

Run from the project's root, with playwright and a Chromium:
    python -m benchmarks.site_figures catalog.sqlite [--screenshots DIR]
"""

from __future__ import annotations

import argparse
import shutil
import statistics
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.site_load import Server

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
LOOKS = ((1400, "light"), (1400, "dark"), (400, "light"), (400, "dark"))
PAGES = (
    "/", "/explore", "/thresholds", "/catalog", "/catalog/be_candidate", "/catalog/verdict", "/catalog/star/10000",
    "/catalog/new_classical_be", "/catalog/why_rejected?designation=J01", "/search?q=J01", "/nowhere",
)  # fmt: skip
REPEATS = 5
# Milliseconds from the click to the mark that the page sets when all its figures are drawn, and of the drawing alone.
DRAWN = """() => new Promise((done) => {
    const look = () => { const mark = performance.getEntriesByName('figures')[0]; if (mark) done(mark.startTime); else setTimeout(look, 20); };
    look(); })"""
REDRAW = "() => { const t = performance.now(); for (const plot of plots) plot.draw(); return performance.now() - t; }"


def time_figures(page: Page, address: str) -> None:
    """Print when the five figures of the page stand, with an empty cache and a full one, and what the browser works for it."""
    session = page.context.new_cdp_session(page)
    session.send(
        "Performance.enable", {"timeDomain": "threadTicks"}
    )  # of the processor: others may keep the machine busy
    times, work = [], []
    for _ in range(REPEATS):
        page.goto(f"{address}/explore")
        times.append(page.evaluate(DRAWN))
        found = session.send("Performance.getMetrics")["metrics"]
        work.append(1000 * next(metric["value"] for metric in found if metric["name"] == "TaskDuration"))
    redraw = statistics.median(page.evaluate(REDRAW) for _ in range(REPEATS))
    print(
        f"five figures drawn after {times[0]:.0f} ms on the first visit, {statistics.median(times[1:]):.0f} ms on later ones"
    )
    print(
        f"the page's thread works {work[0]:.0f} ms on the first visit, {statistics.median(work[1:]):.0f} ms on later ones"
    )
    print(f"drawing four of them again takes {redraw:.0f} ms")


def time_sliders(page: Page, address: str) -> None:
    """Print how long after a slider's move the new counts stand, the page's own 60 ms of patience included."""
    page.goto(f"{address}/thresholds", wait_until="networkidle")
    times = []
    for value in (0.7, 0.8, 0.9, 0.95, 0.6):
        script = """value => new Promise((done) => {
            const state = document.getElementById('state'), slider = document.getElementById('p-be_probability_min');
            const started = performance.now();
            new MutationObserver(() => { if (state.textContent.startsWith('Counted')) done(performance.now() - started); })
              .observe(state, { childList: true, characterData: true, subtree: true });
            slider.value = value; slider.dispatchEvent(new Event('input', { bubbles: true })); })"""
        times.append(page.evaluate(script, value))
    print(f"counts stand {statistics.median(times):.0f} ms after a slider has moved (the first time {times[0]:.0f} ms)")


def look(page: Page, address: str, folder: Path | None, name: str) -> None:
    """Visit the pages, and keep pictures of them."""
    for path in PAGES:
        page.goto(address + path, wait_until="networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if wide > 0:
            print(f"{path} is {wide} pixels too wide at {name}")
        if folder:
            file = path.strip("/").split("?")[0].replace("/", "_") or "front"
            page.screenshot(path=folder / f"{file}_{name}.png", full_page=True)


def main() -> None:
    """Time the figures; look at all pages, narrow and wide, light and dark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("snapshot", type=Path, help="named catalog.sqlite, as the addresses are")
    parser.add_argument("--screenshots", type=Path)
    arguments = parser.parse_args()
    if arguments.screenshots:
        arguments.screenshots.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    server = Server(arguments.snapshot)
    address = f"http://127.0.0.1:{server.port}"
    try:
        with sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
            for width, scheme in LOOKS:
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
                page = context.new_page()
                page.on(
                    "console", lambda said: print("console:", said.text) if said.type in ("error", "warning") else None
                )
                page.on("pageerror", lambda error: print("error:", error))
                page.on(
                    "request", lambda asked: None if asked.url.startswith(address) else print("foreign:", asked.url)
                )
                if (width, scheme) == LOOKS[0]:
                    time_figures(page, address)
                    time_sliders(page, address)
                look(page, address, arguments.screenshots, f"{width}_{scheme}")
                context.close()
            browser.close()
    finally:
        server.process.terminate()
        server.process.wait(30)


if __name__ == "__main__":
    main()
