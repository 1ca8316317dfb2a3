/** Keeps the status of the landing page up to date, and makes its texts easy to copy. Without it the page shows all the same. */

const EVERY = 5_000; // milliseconds
const TEXTS = {
  "ready": "Ready: the database and the telephony engine respond.",
  "not-ready": "Not ready: the database or the telephony engine does not respond, or the server is about to stop.",
  "away": "The server does not respond.",
};

async function state() {
  try {
    const answer = await fetch("readyz", { cache: "no-store" });
    return answer.ok ? "ready" : "not-ready";
  } catch {
    return "away";
  }
}

async function look() {
  if (document.hidden) return;
  show(await state());
}

function show(state) {
  const shown = document.getElementById("readiness");
  if (shown.dataset.state === state) return; // a screen reader would read it out again
  shown.dataset.state = state;
  shown.textContent = TEXTS[state];
}

async function copy(button) {
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2_000);
}

// The clipboard is there on loopback and over https alone.
for (const button of navigator.clipboard ? document.querySelectorAll("button.copy") : []) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}
document.addEventListener("visibilitychange", look);
setInterval(look, EVERY);
