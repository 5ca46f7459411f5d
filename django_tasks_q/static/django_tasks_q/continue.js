// Continues what a page has begun; without JavaScript, a button does.
for (const form of document.querySelectorAll("form[data-tasksq-continue]")) {
    form.querySelector("button[type=submit]").disabled = true;
    const stop = form.querySelector("a.cancel-link");
    const timer = setTimeout(() => form.submit(), 50);
    stop.addEventListener("click", () => clearTimeout(timer));
}
