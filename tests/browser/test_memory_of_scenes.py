"""The front end by itself, made and closed many times: what stays in the browser."""

from __future__ import annotations

from playwright.sync_api import Browser, Route

from difflab import ForwardNoising
from difflab.scenes.bundle import full


def test_fifty_scenes_come_and_go_and_leave_no_memory(browser: Browser) -> None:
    """The front end by itself, with a model as anywidget gives it one."""
    drawn = ForwardNoising(n=5000)
    state = {k: v for k, v in drawn.page_state().items() if not isinstance(v, dict) or "data" not in v}
    arrays = {k: getattr(drawn, k) for k in ("x0", "eps", "labels")}
    wire = {k: {"dtype": a.dtype.name, "shape": list(a.shape), "bytes": a.tobytes().hex()} for k, a in arrays.items()}
    context = browser.new_context(viewport={"width": 900, "height": 700})
    page = context.new_page()
    parts = {"/": ("text/html", "<body></body>"), "/widget.js": ("text/javascript", full("widget.js"))}

    def serve(route: Route) -> None:
        kind, body = parts.get("/" + route.request.url.split("/", 3)[3], ("text/plain", ""))
        route.fulfill(content_type=kind, body=body)

    page.route("**/*", serve)
    page.goto("http://scene.test/")
    page.evaluate(
        """async ([state, wire]) => {
            const front = (await import('/widget.js')).default;
            const bytes = (hex) => new DataView(Uint8Array.from(hex.match(/../g), (b) => parseInt(b, 16)).buffer);
            const nextFrame = () => new Promise((done) => requestAnimationFrame(done));
            window.comeAndGo = async (times) => {
                for (let i = 0; i < times; i++) {
                    const values = { ...state };
                    for (const [k, { bytes: hex, ...rest }] of Object.entries(wire)) values[k] = { ...rest, data: bytes(hex) };
                    const model = { get: (k) => values[k], set: (k, v) => (values[k] = v), save_changes() {}, send() {},
                        on() {}, off() {}, widget_manager: null };
                    const el = document.createElement('div');
                    document.body.append(el);
                    const leave = front.render({ model, el });
                    for (let k = 0; k < 3; k++) await nextFrame();
                    if (!el.querySelector('canvas')) throw new Error('nothing was drawn');
                    leave();
                    el.remove();
                }
            };
        }""",
        [state, wire],
    )
    devtools = context.new_cdp_session(page)

    def used() -> tuple[int, int, int]:
        devtools.send("HeapProfiler.collectGarbage")
        heap, dom = devtools.send("Runtime.getHeapUsage"), devtools.send("Memory.getDOMCounters")
        return heap["usedSize"] + heap.get("backingStorageSize", 0), dom["nodes"], dom["jsEventListeners"]

    page.evaluate("comeAndGo(5)")  # what is kept once for all is there now
    before = used()
    page.evaluate("comeAndGo(50)")
    after = used()
    context.close()
    # one scene alone has 100 kB of points and 2 MB of pixels, 60 elements and 20 listeners
    assert after[0] - before[0] < 50 * 50_000, f"{(after[0] - before[0]) / 50:.0f} bytes stay of each scene"
    assert after[1] - before[1] < 100, "elements stay"
    assert after[2] - before[2] < 50, "listeners stay"
