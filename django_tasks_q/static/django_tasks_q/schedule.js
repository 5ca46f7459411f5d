/* The form of a schedule: shows only the fields of the chosen kind, and a preview while the user types.
   Without this script all fields are shown, and a button requests the preview. */

const PAUSE = 250; // milliseconds without input, after which typing has ended
const PARTS = ["words", "slots"];

function showKind(form) {
    for (const fieldset of form.querySelectorAll(".tasksq-kind")) {
        fieldset.hidden = !fieldset.classList.contains(`tasksq-kind-${form.elements.kind.value}`);
    }
}

async function fetchPreview(form, section, signal) {
    const response = await fetch(section.dataset.url, {
        method: "POST", body: new FormData(form), credentials: "same-origin", redirect: "error", signal,
    });
    if (!response.ok) throw new Error(response.statusText);
    return new DOMParser().parseFromString(await response.text(), "text/html");
}

/* Unchanged parts are not replaced: a screen reader would read them again. */
function replace(section, answer) {
    for (const part of PARTS) {
        const old = section.querySelector(`[data-part=${part}]`);
        const now = answer.querySelector(`[data-part=${part}]`);
        if (old.innerHTML !== now.innerHTML) old.replaceChildren(...now.childNodes);
    }
}

function complain(section) {
    const text = document.createElement("p");
    text.className = "tasksq-problem";
    text.textContent = section.dataset.failed;
    section.querySelector("[data-part=words]").replaceChildren(text);
    section.querySelector("[data-part=slots]").replaceChildren();
}

function start(section) {
    const form = section.closest("form");
    let timer;
    let request = new AbortController();

    async function refresh() {
        request.abort();
        const own = request = new AbortController();
        section.setAttribute("aria-busy", "true");
        try {
            replace(section, await fetchPreview(form, section, own.signal));
        } catch (error) {
            if (!own.signal.aborted) complain(section);
        }
        if (own === request) section.removeAttribute("aria-busy");
    }

    form.elements._viewer_zone.value = Intl.DateTimeFormat().resolvedOptions().timeZone;
    form.querySelector("[data-tasksq-without-script]").remove();
    form.addEventListener("input", () => {
        showKind(form);
        clearTimeout(timer);
        timer = setTimeout(refresh, PAUSE);
    });
    form.classList.add("tasksq-scripted");
    showKind(form);
    refresh();
}

const section = document.querySelector(".tasksq-preview[data-url]");
if (section) start(section);
