// Takes the place of the page's <meta refresh>: fetches the page again and replaces what it shows, without a flicker.
const PAUSE = 1000;

async function update() {
  const response = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!response.ok) {
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  document.title = page.title;
  document.querySelector("main").replaceWith(page.querySelector("main"));
}

async function follow() {
  while (document.querySelector("main[data-live]")) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    try {
      await update();
    } catch (error) {
      console.warn("The site does not answer; asking again.", error);
    }
  }
}

follow();
