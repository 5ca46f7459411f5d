// Refreshes the dashboard: fetches its page again, and replaces the parts that have changed.

const root = document.querySelector("[data-tasksq-dashboard]");
const seconds = Number(root?.dataset.seconds);
// Without an answer within this many seconds the page says so.
const PATIENCE = 10;
let timer = null;
let isStopped = false;

function part(within, name) {
    return within.querySelector(`[data-tasksq-part="${name}"]`);
}

// The path of the focused element within a part, so that it can be found again after the replacement.
function pathTo(element, top) {
    const path = [];
    for (let at = element; at !== top; at = at.parentElement) {
        path.unshift([...at.parentElement.children].indexOf(at));
    }
    return path;
}

function follow(path, top) {
    return path.reduce((at, index) => at?.children[index], top);
}

function replace(old, fresh) {
    for (const details of old.querySelectorAll("details[open]")) {
        fresh.querySelector(`#${CSS.escape(details.id)}`)?.setAttribute("open", "");
    }
    if (old.outerHTML === fresh.outerHTML) {
        return;
    }
    const focused = old.contains(document.activeElement) ? pathTo(document.activeElement, old) : null;
    const href = focused && document.activeElement.getAttribute("href");
    const scrolled = [...old.querySelectorAll(".tasksq-scroll")].map((box) => [pathTo(box, old), box.scrollTop, box.scrollLeft]);
    old.replaceWith(fresh);
    for (const [path, top, left] of scrolled) {
        follow(path, fresh)?.scrollTo(left, top);
    }
    if (focused) {
        // Rows come and go: a link is identified by its target.
        const same = [...fresh.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === href);
        (same ?? follow(focused, fresh))?.focus({preventScroll: true});
    }
}

function show(isStale) {
    root.classList.toggle("tasksq-is-stale", isStale);
    const text = isStale ? root.dataset.stale : "";
    const status = root.querySelector("[data-tasksq-stale]");
    // A screen reader says it once.
    if (status.textContent !== text) {
        status.textContent = text;
    }
}

async function refresh() {
    const response = await fetch(location.href, {
        credentials: "same-origin", redirect: "error", signal: AbortSignal.timeout(PATIENCE * 1000),
    });
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const fresh = page.querySelector("[data-tasksq-dashboard]");
    if (!response.ok || !fresh) {
        throw new Error(`The dashboard cannot be refreshed: ${response.status}`);
    }
    for (const old of root.querySelectorAll("[data-tasksq-part]")) {
        const found = part(fresh, old.dataset.tasksqPart);
        if (found) {
            replace(old, document.adoptNode(found));
        }
    }
}

async function turn() {
    try {
        await refresh();
        show(false);
    } catch {
        // The old data stays visible, and is marked as old.
        show(true);
    }
    plan(seconds);
}

function plan(delay) {
    clearTimeout(timer);
    if (!isStopped && !document.hidden) {
        timer = setTimeout(turn, delay * 1000);
    }
}

if (root) {
    const toggle = root.querySelector("[data-tasksq-toggle]");
    toggle.textContent = root.dataset.pause;
    toggle.hidden = false;
    toggle.addEventListener("click", () => {
        isStopped = !isStopped;
        toggle.textContent = isStopped ? root.dataset.resume : root.dataset.pause;
        plan(0);
    });
    document.addEventListener("visibilitychange", () => plan(0));
    plan(seconds);
}
